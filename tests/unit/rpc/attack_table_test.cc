// Goal: what a role reaches through an rpc is what the access table says, object by object: one's
// own, another's of the same project, another project's of the same institution, another
// institution's. What another institution has answers as if it had never been.
// Method: a server on fakes; every role asks every rpc about one object of each kind, on a fresh
// world each time. The outcomes are judged by the reach in the access table, and are as a whole
// what attack_table.md next to this file says; with KEZEK_REWRITE_GOLDEN=1 it is written anew.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "kezek/v1/access.pb.h"
#include "kezek/v1/cluster.pb.h"
#include "kezek/v1/quota.pb.h"
#include "rpc/access_table.h"
#include "rpc/caller.h"
#include "tests/unit/rpc/attack.h"

namespace kezek::rpc {
namespace {

// In the order of Role.
const std::vector<std::string> kCallers = {"aizhan@kaznu", "bolat@kaznu", "chief@kaznu",
                                           "root@kezek",   "audit@kezek", "meter@kezek"};

// What is asked about: a job and whose it is, where it runs, and that user's token.
struct Object {
  std::string kind;
  std::string job;
  std::string user;
  std::string account;
  std::string token;
  std::string node;
  bool for_another = false;  // the caller submits on behalf of the user
};

using Ask = std::function<std::string(const Object&)>;
using Tell = std::function<std::string(const std::string& bytes, const Object&)>;

struct Question {
  std::string rpc;             // without "/kezek.v1."
  std::set<std::string> none;  // kinds of objects that there are not for it
  Ask ask;
  Tell tell;  // of an answer, the outcome; none: it is "OK"
};

template <class Request, class Fill>
Ask About(Fill fill) {
  return [fill](const Object& object) {
    Request request;
    fill(object, request);
    return request.SerializeAsString();
  };
}

// Whether an answer has it: "seen" or "unseen".
template <class Response, class Has>
Tell Seen(Has has) {
  return [has](const std::string& bytes, const Object& object) {
    Response response;
    if (!response.ParseFromString(bytes)) return "no answer";
    return has(response, object) ? "seen" : "unseen";
  };
}

void FillSubmit(const Object& object, v1::SubmitRequest& request) {
  request.set_idempotency_key("a" + object.account + object.user);
  if (object.for_another) request.set_user(object.user);
  request.mutable_spec()->set_script("#!/bin/sh\n");
  request.mutable_spec()->set_working_dir("/home/x");
  request.mutable_spec()->set_project(object.account);
  request.mutable_spec()->mutable_shape()->set_gpus(1);
}

std::string TellOfMany(const std::string& bytes, const Object&) {
  v1::SubmitManyResponse response;
  if (!response.ParseFromString(bytes) || response.results_size() != 1) return "no answer";
  if (response.results(0).has_ok()) return "OK";
  v1::Status status;
  v1::ErrorDetail detail;
  if (!status.ParseFromString(response.results(0).error()) || status.details().empty()) return "?";
  status.details(0).UnpackTo(&detail);
  return detail.reason();
}

std::vector<Question> AboutJobs() {
  const auto submit = About<v1::SubmitRequest>(FillSubmit);
  const auto many = About<v1::SubmitManyRequest>(
      [](const auto& object, auto& request) { FillSubmit(object, *request.add_submissions()); });
  const auto one = [](const auto& object, auto& request) { request.set_job(object.job); };
  const auto list = [](const auto& object, auto& request) { request.add_jobs(object.job); };
  const auto watch = [](const auto& object, auto& request) {
    request.add_jobs(object.job);
    request.set_after_seq(0);
    request.set_until_final(true);
  };
  const auto filter = [](const auto& object, auto& request) {
    request.mutable_filter()->set_scope(v1::JOB_SCOPE_ALL);
    request.mutable_filter()->add_jobs(object.job);
  };
  const auto comment = [](const auto& object, auto& request) {
    request.add_jobs(object.job);
    request.set_comment("mine now");
  };
  const auto update = [comment](const auto& object, auto& request) {
    comment(object, request);
    request.set_reason("so that it is on record");
  };
  const auto row = [](const v1::ListJobsResponse& response, const Object& object) {
    return response.jobs_size() == 1 && std::to_string(response.jobs(0).id()) == object.job;
  };
  const auto log = [](const v1::LogsResponse& response, const Object& object) {
    return response.data() == "of " + object.job;
  };
  return {
      {"JobService/Submit", {"own"}, submit, {}},
      {"JobService/SubmitMany", {"own"}, many, TellOfMany},
      {"JobService/Get", {}, About<v1::GetJobsRequest>(list), {}},
      {"JobService/List", {}, About<v1::ListJobsRequest>(filter), Seen<v1::ListJobsResponse>(row)},
      {"JobService/Watch", {}, About<v1::WatchRequest>(watch), {}},
      {"JobService/Cancel", {}, About<v1::CancelRequest>(comment), {}},
      {"JobService/Update", {}, About<v1::UpdateRequest>(update), {}},
      {"JobService/Requeue", {}, About<v1::RequeueRequest>(comment), {}},
      {"JobService/ReportCheckpoint", {}, About<v1::ReportCheckpointRequest>(one), {}},
      {"JobService/Logs", {}, About<v1::LogsRequest>(one), Seen<v1::LogsResponse>(log)},
      {"JobService/Explain", {}, About<v1::ExplainRequest>(one), {}}};
}

std::vector<Question> AboutAccounts() {
  const auto account = [](const auto& object, auto& request) {
    request.set_account(object.account);
  };
  const auto title = [](const auto& object, auto& request) {
    request.set_reason("ours now");
    request.add_changes()->set_path(object.account);
    request.mutable_changes(0)->set_title("ours");
  };
  const auto revert = [](const auto& object, auto& request) {
    request.set_account(object.account);
    request.set_to_version(1);
    request.set_reason("as it was");
  };
  const auto propose = [](const auto& object, auto& request) {
    request.set_account(object.account);
    request.set_gpu_type("h200");
    request.set_amount_milli_gpu_ms(-1);
    request.set_reason("ours now");
  };
  const auto decide = [](const auto&, auto& request) { request.set_id(1); };
  const auto all = [](const auto&, auto&) {};
  const std::set<std::string> any = {"own", "same institution", "another institution"};
  return {
      {"QuotaService/GetAccount", {"own"}, About<v1::GetAccountRequest>(account), {}},
      {"QuotaService/ListAccounts", {"own"}, About<v1::ListAccountsRequest>(account), {}},
      {"QuotaService/ApplyAccounts", {"own"}, About<v1::ApplyAccountsRequest>(title), {}},
      {"QuotaService/ListChanges", {"own"}, About<v1::ListChangesRequest>(account), {}},
      {"QuotaService/RevertAccounts", {"own"}, About<v1::RevertAccountsRequest>(revert), {}},
      {"QuotaService/GetUsage", {"own"}, About<v1::GetUsageRequest>(account), {}},
      {"QuotaService/GetEntitlement", {"own"}, About<v1::GetEntitlementRequest>(account), {}},
      {"QuotaService/ListBudgets", {"own"}, About<v1::ListBudgetsRequest>(account), {}},
      {"QuotaService/ListLedger", {"own"}, About<v1::ListLedgerRequest>(account), {}},
      {"QuotaService/ProposeCorrection", {"own"}, About<v1::ProposeCorrectionRequest>(propose), {}},
      {"QuotaService/DecideCorrection", any, About<v1::DecideCorrectionRequest>(decide), {}},
      {"QuotaService/ListCorrections", any, About<v1::ListCorrectionsRequest>(all), {}},
      {"QuotaService/ReportUsage", {"own"}, About<v1::ReportUsageRequest>(account), {}},
      {"QuotaService/ReportEquity", any, About<v1::ReportEquityRequest>(all), {}},
      {"QuotaService/ExplainShare", {"own"}, About<v1::ExplainShareRequest>(account), {}}};
}

std::vector<Question> AboutNodes() {
  const auto all = [](const auto&, auto&) {};
  const auto node = [](const auto& object, auto& request) { request.add_nodes(object.node); };
  const auto reason = [](const auto&, auto& request) { request.set_reason("mended"); };
  const auto job_on = [](const auto& response, const Object& object) {
    return std::any_of(response.nodes().begin(), response.nodes().end(), [&](const auto& one) {
      return std::find(one.jobs().begin(), one.jobs().end(), object.job) != one.jobs().end();
    });
  };
  const auto event = [](const auto& object, auto& request) { request.set_name(object.job); };
  const auto event_of = Seen<v1::ListEventsResponse>([](const auto& response, const auto& object) {
    return std::any_of(response.events().begin(), response.events().end(),
                       [&](const auto& one) { return one.name() == object.job; });
  });
  const auto drain = [](const auto& object, auto& request) {
    request.add_nodes(object.node);
    request.set_reason("mine now");
  };
  const std::set<std::string> any = {"own", "same institution", "another institution"};
  return {{"ClusterService/GetCluster", any, About<v1::GetClusterRequest>(all), {}},
          {"ClusterService/ListNodes",
           {},
           About<v1::ListNodesRequest>(all),
           Seen<v1::ListNodesResponse>(job_on)},
          {"ClusterService/GetNodes",
           {},
           About<v1::GetNodesRequest>(node),
           Seen<v1::GetNodesResponse>(job_on)},
          {"ClusterService/GetTopology", any, About<v1::GetTopologyRequest>(all), {}},
          {"ClusterService/GetCapacity", any, About<v1::GetCapacityRequest>(all), {}},
          {"ClusterService/GetStatus", any, About<v1::GetStatusRequest>(all), {}},
          {"ClusterService/ListEvents", {}, About<v1::ListEventsRequest>(event), event_of},
          {"ClusterService/DrainNodes", any, About<v1::DrainNodesRequest>(drain), {}},
          {"ClusterService/ResumeNodes", any, About<v1::ResumeNodesRequest>(node), {}},
          {"ClusterService/ResumeScheduling", any, About<v1::ResumeSchedulingRequest>(reason), {}}};
}

std::vector<Question> AboutUsers() {
  const auto name = [](const auto& object, auto& request) { request.set_name(object.user); };
  const auto user = [](const auto& object, auto& request) { request.set_user(object.user); };
  const auto names = [](const auto& object, auto& request) { request.add_names(object.user); };
  const auto listed = [](const v1::ListUsersResponse& response, const Object& object) {
    return response.users_size() == 1 && response.users(0).name() == object.user;
  };
  const auto fresh = [](const auto& object, auto& request) {
    request.set_name("fresh" + object.user.substr(object.user.find('@')));
    request.add_roles()->set_role(v1::ROLE_RESEARCHER);
    request.mutable_roles(0)->set_account(object.account);
  };
  const auto give = [](const auto& object, auto& request) {
    request.set_name(object.user);
    request.add_give()->set_role(v1::ROLE_RESEARCHER);
    request.mutable_give(0)->set_account(object.account);
  };
  const auto token = [](const auto& object, auto& request) { request.set_id(object.token); };
  const auto sync = [](const auto& object, auto& request) { request.set_account(object.account); };
  return {{"AccessService/ListUsers",
           {},
           About<v1::ListUsersRequest>(names),
           Seen<v1::ListUsersResponse>(listed)},
          {"AccessService/CreateUser", {"own"}, About<v1::CreateUserRequest>(fresh), {}},
          {"AccessService/UpdateUser", {}, About<v1::UpdateUserRequest>(name), {}},
          {"AccessService/SetUnixAccount", {}, About<v1::SetUnixAccountRequest>(name), {}},
          {"AccessService/ChangeRoles", {"own"}, About<v1::ChangeRolesRequest>(give), {}},
          {"AccessService/CreateToken", {}, About<v1::CreateTokenRequest>(user), {}},
          {"AccessService/ListTokens", {}, About<v1::ListTokensRequest>(user), {}},
          {"AccessService/RevokeToken", {}, About<v1::RevokeTokenRequest>(token), {}},
          {"AccessService/SyncUsers", {"own"}, About<v1::SyncUsersRequest>(sync), {}}};
}

std::vector<Question> Questions() {
  std::vector<Question> all;
  for (auto some : {AboutJobs(), AboutAccounts(), AboutNodes(), AboutUsers()}) {
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

// About nothing but the caller, or nobody's: attack_test.cc tests who gets into them.
const std::set<std::string> kNotAsked = {"AccessService/WhoAmI",
                                         "AccessService/Login",
                                         "QuotaService/ReportReconcile",
                                         "ClusterService/ListReservations",
                                         "ClusterService/PutReservation",
                                         "ClusterService/DeleteReservation",
                                         "ClusterService/Doctor",
                                         "ClusterService/Snapshot",
                                         "ClusterService/ApplySlurmAccounts"};

const std::string kPrefix = "/kezek.v1.";

class AttackTable : public Attack {
 protected:
  static constexpr UserId kSolo{20};  // researcher of cv

  // Jobs that run, one on each node: the caller's own and bare's in nlp, solo's in cv, dana's.
  void MakeWorld(std::size_t role) {
    World world;
    world.directory.rate_milli["h200"] = 1000;
    world.directory.users.at(World::kBare).unix_account = "kz-bare";
    world.directory.users[kSolo] = {.id = kSolo,
                                    .name = "solo@kaznu",
                                    .unix_account = "kz-solo",
                                    .unix_uid = 2020,
                                    .roles = {{Role::kResearcher, World::kCv}}};
    world.directory.user_by_name["solo@kaznu"] = kSolo;
    const Sha256 hash = HashToken("kzk_solo@kaznu");
    world.directory.tokens[hash] = {
        .id = TokenId{kSolo.value}, .user = kSolo, .hash = hash, .expires_ms = World::kExpiresMs};
    const UserId self = world.directory.user_by_name.at(kCallers[role]);
    View view = *world.MakeView();
    std::vector<Alive> alive;
    objects_.clear();
    Place("own", self, World::kNlp, world.directory, &alive);
    Place("same project", World::kBare, World::kNlp, world.directory, &alive);
    Place("same institution", kSolo, World::kCv, world.directory, &alive);
    Place("another institution", World::kDana, World::kBot, world.directory, &alive);
    for (Object& object : objects_) {
      object.for_another = static_cast<Role>(role) == Role::kClusterAdmin;
    }
    view.alive = std::make_shared<const std::vector<Alive>>(std::move(alive));
    store_.history.clear();
    for (const auto& [id, account] : world.directory.accounts) {
      store_.history.push_back({.account = account});
      store_.history.back().account.version = 1;
    }
    store_.corrections = {Correction{.id = 1, .budget = {World::kNlp, ""}, .gpu_type = "h200"}};
    desk_.SetView(std::make_shared<const View>(std::move(view)));
  }

  void Place(const std::string& kind, UserId owner, AccountId project, const Directory& directory,
             std::vector<Alive>* alive) {
    const auto index = static_cast<std::int64_t>(objects_.size());
    const JobRef ref = Ref(200 + index);
    const std::string node = "n0" + std::to_string(1 + index);
    objects_.push_back({.kind = kind,
                        .job = std::to_string(ref.id.value),
                        .user = directory.users.at(owner).name,
                        .account = PathOf(directory, project),
                        .token = std::to_string(owner.value),
                        .node = node});
    auto spec = std::make_shared<JobSpec>();
    spec->project = project;
    spec->name = "job";
    spec->shape = {.nodes = 1, .gpus_per_node = 1, .gpu_type = "h200"};
    spec->time_limit_ms = kHourMs;
    spec->requeue = true;
    Attempt attempt{.ref = {ref, 1},
                    .state = AttemptState::kRunning,
                    .placement = {{node, 1, {}}},
                    .start_ms = 10'000,
                    .limit_ms = kHourMs,
                    .counted_milli = 1000};
    Alive running;
    running.attempt = attempt.ref;
    running.user = owner;
    running.project = project;
    running.placement = attempt.placement;
    alive->push_back(running);
    JobRecord record;
    record.job = {.ref = ref, .user = owner, .spec = spec, .state = JobState::kRunning};
    record.job.attempts = 1;
    record.attempts = {attempt};
    store_.Put(std::move(record), "starting", "running");
  }

  // As the object, but of what never was.
  static Object Never(const Object& object) {
    return {.kind = object.kind,
            .job = "999",
            .user = "never" + object.user.substr(object.user.find('@')),
            .account = object.account.substr(0, object.account.rfind('/')) + "/never",
            .token = "999",
            .node = "n08",
            .for_another = object.for_another};
  }

  std::string OutcomeOf(const Question& question, std::size_t role, const Object& object) {
    const Outcome outcome = Call(kCallers[role], kPrefix + question.rpc, question.ask(object));
    if (outcome.bytes.empty() && !outcome.status.ok()) return Reason(outcome.status);
    return question.tell ? question.tell(outcome.bytes, object) : "OK";
  }

  std::vector<Object> objects_;
};

bool IsReached(const AccessRow& row, std::size_t role, const std::string& kind) {
  if (kind == "own" && row.everybody) return true;
  switch (row.reach[role]) {
    case Reach::kNone:
      return false;
    case Reach::kOwn:
      return kind == "own";
    case Reach::kAccount:  // an institution admin's goes further than one project
      return kind == "own" || kind == "same project" ||
             (kind == "same institution" && static_cast<Role>(role) == Role::kInstitutionAdmin);
    case Reach::kAll:
      return true;
  }
  return false;
}

const std::set<std::string> kRefused = {
    "ROLE_MISSING",   "JOB_NOT_FOUND",   "ACCOUNT_NOT_FOUND", "PROJECT_NOT_FOUND",
    "USER_NOT_FOUND", "TOKEN_NOT_FOUND", "NOT_ADMINISTRATOR", "NOT_OWNER",
    "NOT_A_MEMBER",   "unseen"};

TEST_F(AttackTable, EveryRpcAnswersAboutEachObjectAsItsReachSays) {
  for (int index = 0; index < 4; ++index) {
    const std::string job = std::to_string(200 + index);
    output_.Append("/out/" + job + "/1/stdout", "of " + job);
  }
  std::string text;
  for (const Question& question : Questions()) {
    const AccessRow* row = FindAccess(kPrefix + question.rpc);
    ASSERT_NE(row, nullptr) << question.rpc;
    for (const char* kind : {"own", "same project", "same institution", "another institution"}) {
      if (question.none.contains(kind)) continue;
      const bool of_none = question.none.size() == 3;
      text += "| " + question.rpc + " | " + (of_none ? "-" : kind) + " |";
      for (std::size_t role = 0; role < kRoles; ++role) {
        const std::string where = question.rpc + " by " + kCallers[role] + " about " + kind;
        MakeWorld(role);
        const auto object = *std::find_if(objects_.begin(), objects_.end(),
                                          [&](const Object& one) { return one.kind == kind; });
        const std::string outcome = OutcomeOf(question, role, object);
        text += " " + outcome + " |";
        EXPECT_EQ(kRefused.contains(outcome), !IsReached(*row, role, kind))
            << where << ": " << outcome;
        const bool enters = row->everybody || row->reach[role] != Reach::kNone;
        EXPECT_EQ(outcome == "ROLE_MISSING", !enters) << where;
        if (!kRefused.contains(outcome) || object.kind != "another institution") continue;
        if (outcome == "NOT_OWNER") {  // it may be seen, not changed
          EXPECT_TRUE(IsReached(*FindAccess(kPrefix + "JobService/Get"), role, kind)) << where;
          continue;
        }
        MakeWorld(role);
        EXPECT_EQ(outcome, OutcomeOf(question, role, Never(object))) << where;
      }
      text += "\n";
    }
  }
  const char* source = std::getenv("KEZEK_SOURCE_DIR");
  const std::string path =
      std::string(source == nullptr ? "." : source) + "/tests/unit/rpc/attack_table.md";
  std::ostringstream file;
  file << std::ifstream(path).rdbuf();
  const std::string begin = "| --- | --- | --- | --- | --- | --- | --- | --- |\n";
  const auto at = file.str().find(begin);
  ASSERT_NE(at, std::string::npos) << path;
  const std::string head = file.str().substr(0, at + begin.size());
  const char* rewrite = std::getenv("KEZEK_REWRITE_GOLDEN");
  if (rewrite != nullptr && std::string(rewrite) == "1") {
    std::ofstream(path) << head << text;
    return;
  }
  EXPECT_EQ(file.str(), head + text) << "KEZEK_REWRITE_GOLDEN=1 writes " << path << " anew";
}

TEST_F(AttackTable, NoRpcIsLeftOut) {
  std::set<std::string> asked = kNotAsked;
  for (const Question& question : Questions()) asked.insert(question.rpc);
  std::set<std::string> all;
  for (const AccessRow& row : AccessTable()) {
    if (row.method != kReadMetrics) all.emplace(row.method.substr(kPrefix.size()));
  }
  EXPECT_EQ(asked, all);
}

}  // namespace
}  // namespace kezek::rpc
