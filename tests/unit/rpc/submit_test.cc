// Goal: what Submit and SubmitMany take is committed once under its key, in the right project, and
// answered as Get answers; what they refuse leaves nothing behind.
// Method: a gRPC server on fakes of store and desk, called as its clients call it.

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/rpc/served.h"

namespace kezek::rpc {
namespace {

using SubmitTest = Served;

TEST_F(SubmitTest, AnswersWithTheCommittedRow) {
  v1::SubmitRequest request = Request("k1", "llm");
  request.mutable_spec()->set_hold(true);
  request.mutable_spec()->add_ignored_options("--partition=gpu");
  (*request.mutable_spec()->mutable_environment())["SECRET"] = "value";
  v1::SubmitResponse taken;
  ASSERT_TRUE(stub_->Submit(As("aizhan@kaznu").get(), request, &taken).ok());
  EXPECT_FALSE(taken.existing());
  EXPECT_EQ(taken.job().project(), "universities/kaznu/nlp");
  EXPECT_EQ(taken.job().user(), "aizhan@kaznu");
  EXPECT_EQ(taken.job().hold(), v1::HOLD_USER);
  EXPECT_EQ(taken.job().submitted_ms(), 7'000);
  EXPECT_EQ(taken.job().resolved().job_class(), "normal");
  EXPECT_EQ(taken.job().counted_milli_gpus(), 1'000);
  ASSERT_EQ(taken.warnings_size(), 1);
  EXPECT_EQ(taken.warnings(0).code(), "WARNING");
  EXPECT_EQ(store_.last_submission().warnings.size(), 1U);
  EXPECT_EQ(store_.last_submission().environment.at("SECRET"), "value");
  EXPECT_EQ(store_.last_submission().script, request.spec().script());

  v1::GetJobsRequest get;
  get.add_jobs(taken.job().job());
  v1::GetJobsResponse got;
  ASSERT_TRUE(stub_->Get(As("aizhan@kaznu").get(), get, &got).ok());
  v1::Job committed = got.jobs(0);
  committed.clear_last_seq();
  EXPECT_EQ(committed.DebugString(), taken.job().DebugString());
  EXPECT_EQ(committed.DebugString().find("SECRET"), std::string::npos);
  EXPECT_TRUE(committed.spec().script().empty());
}

TEST_F(SubmitTest, TheSameKeyGivesTheSameJob) {
  v1::SubmitResponse first;
  v1::SubmitResponse second;
  ASSERT_TRUE(stub_->Submit(As("aizhan@kaznu").get(), Request("k1"), &first).ok());
  ASSERT_TRUE(stub_->Submit(As("aizhan@kaznu").get(), Request("k1"), &second).ok());
  EXPECT_TRUE(second.existing());
  EXPECT_EQ(second.job().id(), first.job().id());
  EXPECT_EQ(store_.jobs(), 1U);
  const auto other = stub_->Submit(As("aizhan@kaznu").get(), Request("k1", "other"), &second);
  EXPECT_EQ(other.error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(Reason(other), "IDEMPOTENCY_MISMATCH");
  // Another user's key is another key.
  ASSERT_TRUE(stub_->Submit(As("bolat@kaznu").get(), Request("k1"), &second).ok());
  EXPECT_FALSE(second.existing());
  EXPECT_EQ(store_.jobs(), 2U);
}

TEST_F(SubmitTest, TodaysLimitsDoNotRefuseWhatWasTaken) {
  const std::int64_t id = Submit("aizhan@kaznu", "k1");
  desk_.Refuse(FieldProblem(Code::kResourceExhausted, {"", "LIMIT_USER_JOBS", "too many", {}}));
  v1::SubmitResponse again;
  ASSERT_TRUE(stub_->Submit(As("aizhan@kaznu").get(), Request("k1"), &again).ok());
  EXPECT_TRUE(again.existing());
  EXPECT_EQ(again.job().id(), id);
  EXPECT_EQ(Reason(stub_->Submit(As("aizhan@kaznu").get(), Request("k1", "x"), &again)),
            "IDEMPOTENCY_MISMATCH");
  EXPECT_EQ(Reason(stub_->Submit(As("aizhan@kaznu").get(), Request("k2"), &again)),
            "LIMIT_USER_JOBS");
  EXPECT_EQ(store_.jobs(), 1U);
}

struct ProjectCase {
  const char* user;
  const char* project;
  const char* result;  // a path, or a reason
};

TEST_F(SubmitTest, NorDoesWhatHasChangedSince) {
  v1::SubmitRequest request = Request("k1");
  request.mutable_spec()->set_project("nlp");
  request.mutable_spec()->mutable_shape()->set_gpu_type("h200");
  v1::SubmitResponse first;
  ASSERT_EQ(Reason(stub_->Submit(As("both@kaznu").get(), request, &first)), "OK");
  const std::vector<std::function<void(View&, Directory&)>> changes = {
      [](View&, Directory& d) {
        std::erase(d.users.at(World::kBoth).roles, RoleGrant{Role::kResearcher, World::kNlp});
      },
      [](View&, Directory& d) { d.users.at(World::kBoth).unix_account.clear(); },
      [](View& view, Directory&) { view.nodes.clear(); }};
  const View before = *desk_.view();
  for (std::size_t i = 0; i < changes.size(); ++i) {
    View view = before;
    Directory directory = *view.directory;
    changes[i](view, directory);
    view.directory = std::make_shared<const Directory>(directory);
    desk_.SetView(std::make_shared<const View>(view));
    v1::SubmitResponse again;
    request.set_idempotency_key("k1");
    EXPECT_EQ(Reason(stub_->Submit(As("both@kaznu").get(), request, &again)), "OK") << i;
    EXPECT_TRUE(again.existing());
    EXPECT_EQ(again.job().id(), first.job().id());
    request.set_idempotency_key("new");
    EXPECT_NE(Reason(stub_->Submit(As("both@kaznu").get(), request, &again)), "OK") << i;
  }
  EXPECT_EQ(store_.jobs(), 1U);
}

TEST_F(SubmitTest, TheProjectIsTheUsersOwn) {
  const ProjectCase cases[] = {{"aizhan@kaznu", "", "universities/kaznu/nlp"},
                               {"aizhan@kaznu", "nlp", "universities/kaznu/nlp"},
                               {"aizhan@kaznu", "kaznu/nlp", "universities/kaznu/nlp"},
                               {"aizhan@kaznu", "universities/kaznu/nlp", "universities/kaznu/nlp"},
                               {"aizhan@kaznu", "universities/kaznu/cv", "PROJECT_NOT_FOUND"},
                               {"aizhan@kaznu", "firms/acme/bot", "PROJECT_NOT_FOUND"},
                               {"aizhan@kaznu", "bot", "PROJECT_NOT_FOUND"},
                               {"aizhan@kaznu", "nowhere", "PROJECT_NOT_FOUND"},
                               {"aizhan@kaznu", "universities", "PROJECT_NOT_FOUND"},
                               {"both@kaznu", "", "FIELD_INVALID"},
                               {"both@kaznu", "cv", "universities/kaznu/cv"},
                               {"chief@kaznu", "nlp", "ROLE_MISSING"},
                               {"audit@kezek", "nlp", "ROLE_MISSING"},
                               {"meter@kezek", "nlp", "ROLE_MISSING"},
                               {"root@kezek", "bot", "firms/acme/bot"},
                               {"root@kezek", "firms/acme", "FIELD_INVALID"},
                               {"bare@kaznu", "", "NO_UNIX_ACCOUNT"}};
  int key = 0;
  for (const auto& one : cases) {
    SCOPED_TRACE(std::string(one.user) + " " + one.project);
    v1::SubmitRequest request = Request("k" + std::to_string(++key));
    request.mutable_spec()->set_project(one.project);
    v1::SubmitResponse response;
    const auto status = stub_->Submit(As(one.user).get(), request, &response);
    EXPECT_EQ(status.ok() ? response.job().project() : Reason(status), one.result);
  }
}

TEST_F(SubmitTest, AnAccountOfOthersHidesNoProject) {
  View view = *desk_.view();
  Directory directory = *view.directory;
  const AccountId theirs{90};
  directory.accounts[theirs] = {
      .id = theirs, .parent = kRootAccount, .name = "nlp", .kind = "sector"};
  directory.account_by_path["nlp"] = theirs;
  view.directory = std::make_shared<const Directory>(directory);
  desk_.SetView(std::make_shared<const View>(view));
  v1::SubmitRequest request = Request("k1");
  request.mutable_spec()->set_project("nlp");
  v1::SubmitResponse response;
  ASSERT_EQ(Reason(stub_->Submit(As("aizhan@kaznu").get(), request, &response)), "OK");
  EXPECT_EQ(response.job().project(), "universities/kaznu/nlp");
}

TEST_F(SubmitTest, OnlyClusterAdminsSubmitForOthers) {
  v1::SubmitRequest request = Request("k1");
  request.set_user("dana@acme");
  v1::SubmitResponse response;
  EXPECT_EQ(Reason(stub_->Submit(As("bolat@kaznu").get(), request, &response)), "ROLE_MISSING");
  ASSERT_TRUE(stub_->Submit(As("root@kezek").get(), request, &response).ok());
  EXPECT_EQ(response.job().user(), "dana@acme");
  EXPECT_EQ(response.job().project(), "firms/acme/bot");
  request.mutable_spec()->set_project("nlp");
  request.set_idempotency_key("k2");
  EXPECT_EQ(Reason(stub_->Submit(As("root@kezek").get(), request, &response)), "PROJECT_NOT_FOUND");
  request.set_user("nobody@nowhere");
  EXPECT_EQ(Reason(stub_->Submit(As("root@kezek").get(), request, &response)), "USER_NOT_FOUND");
}

TEST_F(SubmitTest, TheEnvelopeIsChecked) {
  const auto reason = [&](const std::function<void(v1::SubmitRequest&)>& spoil) {
    v1::SubmitRequest request = Request("k1");
    spoil(request);
    v1::SubmitResponse response;
    const auto status = stub_->Submit(As("aizhan@kaznu").get(), request, &response);
    return status.ok() ? "OK" : Detail(status).field() + " " + Detail(status).reason();
  };
  EXPECT_EQ(reason([](auto& r) { r.clear_idempotency_key(); }), "idempotency_key FIELD_INVALID");
  EXPECT_EQ(reason([](auto& r) { r.set_idempotency_key(std::string(129, 'k')); }),
            "idempotency_key FIELD_INVALID");
  EXPECT_EQ(reason([](auto& r) { r.set_idempotency_key("a\nb"); }),
            "idempotency_key FIELD_INVALID");
  EXPECT_EQ(reason([](auto& r) { r.clear_spec(); }), "spec FIELD_INVALID");
  EXPECT_EQ(reason([](auto& r) { r.set_cluster("mars"); }), "cluster CLUSTER_NOT_FOUND");
  EXPECT_EQ(store_.jobs(), 0U);
  EXPECT_EQ(reason([](auto& r) { r.set_cluster("test"); }), "OK");
}

TEST_F(SubmitTest, DependenciesMustBeThereAndVisible) {
  const std::int64_t mine = Submit("aizhan@kaznu", "a");
  const std::int64_t others = Submit("dana@acme", "b");
  const std::int64_t failed = Submit("aizhan@kaznu", "c");
  End(Ref(failed), JobState::kFailed, "failed");
  const std::int64_t array = Submit("aizhan@kaznu", "d", [](v1::SubmitRequest& request) {
    request.mutable_spec()->mutable_array()->set_indices("0-9");
  });
  int key = 0;
  const auto reason = [&](v1::DependencyKind kind, const std::string& job, bool kill = true) {
    v1::SubmitRequest request = Request("k" + std::to_string(++key));
    auto* dependency = request.mutable_spec()->add_dependencies();
    dependency->set_kind(kind);
    dependency->set_job(job);
    request.mutable_spec()->set_kill_on_invalid_dependency(kill);
    v1::SubmitResponse response;
    return Reason(stub_->Submit(As("aizhan@kaznu").get(), request, &response));
  };
  const auto ok = v1::DEPENDENCY_KIND_AFTER_OK;
  EXPECT_EQ(reason(ok, std::to_string(mine)), "OK");
  EXPECT_EQ(reason(ok, std::to_string(others)), "DEPENDENCY_NOT_FOUND");
  EXPECT_EQ(reason(ok, "999999"), "DEPENDENCY_NOT_FOUND");
  EXPECT_EQ(reason(ok, std::to_string(mine) + "_1"), "DEPENDENCY_NOT_FOUND");
  EXPECT_EQ(reason(ok, std::to_string(array) + "_1"), "OK");
  EXPECT_EQ(reason(ok, std::to_string(array) + "_10"), "DEPENDENCY_NOT_FOUND");
  EXPECT_EQ(reason(ok, std::to_string(failed)), "DEPENDENCY_NEVER_MET");
  EXPECT_EQ(reason(ok, std::to_string(failed), false), "OK");
  EXPECT_EQ(reason(v1::DEPENDENCY_KIND_AFTER_NOT_OK, std::to_string(failed)), "OK");
  EXPECT_EQ(reason(v1::DEPENDENCY_KIND_AFTER_ANY, std::to_string(failed)), "OK");
}

TEST_F(SubmitTest, ManyAreTakenEachByItself) {
  v1::SubmitManyRequest request;
  for (int i = 0; i < 20; ++i) {
    *request.add_submissions() = Request("k" + std::to_string(i));
    if (i % 3 == 1) request.mutable_submissions(i)->mutable_spec()->set_script("no interpreter");
    if (i == 4) request.mutable_submissions(i)->mutable_spec()->set_project(std::string(1, '\0'));
  }
  v1::SubmitManyResponse response;
  ASSERT_TRUE(stub_->SubmitMany(As("aizhan@kaznu").get(), request, &response).ok());
  ASSERT_EQ(response.results_size(), 20);
  std::set<std::int64_t> ids;
  for (int i = 0; i < 20; ++i) {
    if (i % 3 != 1) {
      ASSERT_TRUE(response.results(i).has_ok()) << i;
      ids.insert(response.results(i).ok().job().id());
      continue;
    }
    v1::Status status;
    ASSERT_TRUE(status.ParseFromString(response.results(i).error())) << i;
    EXPECT_EQ(status.code(), static_cast<int>(Code::kInvalidArgument));
  }
  EXPECT_EQ(ids.size(), 13U);
  EXPECT_EQ(store_.jobs(), 13U);
}

TEST_F(SubmitTest, ManyAreBounded) {
  v1::SubmitManyRequest request;
  v1::SubmitManyResponse response;
  EXPECT_TRUE(stub_->SubmitMany(As("aizhan@kaznu").get(), request, &response).ok());
  for (int i = 0; i < 1001; ++i) request.add_submissions();
  EXPECT_EQ(Reason(stub_->SubmitMany(As("aizhan@kaznu").get(), request, &response)), "TOO_MANY");
}

TEST_F(SubmitTest, NobodySubmitsWithoutAToken) {
  grpc::ClientContext context;
  v1::SubmitResponse response;
  const auto status = stub_->Submit(&context, Request("k1"), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Reason(status), "TOKEN_MISSING");
}

TEST_F(SubmitTest, OnlyNewJobsKeepTheirPlaces) {
  desk_.SetPlaces(2);
  Submit("aizhan@kaznu", "k1");
  EXPECT_EQ(desk_.places(), 1);
  Submit("aizhan@kaznu", "k1");
  EXPECT_EQ(desk_.places(), 1) << "known already";
  v1::SubmitManyRequest request;
  for (const char* key : {"k2", "k3", "k4"}) *request.add_submissions() = Request(key);
  v1::SubmitManyResponse response;
  const auto status = stub_->SubmitMany(As("aizhan@kaznu").get(), request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  int taken = 0;
  for (const auto& result : response.results()) taken += result.has_ok() ? 1 : 0;
  EXPECT_EQ(store_.jobs(), 2U) << "one place, one new job";
  EXPECT_EQ(taken, 1);
  EXPECT_EQ(desk_.places(), 0);
}

}  // namespace
}  // namespace kezek::rpc
