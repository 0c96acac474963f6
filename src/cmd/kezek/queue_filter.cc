#include "cmd/kezek/queue_filter.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

#include "cmd/kezek/help.h"
#include "cmd/kezek/nearest.h"
#include "cmd/kezek/render.h"
#include "cmd/kezek/times.h"
#include "cmd/kezek/usage_error.h"

namespace kezek::cli {
namespace {

const std::vector<std::string>& JobSortKeys() {
  static const std::vector<std::string> keys = {"id",   "submitted", "started", "ended",
                                                "gpus", "user",      "project", "state"};
  return keys;
}

Error BadFlag(const std::string& flag, const std::string& message) {
  return Error{Code::kInvalidArgument, flag + ": " + message, {}};
}

Result<void> AddStates(const QueueFlags& flags, v1::JobFilter& filter) {
  for (const std::string& name : flags.states) {
    std::string value = "JOB_STATE_";
    for (const char c : name == "held" ? std::string("queued") : name) {
      value += c == ' ' || c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    }
    v1::JobState state = v1::JOB_STATE_UNSPECIFIED;
    if (!v1::JobState_Parse(value, &state) || state == v1::JOB_STATE_UNSPECIFIED) {
      return BadFlag("--state", "'" + name + "' is not " + Listed(StateNames()) +
                                    DidYouMean(name, StateNames()));
    }
    const auto& states = filter.states();
    if (std::find(states.begin(), states.end(), state) == states.end()) filter.add_states(state);
  }
  return {};
}

Result<void> AddTimes(const QueueFlags& flags, std::int64_t now_ms, v1::JobFilter& filter) {
  for (const auto& [flag, text] :
       {std::pair("--since", flags.since), std::pair("--until", flags.until)}) {
    if (text.empty()) continue;
    const Result<std::int64_t> moment = ParsePast(text, now_ms);
    if (!moment) return BadFlag(flag, moment.error().message);
    v1::TimeRange& submitted = *filter.mutable_submitted();
    if (std::string(flag) == "--since") {
      submitted.set_since_ms(*moment);
    } else {
      submitted.set_until_ms(*moment);
    }
  }
  if (filter.submitted().until_ms() > 0 &&
      filter.submitted().since_ms() >= filter.submitted().until_ms()) {
    return BadFlag("--until", "is not after --since");
  }
  return {};
}

bool Has(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

}  // namespace

const std::vector<std::string>& StateNames() {
  static const std::vector<std::string> names = {"queued",    "held",   "starting",  "running",
                                                 "succeeded", "failed", "timed-out", "cancelled"};
  return names;
}

void QueueFlags::AddTo(CLI::App& command) {
  const auto list = [&command](const char* option, std::vector<std::string>& values,
                               const char* about, const char* type) {
    return command.add_option(option, values, about)->type_name(type)->allow_extra_args(false);
  };
  command.add_option("JOB", jobs, "only these jobs: 48211, 48211_7, 48211_[3-9,12]");
  command.add_flag("-a,--all", all, "everybody's, as far as I may see; without: mine");
  command.add_flag("--ended", ended, "those that are over, too");
  command.add_flag("--elements", elements, "array elements that have started one by one");
  list("-A,--project,--account", accounts, "only of these projects, institutions or sectors",
       "ACCOUNT");
  list("-u,--user", users, "only of these users", "USER");
  list("-t,--state", states, "only in these states, joined by commas", "STATE")->delimiter(',');
  list("-q,--class", classes, "only of these classes", "CLASS");
  list("-n,--name", names, "only with these names; * stands for anything", "NAME");
  list("-w,--node", nodes, "only on these nodes: n05, n[05-08]", "NODE");
  list("--reason", reasons, "only waiting for this: a code, as kezek why -o name prints it",
       "REASON");
  command.add_option("-S,--since", since, "submitted since, over or not: 2h, today, 2026-11-01")
      ->type_name("WHEN");
  command.add_option("--until", until, "submitted before, over or not")->type_name("WHEN");
  command.add_option("-s,--sort", sort, "order; the newest first if not given")
      ->type_name(Bars(JobSortKeys()))
      ->check(OneOf(JobSortKeys()));
  command.add_flag("-r,--reverse", reverse, "the other way round");
  command.add_option("--limit", limit, "rows at most; 1000 if not given")
      ->type_name("N")
      ->check(Between(1, 1'000'000));
}

Result<v1::ListJobsRequest> RequestFor(const QueueFlags& flags, std::int64_t now_ms) {
  v1::ListJobsRequest request;
  v1::JobFilter& filter = *request.mutable_filter();
  filter.set_scope(flags.all ? v1::JOB_SCOPE_ALL : v1::JOB_SCOPE_MINE);
  if (!flags.all && (!flags.accounts.empty() || !flags.users.empty() || !flags.jobs.empty())) {
    filter.set_scope(v1::JOB_SCOPE_PROJECTS);
  }
  const bool timed = !flags.since.empty() || !flags.until.empty();
  // Named states say themselves whether they are final.
  filter.set_include_final(flags.states.empty() && (flags.ended || timed || !flags.jobs.empty()));
  for (const std::string& job : flags.jobs) filter.add_jobs(job);
  for (const std::string& account : flags.accounts) filter.add_accounts(account);
  for (const std::string& user : flags.users) filter.add_users(user);
  for (const std::string& name : flags.classes) filter.add_job_classes(name);
  for (const std::string& name : flags.names) filter.add_names(name);
  for (const std::string& node : flags.nodes) filter.add_nodes(node);
  for (const std::string& reason : flags.reasons) filter.add_reasons(reason);
  Result<void> added = AddStates(flags, filter);
  if (added) added = AddTimes(flags, now_ms, filter);
  if (!added) return added.error();
  // The server's own order is the newest first.
  if (!flags.sort.empty() || flags.reverse) {
    const bool downwards = flags.reverse && !flags.sort.empty();
    request.set_order_by((flags.sort.empty() ? "id" : flags.sort) + (downwards ? " desc" : ""));
  }
  request.set_expand_arrays(flags.elements);
  return request;
}

bool IsWanted(const QueueFlags& flags, const v1::Job& job) {
  if (!Has(flags.states, "held") || job.state() != v1::JOB_STATE_QUEUED) return true;
  return job.hold() != v1::HOLD_UNSPECIFIED || Has(flags.states, "queued");
}

}  // namespace kezek::cli
