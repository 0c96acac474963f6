// Goal: everybody sees exactly what he may. Others' jobs are redacted rows in a listing and not
// there by id; no filter, order or page tells more.
// Method: a gRPC server on fakes; jobs of two institutions, and every role looking.

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "kezek/v1/quota.grpc.pb.h"
#include "tests/unit/rpc/served.h"

namespace kezek::rpc {
namespace {

class ReadTest : public Served {
 protected:
  void SetUp() override {
    Served::SetUp();
    mine_ = Submit("aizhan@kaznu", "a", Named("speech"));
    colleague_ = Submit("bolat@kaznu", "b", Named("speech-2"));
    cv_ = Submit("both@kaznu", "c", [](v1::SubmitRequest& request) {
      request.mutable_spec()->set_project("cv");
      request.mutable_spec()->set_name("vision");
    });
    foreign_ = Submit("dana@acme", "d", [](v1::SubmitRequest& request) {
      request.mutable_spec()->set_name("secret-bot");
      request.mutable_spec()->set_comment("secret comment");
      (*request.mutable_spec()->mutable_labels())["team"] = "secret-team";
    });
  }
  static std::function<void(v1::SubmitRequest&)> Named(const std::string& name) {
    return [name](v1::SubmitRequest& request) {
      request.mutable_spec()->set_name(name);
      (*request.mutable_spec()->mutable_labels())["team"] = "speech";
    };
  }

  v1::ListJobsResponse List(const std::string& user, const v1::ListJobsRequest& request) {
    v1::ListJobsResponse response;
    const auto status = stub_->List(As(user).get(), request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  std::set<std::int64_t> Ids(const std::string& user, const v1::ListJobsRequest& request) {
    std::set<std::int64_t> ids;
    const auto response = List(user, request);
    for (const auto& job : response.jobs()) ids.insert(job.id());
    return ids;
  }
  std::string GetReason(const std::string& user, const std::string& job, bool script = false) {
    v1::GetJobsRequest request;
    request.add_jobs(job);
    request.set_script(script);
    v1::GetJobsResponse response;
    return Reason(stub_->Get(As(user).get(), request, &response));
  }
  static v1::ListJobsRequest Scope(v1::JobScope scope) {
    v1::ListJobsRequest request;
    request.mutable_filter()->set_scope(scope);
    return request;
  }

  std::int64_t mine_ = 0;
  std::int64_t colleague_ = 0;
  std::int64_t cv_ = 0;
  std::int64_t foreign_ = 0;
};

TEST_F(ReadTest, ByIdOthersJobsAreNotThere) {
  const std::string mine = std::to_string(mine_);
  const std::string foreign = std::to_string(foreign_);
  EXPECT_EQ(GetReason("aizhan@kaznu", mine), "OK");
  EXPECT_EQ(GetReason("aizhan@kaznu", std::to_string(colleague_)), "OK") << "her project's";
  EXPECT_EQ(GetReason("aizhan@kaznu", std::to_string(cv_)), "JOB_NOT_FOUND");
  EXPECT_EQ(GetReason("aizhan@kaznu", foreign), "JOB_NOT_FOUND");
  EXPECT_EQ(GetReason("chief@kaznu", mine), "OK");
  EXPECT_EQ(GetReason("chief@kaznu", foreign), "JOB_NOT_FOUND");
  EXPECT_EQ(GetReason("meter@kezek", mine), "JOB_NOT_FOUND");
  for (const auto* all : {"root@kezek", "audit@kezek"}) EXPECT_EQ(GetReason(all, foreign), "OK");
  // Word for word as if it did not exist.
  v1::GetJobsRequest request;
  request.add_jobs(foreign);
  v1::GetJobsResponse response;
  const auto there = stub_->Get(As("aizhan@kaznu").get(), request, &response);
  request.set_jobs(0, "999999");
  const auto nowhere = stub_->Get(As("aizhan@kaznu").get(), request, &response);
  std::string message = there.error_message();
  message.replace(message.find(foreign), foreign.size(), "999999");
  EXPECT_EQ(message, nowhere.error_message());
}

TEST_F(ReadTest, AChargeIsTheLedgersOnceTheAttemptHasEnded) {
  store_.Change(
      {JobId{mine_}},
      [](JobRecord& record) {
        Attempt ended{.ref = {record.job.ref, 1}, .state = AttemptState::kEnded};
        ended.start_ms = 1000;
        ended.end_ms = 100'000'000;  // long after what was held for it
        ended.limit_ms = kMinuteMs;
        ended.counted_milli = 1000;
        record.attempts = {ended, ended, ended};
        record.attempts[1].ref.number = 2;  // has no entries
        record.attempts[2].ref.number = 3;
        record.attempts[2].state = AttemptState::kRunning;
        record.charged = {{1, 180'000'000}};
        record.refunded = {{1, 60'000'000}};
      },
      "queued", "running");
  v1::GetJobsRequest request;
  request.add_jobs(std::to_string(mine_));
  v1::GetJobsResponse response;
  ASSERT_TRUE(stub_->Get(As("aizhan@kaznu").get(), request, &response).ok());
  const auto& attempts = response.jobs(0).attempts();
  ASSERT_EQ(attempts.size(), 3);
  EXPECT_EQ(attempts.at(0).charge_milli_gpu_ms(), 180'000'000);
  EXPECT_EQ(attempts.at(0).refunded_milli_gpu_ms(), 60'000'000);
  EXPECT_EQ(attempts.at(1).charge_milli_gpu_ms(), 0);
  EXPECT_EQ(attempts.at(1).refunded_milli_gpu_ms(), 0);
  EXPECT_GT(attempts.at(2).charge_milli_gpu_ms(), 0) << "what the desk says of one that runs";
}

TEST_F(ReadTest, ScriptsAreForOwnersLeadsAndAdmins) {
  const std::string mine = std::to_string(mine_);
  EXPECT_EQ(GetReason("aizhan@kaznu", mine, true), "OK");
  EXPECT_EQ(GetReason("bolat@kaznu", mine, true), "OK");
  EXPECT_EQ(GetReason("chief@kaznu", mine, true), "OK");
  EXPECT_EQ(GetReason("root@kezek", mine, true), "OK");
  EXPECT_EQ(GetReason("both@kaznu", mine, true), "NOT_OWNER");
  EXPECT_EQ(GetReason("audit@kezek", mine, true), "NOT_OWNER");
}

TEST_F(ReadTest, ScopesAreWhatTheySay) {
  EXPECT_EQ(Ids("aizhan@kaznu", {}), std::set{mine_});
  EXPECT_EQ(Ids("aizhan@kaznu", Scope(v1::JOB_SCOPE_PROJECTS)), (std::set{mine_, colleague_}));
  EXPECT_EQ(Ids("both@kaznu", Scope(v1::JOB_SCOPE_PROJECTS)), (std::set{mine_, colleague_, cv_}));
  EXPECT_EQ(Ids("chief@kaznu", Scope(v1::JOB_SCOPE_PROJECTS)), (std::set{mine_, colleague_, cv_}));
  EXPECT_EQ(Ids("root@kezek", Scope(v1::JOB_SCOPE_ALL)),
            (std::set{mine_, colleague_, cv_, foreign_}));
  EXPECT_EQ(Ids("audit@kezek", Scope(v1::JOB_SCOPE_ALL)),
            (std::set{mine_, colleague_, cv_, foreign_}));
  EXPECT_EQ(Ids("meter@kezek", Scope(v1::JOB_SCOPE_PROJECTS)), std::set<std::int64_t>{});
}

TEST_F(ReadTest, OthersRowsAreRedacted) {
  const auto response = List("aizhan@kaznu", Scope(v1::JOB_SCOPE_ALL));
  ASSERT_EQ(response.jobs_size(), 4);
  int redacted = 0;
  for (const auto& job : response.jobs()) {
    if (!job.redacted()) continue;
    ++redacted;
    v1::Job allowed;
    allowed.set_cluster("test");
    allowed.set_redacted(true);
    allowed.set_state(job.state());
    allowed.set_job_class(job.job_class());
    allowed.set_counted_milli_gpus(job.counted_milli_gpus());
    allowed.set_submitted_ms(job.submitted_ms());
    allowed.set_queued_since_ms(job.queued_since_ms());
    EXPECT_EQ(job.DebugString(), allowed.DebugString()) << "and nothing else";
    EXPECT_EQ(job.counted_milli_gpus(), 1'000);
  }
  EXPECT_EQ(redacted, 2);
  EXPECT_EQ(response.SerializeAsString().find("secret"), std::string::npos);
}

TEST_F(ReadTest, NoFilterTellsAboutOthers) {
  const auto rows = [&](const std::function<void(v1::JobFilter&)>& filter) {
    v1::ListJobsRequest request = Scope(v1::JOB_SCOPE_ALL);
    filter(*request.mutable_filter());
    return List("aizhan@kaznu", request).jobs_size();
  };
  EXPECT_EQ(rows([](auto& f) { f.add_names("secret*"); }), 0);
  EXPECT_EQ(rows([](auto& f) { f.add_names("*"); }), 2);
  EXPECT_EQ(rows([](auto& f) { f.add_users("dana@acme"); }), 0);
  EXPECT_EQ(rows([](auto& f) { f.add_users("nobody@nowhere"); }), 0);
  EXPECT_EQ(rows([&](auto& f) { f.add_jobs(std::to_string(foreign_)); }), 0);
  EXPECT_EQ(rows([&](auto& f) { f.add_jobs(std::to_string(mine_)); }), 1);
  EXPECT_EQ(rows([](auto& f) { (*f.mutable_labels())["team"] = "secret-team"; }), 0);
  EXPECT_EQ(rows([](auto& f) { (*f.mutable_labels())["team"] = ""; }), 2);
  EXPECT_EQ(rows([](auto& f) { f.add_nodes("n01"); }), 0);
  EXPECT_EQ(rows([](auto& f) { f.add_reasons("SUBMITTED"); }), 2);
  // State, class and times are theirs to match by.
  EXPECT_EQ(rows([](auto& f) { f.add_states(v1::JOB_STATE_QUEUED); }), 4);
  EXPECT_EQ(rows([](auto& f) { f.add_job_classes("normal"); }), 4);
  EXPECT_EQ(rows([](auto& f) { f.mutable_submitted()->set_since_ms(7'001); }), 0);
}

TEST_F(ReadTest, NoOrderTellsAboutOthers) {
  v1::ListJobsRequest request = Scope(v1::JOB_SCOPE_ALL);
  v1::ListJobsResponse response;
  for (const auto* order : {"user", "project desc"}) {
    request.set_order_by(order);
    EXPECT_EQ(Reason(stub_->List(As("aizhan@kaznu").get(), request, &response)), "ORDER_INVALID");
    EXPECT_EQ(Reason(stub_->List(As("root@kezek").get(), request, &response)), "OK");
  }
}

TEST_F(ReadTest, AccountsNotOnesOwnAreNotThere) {
  v1::ListJobsRequest request = Scope(v1::JOB_SCOPE_ALL);
  v1::ListJobsResponse response;
  const auto reason = [&](const std::string& user, const std::string& account) {
    request.mutable_filter()->clear_accounts();
    request.mutable_filter()->add_accounts(account);
    return Reason(stub_->List(As(user).get(), request, &response));
  };
  EXPECT_EQ(reason("aizhan@kaznu", "firms/acme"), "ACCOUNT_NOT_FOUND");
  EXPECT_EQ(reason("aizhan@kaznu", "bot"), "ACCOUNT_NOT_FOUND");
  EXPECT_EQ(reason("aizhan@kaznu", "nowhere"), "ACCOUNT_NOT_FOUND");
  EXPECT_EQ(reason("aizhan@kaznu", "universities"), "OK");
  EXPECT_EQ(response.jobs_size(), 2);
  EXPECT_EQ(reason("root@kezek", "firms"), "OK");
  EXPECT_EQ(response.jobs_size(), 1);
}

TEST_F(ReadTest, PagesShowEveryRowOnceInEveryOrder) {
  std::set<std::int64_t> all;
  for (int i = 0; i < 25; ++i) {
    all.insert(Submit("root@kezek", "p" + std::to_string(i), [&](v1::SubmitRequest& request) {
      request.mutable_spec()->set_project(i % 2 == 0 ? "nlp" : "bot");
      request.mutable_spec()->mutable_shape()->set_gpus(i % 4 + 1);
    }));
  }
  for (const auto* order : {"", "id", "id desc", "submitted", "gpus", "gpus desc", "user",
                            "project desc", "state", "started", "ended desc"}) {
    v1::ListJobsRequest request;
    request.set_order_by(order);
    request.mutable_page()->set_size(7);
    std::vector<std::int64_t> seen;
    std::vector<std::int64_t> gpus;
    for (int page = 0; page < 10; ++page) {
      const auto response = List("root@kezek", request);
      for (const auto& job : response.jobs()) {
        seen.push_back(job.id());
        gpus.push_back(job.counted_milli_gpus());
      }
      request.mutable_page()->set_token(response.page().next_token());
      if (response.page().next_token().empty()) break;
    }
    EXPECT_EQ(seen.size(), all.size()) << order;
    EXPECT_EQ(std::set<std::int64_t>(seen.begin(), seen.end()), all) << order;
    if (std::string(order) == "id") {
      EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
    } else if (std::string(order) == "gpus") {
      EXPECT_TRUE(std::is_sorted(gpus.begin(), gpus.end()));
    }
  }
}

TEST_F(ReadTest, PageTokensAreBoundToRequestAndUser) {
  v1::ListJobsRequest request = Scope(v1::JOB_SCOPE_PROJECTS);
  request.mutable_page()->set_size(1);
  const auto first = List("aizhan@kaznu", request);
  ASSERT_FALSE(first.page().next_token().empty());
  request.mutable_page()->set_token(first.page().next_token());
  v1::ListJobsResponse response;
  EXPECT_TRUE(stub_->List(As("aizhan@kaznu").get(), request, &response).ok());
  EXPECT_EQ(Reason(stub_->List(As("bolat@kaznu").get(), request, &response)), "PAGE_TOKEN_INVALID");
  auto other = request;
  other.mutable_filter()->add_names("x");
  EXPECT_EQ(Reason(stub_->List(As("aizhan@kaznu").get(), other, &response)), "PAGE_TOKEN_INVALID");
  request.mutable_page()->set_token("garbage");
  EXPECT_EQ(Reason(stub_->List(As("aizhan@kaznu").get(), request, &response)),
            "PAGE_TOKEN_INVALID");
  request.mutable_page()->clear_token();
  request.mutable_page()->set_size(1001);
  EXPECT_EQ(Reason(stub_->List(As("aizhan@kaznu").get(), request, &response)), "FIELD_INVALID");
}

TEST_F(ReadTest, MalformedFiltersAreRefusedByName) {
  struct Case {
    const char* field;
    std::function<void(v1::ListJobsRequest&)> spoil;
  };
  const Case cases[] = {
      {"filter.scope", [](auto& r) { r.mutable_filter()->set_scope(v1::JobScope(9)); }},
      {"filter.states[0]", [](auto& r) { r.mutable_filter()->add_states(v1::JobState(0)); }},
      {"filter.states[0]", [](auto& r) { r.mutable_filter()->add_states(v1::JobState(99)); }},
      {"filter.submitted.since_ms",
       [](auto& r) { r.mutable_filter()->mutable_submitted()->set_since_ms(-1); }},
      {"filter.active.until_ms",
       [](auto& r) {
         r.mutable_filter()->mutable_active()->set_since_ms(5);
         r.mutable_filter()->mutable_active()->set_until_ms(4);
       }},
      {"filter.nodes[0]", [](auto& r) { r.mutable_filter()->add_nodes("n[1-"); }},
      {"filter.jobs[0]", [](auto& r) { r.mutable_filter()->add_jobs("abc"); }},
      {"filter.reasons[0]", [](auto& r) { r.mutable_filter()->add_reasons("BECAUSE"); }},
      {"order_by", [](auto& r) { r.set_order_by("name"); }},
      {"order_by", [](auto& r) { r.set_order_by("id  desc"); }}};
  for (const auto& one : cases) {
    v1::ListJobsRequest request;
    one.spoil(request);
    v1::ListJobsResponse response;
    const auto status = stub_->List(As("aizhan@kaznu").get(), request, &response);
    ASSERT_FALSE(status.ok()) << one.field;
    EXPECT_EQ(Detail(status).field(), one.field);
  }
}

TEST_F(ReadTest, ArraysAreOneRowAndElementsTheirOwn) {
  const std::int64_t id = Submit("aizhan@kaznu", "arr", [](v1::SubmitRequest& request) {
    request.mutable_spec()->mutable_array()->set_indices("0-9");
  });
  // Elements 0 and 1 have got rows; 2 was cancelled before it got one.
  store_.Change(
      Ref(id),
      [](JobRecord& record) {
        record.job.pending = {{3, 9, 1}};
        record.elements = {
            {JobState::kQueued, 7}, {JobState::kRunning, 1}, {JobState::kSucceeded, 1}};
      },
      "queued", "queued");
  JobRecord row = *store_.GetJob(Ref(id));
  Job element = row.job;
  element.pending.clear();
  element.ref.element = 0;
  store_.Put({.job = element}, "", "queued");
  End(Ref(id, 0), JobState::kSucceeded, "succeeded");
  element.ref.element = 1;
  store_.Put({.job = element}, "", "queued");
  Run(Ref(id, 1));

  v1::GetJobsRequest get;
  get.add_jobs(std::to_string(id));
  get.add_jobs(std::to_string(id) + "_[0-3]");
  v1::GetJobsResponse got;
  ASSERT_TRUE(stub_->Get(As("aizhan@kaznu").get(), get, &got).ok());
  ASSERT_EQ(got.jobs_size(), 5);
  EXPECT_EQ(got.jobs(0).array().total(), 10);
  EXPECT_EQ(got.jobs(0).array().cancelled(), 1);
  EXPECT_EQ(got.jobs(0).array().queued_indices(), "3-9");
  EXPECT_EQ(got.jobs(0).state(), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(got.jobs(1).state(), v1::JOB_STATE_SUCCEEDED);
  EXPECT_EQ(got.jobs(2).state(), v1::JOB_STATE_RUNNING);
  EXPECT_EQ(got.jobs(3).state(), v1::JOB_STATE_CANCELLED);
  EXPECT_EQ(got.jobs(4).state(), v1::JOB_STATE_QUEUED);
  EXPECT_EQ(got.jobs(4).job(), std::to_string(id) + "_3");
  EXPECT_EQ(got.jobs(2).attempts(0).stdout_path(), "/out/" + std::to_string(id) + "_1/1/stdout");
  EXPECT_EQ(GetReason("aizhan@kaznu", std::to_string(id) + "_10"), "JOB_NOT_FOUND");

  v1::ListJobsRequest list;
  list.mutable_filter()->add_states(v1::JOB_STATE_RUNNING);
  auto listed = List("aizhan@kaznu", list);
  ASSERT_EQ(listed.jobs_size(), 1);
  EXPECT_EQ(listed.jobs(0).job(), std::to_string(id)) << "one row, running as one element is";
  list.set_expand_arrays(true);
  EXPECT_EQ(List("aizhan@kaznu", list).jobs_size(), 2);
  list.mutable_filter()->add_nodes("n0[1-2]");
  EXPECT_EQ(List("aizhan@kaznu", list).jobs_size(), 2);
  list.mutable_filter()->set_nodes(0, "n05");
  EXPECT_EQ(List("aizhan@kaznu", list).jobs_size(), 0);
}

TEST_F(ReadTest, UsageReadsTheChargesOfWhatIsShownAlone) {
  World world;
  world.directory.rate_milli["h200"] = 1000;
  desk_.SetView(world.MakeView());
  const auto quota = v1::QuotaService::NewStub(channel_);
  const auto asked = [&](const std::string& user, const std::string& account) {
    v1::GetUsageRequest request;
    request.set_account(account);
    v1::GetUsageResponse response;
    store_.totals_asked.clear();
    EXPECT_TRUE(quota->GetUsage(As(user).get(), request, &response).ok()) << user;
    return store_.totals_asked;
  };
  using Ids = std::set<AccountId>;
  EXPECT_EQ(asked("aizhan@kaznu", ""), Ids{World::kNlp});
  EXPECT_EQ(asked("both@kaznu", ""), (Ids{World::kNlp, World::kCv}));
  EXPECT_EQ(asked("chief@kaznu", "universities/kaznu"),
            (Ids{World::kKaznu, World::kNlp, World::kCv}));
  EXPECT_EQ(asked("root@kezek", "firms"), (Ids{World::kFirms, World::kAcme, World::kBot}));
  EXPECT_EQ(asked("root@kezek", "").size(), 8U);
}

TEST_F(ReadTest, UsageShowsTargetsBesideWhatIsDueAndReceived) {
  World world;
  world.directory.rate_milli["h200"] = 1000;
  world.directory.accounts.at(World::kFirms).settings.shares["h200"].target_ppm = 400'000;
  View view = *world.MakeView();
  view.standings[{World::kFirms, "h200"}] = {.entitled_milli = 6000, .usage_gpu_hours = 30};
  view.standings[{World::kUniversities, "h200"}] = {.entitled_milli = 18'000,
                                                    .usage_gpu_hours = 90};
  desk_.SetView(std::make_shared<const View>(view));
  const auto quota = v1::QuotaService::NewStub(channel_);
  v1::GetUsageResponse response;
  ASSERT_TRUE(quota->GetUsage(As("root@kezek").get(), {}, &response).ok());
  std::map<std::string, v1::UsageRow> rows;
  for (const v1::UsageRow& row : response.rows()) rows[row.account()] = row;
  EXPECT_EQ(rows.at("firms").target_ppm(), 400'000);
  EXPECT_EQ(rows.at("firms").usage_ppm(), 250'000);
  EXPECT_EQ(rows.at("firms").entitled_ppm(), 250'000);
  EXPECT_FALSE(rows.at("universities").has_target_ppm());
  EXPECT_EQ(rows.at("universities").entitled_ppm(), 750'000);
}

TEST_F(ReadTest, ReasonsAndPlacesAreOfTheLastTick) {
  auto view = std::make_shared<View>(*World().MakeView());
  view->waiting = std::make_shared<const WaitingStandings>(std::map<JobRef, JobStanding>{
      {Ref(mine_), {{ReasonCode::kWaitsForGpus, {{"nodes", "1"}}}, 3, 2}}});
  view->queued_in_account[World::kNlp] = 2;
  view->standings[{World::kNlp, "h200"}] = {.guarantee_milli = 900,
                                            .allocated_milli = 4'000,
                                            .place = 1,
                                            .siblings = 2,
                                            .guarantee_now_milli = 500};
  desk_.SetView(view);
  v1::ExplainRequest request;
  request.set_job(std::to_string(mine_));
  v1::ExplainResponse response;
  ASSERT_TRUE(stub_->Explain(As("aizhan@kaznu").get(), request, &response).ok());
  EXPECT_EQ(response.reason().code(), "WAITS_FOR_GPUS");
  EXPECT_EQ(response.job().reason().code(), "WAITS_FOR_GPUS");
  EXPECT_EQ(response.rank(), 3);
  EXPECT_EQ(response.place_in_project(), 2);
  EXPECT_EQ(response.queued_in_project(), 2);
  ASSERT_EQ(response.accounts_size(), 3);
  EXPECT_EQ(response.accounts(0).account(), "universities");
  EXPECT_EQ(response.accounts(2).account(), "universities/kaznu/nlp");
  EXPECT_EQ(response.accounts(2).guarantee_milli_gpus(), 900);
  EXPECT_EQ(response.accounts(2).guarantee_now_milli_gpus(), 500);
  EXPECT_EQ(response.accounts(2).borrowed_milli_gpus(), 3'500);
  EXPECT_FALSE(response.accounts(2).inside_guarantee());
  request.set_job(std::to_string(foreign_));
  EXPECT_EQ(Reason(stub_->Explain(As("aizhan@kaznu").get(), request, &response)), "JOB_NOT_FOUND");
}

}  // namespace
}  // namespace kezek::rpc
