// Goal: who administers an institution rules below it, within what it was given: every setting, by
// the rpcs, as kezekd checks it; and is told nothing of others, by trying settings neither. Method:
// a server over the real controller's thread with a store in memory; a table of changes and what
// comes of each; the jobs that settings let in.

#include <gtest/gtest.h>

#include <functional>
#include <future>
#include <string>
#include <utility>
#include <vector>

#include "cmd/kezekd/controller_thread.h"
#include "kezek/v1/access.grpc.pb.h"
#include "kezek/v1/quota.grpc.pb.h"
#include "scheduler/sim/memory_store.h"
#include "scheduler/sim/workload.h"
#include "tests/unit/rpc/served.h"

namespace kezek::rpc {
namespace {

class NoCluster final : public Cluster {
 public:
  void Submit(Launch) override {}
  void Release(const AttemptRef&, std::int64_t, const std::string&) override {}
  void Cancel(const AttemptRef&, std::int64_t, const std::string&) override {}
  void Signal(const AttemptRef&, std::int64_t, const std::string&, const std::string&,
              bool) override {}
  void SetLimit(const Followed&, DurationMs) override {}
  void FindByName(const AttemptRef&) override {}
  void Look(const Followed&) override {}
  void Reconcile() override {}
  void Follow(std::vector<Followed>) override {}
};

control::ControlConfig Config() {
  control::ControlConfig config = sim::SimConfig();
  config.rate_milli["h200"] = 1000;
  config.classifications = {"public", "internal", "secret"};
  return config;
}

// Of 64 GPUs kaznu was given 32, up to 40 at once, 32 for a job, for two days, in the classes
// normal and debug, data up to internal, and 100 GPU-hours. acme has 16.
std::vector<Account> Accounts(const World& world) {
  std::map<AccountId, Account> accounts = world.directory.accounts;
  accounts.at(kRootAccount).name = "cluster";
  for (const auto& [account, gpus] : std::map<AccountId, MilliGpus>{{kRootAccount, 64'000},
                                                                    {World::kUniversities, 48'000},
                                                                    {World::kKaznu, 32'000},
                                                                    {World::kNlp, 16'000},
                                                                    {World::kCv, 8000},
                                                                    {World::kFirms, 16'000},
                                                                    {World::kAcme, 16'000}}) {
    accounts.at(account).settings.shares["h200"].guarantee_milli = gpus;
  }
  AccountSettings& kaznu = accounts.at(World::kKaznu).settings;
  kaznu.account_limits = {
      .running_milli = 40'000, .jobs_queued = 3, .job_milli = 32'000, .time_limit_ms = 2 * kDayMs};
  kaznu.classes = {"normal", "debug"};
  kaznu.highest_classification = "internal";
  kaznu.budgets = {
      {.name = "q1", .milli_gpu_hours = 100'000, .start_ms = 1, .end_ms = 90 * kDayMs}};
  std::vector<Account> list;
  for (const auto& [id, account] : accounts) list.push_back(account);
  return list;
}

class InstitutionAdmin : public Served {
 protected:
  InstitutionAdmin() {
    std::vector<User> users;
    for (const auto& [id, user] : world_.directory.users) users.push_back(user);
    memory_.Seed(Accounts(world_), users);
    memory_.SetObserver(&controller_);
    memory_.SetTime(clock_.Now());
  }
  void SetUp() override {
    ASSERT_TRUE(controller_.Start({.state = &memory_, .cluster = &cluster_}).has_value());
    NodesObserved nodes{sim::SimNodes()};
    for (Node& node : nodes.nodes) node.health = NodeHealth::kUp;
    controller_.sink()(nodes);
    for (const auto& [hash, token] : world_.directory.tokens) {
      PutToken put{.token = token, .text = "a test"};
      put.token.id = {};
      ASSERT_TRUE(Ask(std::move(put)).has_value());
    }
    Served::SetUp();
    quota_ = v1::QuotaService::NewStub(channel_);
  }
  void TearDown() override {
    Served::TearDown();
    controller_.Stop();
  }
  void Adjust(ServerConfig*, ServerPorts* ports) override { ports->desk = &controller_; }

  Result<CommandOutcome> Ask(CommandBody body) {
    std::promise<Result<CommandOutcome>> answer;
    controller_.Do({World::kRoot, "root@kezek", std::move(body)},
                   [&answer](Result<CommandOutcome> done) { answer.set_value(std::move(done)); });
    return answer.get_future().get();
  }
  // The account as it is, to be changed.
  v1::AccountChange Now(const std::string& path) {
    v1::GetAccountRequest request;
    request.set_account(path);
    v1::GetAccountResponse response;
    EXPECT_TRUE(quota_->GetAccount(As("root@kezek").get(), request, &response).ok()) << path;
    v1::AccountChange change;
    change.set_path(path);
    change.set_kind(response.account().kind());
    *change.mutable_settings() = response.account().settings();
    return change;
  }
  // "ok", or the field below the change and the reason.
  std::string Apply(const std::string& user, v1::ApplyAccountsRequest request,
                    v1::ApplyAccountsResponse* response) {
    request.set_reason("order 1");
    const auto status = quota_->ApplyAccounts(As(user).get(), request, response);
    if (status.ok()) return "ok";
    const v1::ErrorDetail detail = Detail(status);
    return detail.field() + " " + detail.reason();
  }
  std::string Plan(const std::string& user, v1::ApplyAccountsRequest request) {
    request.set_plan_only(true);
    v1::ApplyAccountsResponse response;
    return Apply(user, std::move(request), &response);
  }
  v1::WhatIf WhatIf(const std::string& user, const v1::AccountChange& change) {
    v1::ApplyAccountsRequest request;
    *request.add_changes() = change;
    request.set_plan_only(true);
    request.set_what_if(true);
    v1::ApplyAccountsResponse response;
    EXPECT_EQ(Apply(user, std::move(request), &response), "ok");
    return response.what_if();
  }
  // A job of nlp's that waits: whole nodes for so many hours.
  std::string Queue(std::int32_t nodes, std::int64_t hours) {
    JobSpec spec;
    spec.project = World::kNlp;
    spec.job_class = "normal";
    spec.shape = {nodes, 8, "h200", 64, 1'024'000, false};
    spec.time_limit_ms = hours * kHourMs;
    Submission submission;
    submission.user = World::kAizhan;
    submission.spec = std::make_shared<const JobSpec>(std::move(spec));
    submission.idempotency_key = "k" + std::to_string(++keys_);
    std::string text;
    memory_.Submit({submission}, [&text](Result<std::vector<Submitted>> done) {
      ASSERT_TRUE(done.has_value());
      text = ToText({done->at(0).id});
    });
    return text;
  }

  const World world_;
  NoCluster cluster_;
  sim::MemoryStore memory_{"inst"};
  kezekd::ControllerThread controller_{Config(), clock_};
  std::unique_ptr<v1::QuotaService::Stub> quota_;
  int keys_ = 0;
};

constexpr const char* kNlp = "universities/kaznu/nlp";
constexpr const char* kDenied = " NOT_ADMINISTRATOR";

using Wire = v1::AccountSettings;
v1::Share& H200(Wire& settings) { return (*settings.mutable_shares())["h200"]; }

// One setting of an account, by the admin of kaznu.
struct Row {
  const char* path;
  const char* what;
  std::function<void(Wire&)> set;
  const char* outcome;
};

void SetBudget(Wire& settings) {
  settings.clear_budgets();
  v1::BudgetSpec& one = *settings.add_budgets();
  one.set_name("more");
  one.set_milli_gpu_hours(500'000);
  one.set_start_ms(1);
  one.set_end_ms(80 * kDayMs);
}

std::vector<Row> Rows() {
  const auto weight = [](Wire& s) { H200(s).set_weight_milli(9000); };
  const auto guarantee = [](std::int64_t gpus) {
    return [gpus](Wire& s) { H200(s).set_guarantee_milli_gpus(gpus * 1000); };
  };
  const auto limits = [](Wire& s) {
    s.mutable_account_limits()->set_running_milli_gpus(8000);
    s.mutable_user_limits()->set_jobs_queued(2);
  };
  const auto no_limits = [](Wire& s) { s.clear_account_limits(); };
  const auto classes = [](std::vector<std::string> names) {
    return [names](Wire& s) { s.mutable_job_classes()->Assign(names.begin(), names.end()); };
  };
  const auto data = [](const char* highest) {
    return [highest](Wire& s) { s.set_highest_classification(highest); };
  };
  const auto target = [](Wire& s) { H200(s).set_target_ppm(500'000); };
  const auto borrow = [](Wire& s) { H200(s).set_borrow_max_milli_gpus(4000); };
  const auto lend = [](Wire& s) { H200(s).set_lend_max_milli_gpus(4000); };
  const auto rule = [](Wire& s) { s.set_rule(v1::PROJECT_RULE_FIFO); };
  const auto time = [](Wire& s) { s.set_default_time_limit_ms(kHourMs); };
  const auto account = [](Wire& s) { s.set_slurm_account("ministry"); };
  const auto qos = [](Wire& s) { s.set_slurm_qos("high"); };
  const auto nodes = [](Wire& s) { s.add_dedicated_nodes("n1"); };
  const char* const kaznu = "universities/kaznu";
  const char* const acme = "firms/acme";
  return {
      {kNlp, "weight", weight, "ok"},
      {kNlp, "guarantee", guarantee(24), "ok"},
      // With cv's 8, where the sum passes what kaznu has: an account that the request has not.
      {kNlp, "guarantees above in sum", guarantee(25), "changes ABOVE_PARENT"},
      {kNlp, "guarantee above", guarantee(33),
       "changes[0].settings.shares[h200].guarantee_milli_gpus ABOVE_PARENT"},
      {kNlp, "borrow_max", borrow, "ok"},
      {kNlp, "lend_max", lend, "ok"},
      {kNlp, "target", target, "ok"},
      {kNlp, "limits", limits, "ok"},
      {kNlp, "classes", classes({"debug"}), "ok"},
      {kNlp, "classes as above", classes({}), "ok"},
      {kNlp, "a class not given", classes({"debug", "realtime"}),
       "changes[0].settings.job_classes CLASS_NOT_ALLOWED"},
      {kNlp, "classification", data("public"), "ok"},
      {kNlp, "classification as above", data(""), "ok"},
      {kNlp, "classification not given", data("secret"),
       "changes[0].settings.highest_classification ABOVE_PARENT"},
      {kNlp, "budget", SetBudget, "ok"},
      {kNlp, "rule", rule, "ok"},
      {kNlp, "default time", time, "ok"},
      {kNlp, "account in Slurm", account, "changes[0].settings.slurm_account NOT_ADMINISTRATOR"},
      {kNlp, "QOS in Slurm", qos, "changes[0].settings.slurm_qos NOT_ADMINISTRATOR"},
      {kNlp, "nodes not given", nodes, "changes[0].settings.dedicated_nodes NOT_ADMINISTRATOR"},
      {kaznu, "own weight", weight, kDenied},
      {kaznu, "own guarantee", guarantee(40), kDenied},
      {kaznu, "own limits", no_limits, kDenied},
      {kaznu, "own classes", classes({}), kDenied},
      {kaznu, "own classification", data("secret"), kDenied},
      {kaznu, "own budget", SetBudget, kDenied},
      {"universities", "the sector's weight", weight, kDenied},
      {acme, "another's weight", weight, kDenied},
      {acme, "another's guarantee", guarantee(0), kDenied},
      {"firms/acme/bot", "another's limits", limits, kDenied},
      {"", "the root's", weight, kDenied},
  };
}

TEST_F(InstitutionAdmin, SetsWhatIsBelowWithinWhatTheInstitutionWasGiven) {
  const std::int64_t version = controller_.view()->directory->settings_version;
  for (const Row& row : Rows()) {
    v1::ApplyAccountsRequest request;
    *request.add_changes() = Now(row.path);
    row.set(*request.mutable_changes(0)->mutable_settings());
    EXPECT_EQ(Plan("chief@kaznu", request), row.outcome) << row.path << ": " << row.what;
    v1::ApplyAccountsResponse response;
    if (std::string(row.outcome) == "ok") continue;
    EXPECT_EQ(Apply("chief@kaznu", request, &response), row.outcome) << row.what;
  }
  EXPECT_EQ(controller_.view()->directory->settings_version, version) << "nothing has changed";
}

TEST_F(InstitutionAdmin, MovesAndMakesOnlyInside) {
  struct Move {
    const char* path;
    const char* move_to;
    const char* outcome;
  };
  for (const Move& row : std::vector<Move>{
           {"universities/kaznu/new", "", "ok"},
           {kNlp, "universities/kaznu/speech", "ok"},
           {kNlp, "universities/nlp", kDenied},
           {kNlp, "firms/acme/nlp", kDenied},
           {"firms/acme/bot", "universities/kaznu/bot", kDenied},
           {"universities/kaznu", "universities/kaz", kDenied},
           {"universities/new", "", kDenied},
           {"firms/acme/new", "", kDenied},
           {"universities/kaznu/cv", "universities/kaznu/nlp/cv", "changes[0].path BELOW_PROJECT"},
       }) {
    v1::ApplyAccountsRequest request;
    v1::AccountChange& change = *request.add_changes();
    change.set_path(row.path);
    change.set_move_to(row.move_to);
    change.set_kind("project");
    EXPECT_EQ(Plan("chief@kaznu", request), row.outcome) << row.path << " → " << row.move_to;
  }
}

TEST_F(InstitutionAdmin, GivesRolesBelowAndNoneThatReachesFurther) {
  const auto access = v1::AccessService::NewStub(channel_);
  struct Grant {
    v1::Role role;
    const char* account;
    const char* outcome;
  };
  for (const Grant& row :
       std::vector<Grant>{{v1::ROLE_PROJECT_LEAD, kNlp, "OK"},
                          {v1::ROLE_INSTITUTION_ADMIN, "universities/kaznu", "OK"},
                          {v1::ROLE_INSTITUTION_ADMIN, "universities", "NOT_ADMINISTRATOR"},
                          {v1::ROLE_RESEARCHER, "firms/acme/bot", "ACCOUNT_NOT_FOUND"},
                          {v1::ROLE_CLUSTER_ADMIN, "", "NOT_ADMINISTRATOR"},
                          {v1::ROLE_AUDITOR, "", "NOT_ADMINISTRATOR"}}) {
    v1::ChangeRolesRequest request;
    request.set_name("aizhan@kaznu");
    v1::RoleGrant& grant = *request.add_give();
    grant.set_role(row.role);
    grant.set_account(row.account);
    request.set_reason("a test");
    v1::User response;
    const auto status = access->ChangeRoles(As("chief@kaznu").get(), request, &response);
    EXPECT_EQ(Reason(status), row.outcome) << v1::Role_Name(row.role) << " of " << row.account;
  }
}

// What the institution bounds stays bounded, whatever its projects' settings say.
TEST_F(InstitutionAdmin, WidensNothingByTheLimitsOfAProject) {
  v1::ApplyAccountsRequest request;
  *request.add_changes() = Now(kNlp);
  Wire& settings = *request.mutable_changes(0)->mutable_settings();
  v1::Limits& limits = *settings.mutable_account_limits();
  limits.set_running_milli_gpus(64'000);
  limits.set_job_milli_gpus(64'000);
  limits.set_time_limit_ms(20 * kDayMs);
  limits.set_jobs_queued(1000);
  v1::ApplyAccountsResponse response;
  ASSERT_EQ(Apply("chief@kaznu", request, &response), "ok");
  const auto submitted = [this](const std::function<void(v1::JobSpec&)>& set) {
    v1::SubmitRequest submit = Request("s" + std::to_string(++keys_));
    submit.mutable_spec()->set_project("nlp");
    set(*submit.mutable_spec());
    v1::SubmitResponse answer;
    return Reason(stub_->Submit(As("aizhan@kaznu").get(), submit, &answer));
  };
  EXPECT_EQ(submitted([](v1::JobSpec& spec) { spec.mutable_shape()->set_gpus(40); }),
            "NEVER_FITS_LIMIT");
  EXPECT_EQ(submitted([](v1::JobSpec& spec) { spec.set_time_limit_ms(3 * kDayMs); }),
            "TIME_LIMIT_TOO_LONG");
  EXPECT_EQ(submitted([](v1::JobSpec& spec) { spec.set_job_class("realtime"); }),
            "CLASS_NOT_ALLOWED");
  EXPECT_EQ(submitted([](v1::JobSpec& spec) { spec.set_data_classification("secret"); }),
            "CLASSIFICATION_NOT_ALLOWED");
  EXPECT_EQ(submitted([](v1::JobSpec& spec) { spec.mutable_array()->set_indices("0-3"); }),
            "LIMIT_ACCOUNT_JOBS");
  EXPECT_EQ(submitted([](v1::JobSpec&) {}), "OK");
}

TEST_F(InstitutionAdmin, TriesSettingsWithinTheInstitutionsBudgetAndSeesNobodyElse) {
  const std::string job = Queue(2, 10);  // 160 GPU-hours; kaznu has 100
  v1::AccountChange nlp = Now(kNlp);
  v1::BudgetSpec& own = *nlp.mutable_settings()->add_budgets();
  own.set_name("plenty");
  own.set_milli_gpu_hours(1'000'000);
  own.set_start_ms(1);
  own.set_end_ms(80 * kDayMs);
  EXPECT_EQ(WhatIf("chief@kaznu", nlp).accounts_size(), 0) << "kaznu's budget does not hold it";

  v1::AccountChange kaznu = Now("universities/kaznu");
  kaznu.mutable_settings()->mutable_budgets(0)->set_milli_gpu_hours(200'000);
  std::vector<std::string> rows;
  const v1::WhatIf raised = WhatIf("root@kezek", kaznu);
  for (const v1::WhatIfAccount& row : raised.accounts()) {
    rows.push_back(row.account());
    if (row.account() != kNlp) continue;
    ASSERT_EQ(row.starts_size(), 1);
    EXPECT_EQ(row.starts(0), job);
    EXPECT_EQ(row.entitlement_before_milli_gpus(), 0);
    EXPECT_EQ(row.entitlement_after_milli_gpus(), 16'000);
  }
  EXPECT_EQ(rows, (std::vector<std::string>{"", "universities", "universities/kaznu", kNlp}));

  nlp = Now(kNlp);
  nlp.set_closed(true);
  const v1::WhatIf closed = WhatIf("chief@kaznu", nlp);
  ASSERT_EQ(closed.accounts_size(), 0) << "the job is stopped as it is, too";
  v1::AccountChange bot = Now("firms/acme/bot");
  v1::ApplyAccountsRequest request;
  *request.add_changes() = bot;
  request.set_what_if(true);
  EXPECT_EQ(Plan("chief@kaznu", request), kDenied);
  v1::ApplyAccountsResponse response;
  EXPECT_EQ(Apply("root@kezek", request, &response), "what_if FIELD_INVALID")
      << "not together with the change itself";
}

}  // namespace
}  // namespace kezek::rpc
