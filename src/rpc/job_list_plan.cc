#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <string_view>

#include "kezek/host_list.h"
#include "kezek/node_parts.h"
#include "kezek/reason_text.h"
#include "rpc/field_checks.h"
#include "rpc/job_list.h"
#include "rpc/job_refs.h"
#include "rpc/tokens.h"

namespace kezek::rpc {
namespace {

constexpr int kValuesMax = 1000;

Error OrderInvalid(const std::string& message) {
  return FieldProblem(Code::kInvalidArgument, {"order_by", "ORDER_INVALID", message, {}});
}

Result<void> ReadOrder(std::string_view text, ListPlan* plan) {
  if (text.empty()) text = "id desc";
  constexpr std::string_view kDescending = " desc";
  plan->descending = text.ends_with(kDescending);
  if (plan->descending) text.remove_suffix(kDescending.size());
  static const std::map<std::string_view, ListKey> kKeys = {
      {"id", ListKey::kId},           {"submitted", ListKey::kId}, {"started", ListKey::kStarted},
      {"ended", ListKey::kEnded},     {"gpus", ListKey::kGpus},    {"user", ListKey::kUser},
      {"project", ListKey::kProject}, {"state", ListKey::kState}};
  const auto found = kKeys.find(text);
  if (found == kKeys.end()) {
    return OrderInvalid(
        "must be one of id, submitted, started, ended, gpus, user, project, state, each with "
        "' desc' for the other way");
  }
  plan->key = found->second;
  if (plan->redacted_rows && (plan->key == ListKey::kUser || plan->key == ListKey::kProject)) {
    return OrderInvalid("other institutions' rows have no order by user or project");
  }
  plan->query.order = plan->key == ListKey::kId && plan->descending ? JobQuery::Order::kIdDescending
                                                                    : JobQuery::Order::kIdAscending;
  return {};
}

void ReadStates(const v1::JobFilter& filter, FieldChecks* checks, ListPlan* plan) {
  for (int i = 0; i < filter.states_size(); ++i) {
    checks->Range("states[" + std::to_string(i) + "]", filter.states(i), v1::JOB_STATE_QUEUED,
                  v1::JOB_STATE_CANCELLED);
    if (!checks->ok()) return;
    plan->states.insert(static_cast<JobState>(filter.states(i) - v1::JOB_STATE_QUEUED));
  }
  checks->Require(filter.states().empty() || !filter.include_final(), "include_final",
                  "goes only without states");
  if (filter.states().empty()) {
    plan->states = {JobState::kQueued, JobState::kStarting, JobState::kRunning};
    if (filter.include_final()) {
      plan->states.insert(
          {JobState::kSucceeded, JobState::kFailed, JobState::kTimedOut, JobState::kCancelled});
    }
  }
  // An array's row has one state, its elements several: the store only tells over from not over.
  for (int i = 0; i <= static_cast<int>(JobState::kCancelled); ++i) {
    const auto state = static_cast<JobState>(i);
    const bool wanted = std::any_of(plan->states.begin(), plan->states.end(),
                                    [&](JobState one) { return IsFinal(one) == IsFinal(state); });
    if (wanted) plan->query.states.insert(state);
  }
}

void ReadTimes(const v1::JobFilter& filter, FieldChecks* checks, ListPlan* plan) {
  const auto check = [&](const v1::TimeRange& range, const std::string& field) {
    checks->Range(field + ".since_ms", range.since_ms(), 0, kLatestMs);
    checks->Range(field + ".until_ms", range.until_ms(), 0, kLatestMs);
    checks->Require(range.until_ms() == 0 || range.since_ms() <= range.until_ms(),
                    field + ".until_ms", "must not be before since_ms");
  };
  check(filter.submitted(), "submitted");
  check(filter.active(), "active");
  plan->query.submitted_since_ms = filter.submitted().since_ms();
  plan->query.submitted_until_ms = filter.submitted().until_ms();
  if (!filter.has_active()) return;
  plan->active_since_ms = filter.active().since_ms();
  plan->active_until_ms = filter.active().until_ms() == 0 ? kLatestMs : filter.active().until_ms();
  plan->query.all_attempts = true;
}

void ReadPeople(const v1::JobFilter& filter, FieldChecks* checks, ListPlan* plan) {
  const Directory& directory = plan->caller->directory();
  plan->by_users = !filter.users().empty();
  for (const auto& name : filter.users()) {
    const auto found = directory.user_by_name.find(name);
    if (found != directory.user_by_name.end()) plan->users.insert(found->second);
  }
  for (int i = 0; i < filter.accounts_size(); ++i) {
    const std::string field = "filter.accounts[" + std::to_string(i) + "]";
    const auto account = FindVisibleAccount(*plan->caller, filter.accounts(i), field);
    if (!account) return checks->Fail(account.error());
    for (const auto& [id, other] : directory.accounts) {
      if (IsWithin(directory, id, *account)) plan->projects.insert(id);
    }
  }
  if (plan->scope == v1::JOB_SCOPE_MINE) {
    plan->query.users = {plan->caller->user};
  } else if (plan->by_users && !plan->users.empty()) {
    plan->query.users.assign(plan->users.begin(), plan->users.end());
  }
  plan->query.projects.assign(plan->projects.begin(), plan->projects.end());
}

void ReadRest(const v1::JobFilter& filter, FieldChecks* checks, ListPlan* plan) {
  plan->query.classes.assign(filter.job_classes().begin(), filter.job_classes().end());
  plan->names.assign(filter.names().begin(), filter.names().end());
  for (int i = 0; i < filter.nodes_size() && checks->ok(); ++i) {
    const std::string field = "nodes[" + std::to_string(i) + "]";
    const auto names = ExpandHostList(filter.nodes(i));
    if (!names) return checks->Fail(field, names.error().message);
    for (const auto& name : *names) {
      if (!plan->caller->view->nodes.contains(name)) {
        return checks->Fail(field, "this cluster has no node '" + name + "'");
      }
    }
    const auto all = WithParts(plan->caller->view->nodes, *names);
    plan->nodes.insert(all.begin(), all.end());
  }
  for (int i = 0; i < filter.jobs_size() && checks->ok(); ++i) {
    const auto parsed =
        ParseJobs(filter.jobs(i), "filter.jobs[" + std::to_string(i) + "]", &plan->query.refs);
    if (!parsed) return checks->Fail(parsed.error());
  }
  for (int i = 0; i < filter.reasons_size(); ++i) {
    const auto code = ReasonFromWire(filter.reasons(i));
    if (!code) {
      return checks->Fail("reasons[" + std::to_string(i) + "]", "is no reason's code");
    }
    plan->reasons.insert(*code);
  }
  plan->labels.insert(filter.labels().begin(), filter.labels().end());
}

Sha256 HashList(const v1::ListJobsRequest& request, UserId user) {
  v1::ListJobsRequest bare = request;
  bare.mutable_page()->clear_token();
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    bare.SerializeToCodedStream(&coded);
  }
  return HashBytes(bytes + "\n" + std::to_string(user.value));
}

}  // namespace

Result<ListPlan> PlanList(const v1::ListJobsRequest& request, const Caller& caller) {
  ListPlan plan;
  plan.caller = &caller;
  FieldChecks checks("filter.");
  const v1::JobFilter& filter = request.filter();
  checks.Range("scope", filter.scope(), 0, v1::JOB_SCOPE_ALL);
  for (const int size :
       {filter.users_size(), filter.accounts_size(), filter.job_classes_size(), filter.names_size(),
        filter.nodes_size(), filter.jobs_size(), filter.reasons_size(), filter.labels_size()}) {
    checks.Require(size <= kValuesMax, "", "has a list of more than 1000 values");
  }
  if (!checks.ok()) return checks.error();
  plan.scope = filter.scope() == v1::JOB_SCOPE_UNSPECIFIED ? v1::JOB_SCOPE_MINE : filter.scope();
  const bool only_state_class_times = filter.users().empty() && filter.accounts().empty() &&
                                      filter.names().empty() && filter.nodes().empty() &&
                                      filter.jobs().empty() && filter.reasons().empty() &&
                                      filter.labels().empty();
  plan.redacted_rows =
      plan.scope == v1::JOB_SCOPE_ALL && !caller.everywhere && only_state_class_times;
  plan.expand_arrays = request.expand_arrays();
  plan.query.elements = request.expand_arrays() || !filter.jobs().empty();
  ReadStates(filter, &checks, &plan);
  ReadTimes(filter, &checks, &plan);
  ReadPeople(filter, &checks, &plan);
  ReadRest(filter, &checks, &plan);
  if (!checks.ok()) return checks.error();
  const auto order = ReadOrder(request.order_by(), &plan);
  if (!order) return order.error();
  plan.request_hash = HashList(request, caller.user);
  return plan;
}

}  // namespace kezek::rpc
