// Goal: a change reaches the desk only for jobs the caller may change and as the caller may change
// them: all of the jobs, or no command at all.
// Method: a gRPC server on fakes; the desk keeps the commands it was given.

#include <gtest/gtest.h>

#include <string>
#include <variant>
#include <vector>

#include "kezek/v1/access.grpc.pb.h"
#include "tests/unit/rpc/served.h"

namespace kezek::rpc {
namespace {

class ChangeTest : public Served {
 protected:
  void SetUp() override {
    Served::SetUp();
    mine_ = std::to_string(Submit("aizhan@kaznu", "a"));
    colleague_ = std::to_string(Submit("both@kaznu", "b", [](v1::SubmitRequest& request) {
      request.mutable_spec()->set_project("nlp");
    }));
    foreign_ = std::to_string(Submit("dana@acme", "c"));
  }
  static JobRef RefOf(const std::string& text) { return Ref(std::stoll(text)); }
  // The change of a command that makes one only.
  template <class Change>
  static Change Only(const Command& command) {
    const auto& changes = std::get<ChangeJobs>(command.body).changes;
    EXPECT_EQ(changes.size(), 1U);
    return std::get<Change>(changes.at(0));
  }

  std::string Cancel(const std::string& user, const std::vector<std::string>& jobs,
                     const std::string& comment = "") {
    v1::CancelRequest request;
    request.mutable_jobs()->Assign(jobs.begin(), jobs.end());
    request.set_comment(comment);
    cancelled_.Clear();
    return Reason(stub_->Cancel(As(user).get(), request, &cancelled_));
  }
  std::string Update(const std::string& user, const std::string& job,
                     const std::function<void(v1::UpdateRequest&)>& change) {
    v1::UpdateRequest request;
    request.add_jobs(job);
    change(request);
    updated_.Clear();
    return Reason(stub_->Update(As(user).get(), request, &updated_));
  }

  std::string mine_;
  std::string colleague_;
  std::string foreign_;
  v1::CancelResponse cancelled_;
  v1::UpdateResponse updated_;
};

TEST_F(ChangeTest, WhatSomebodyElseChangesOfAUserMeanwhileStays) {
  const auto access = v1::AccessService::NewStub(channel_);
  desk_.Meanwhile([this] {  // bolat loses roles and Unix account
    View view = *desk_.view();
    Directory directory = *view.directory;
    User& bolat = directory.users.at(World::kBolat);
    EXPECT_FALSE(bolat.roles.empty() || bolat.unix_account.empty());
    bolat.roles.clear();
    bolat.unix_account.clear();
    view.directory = std::make_shared<const Directory>(directory);
    desk_.SetView(std::make_shared<const View>(view));
  });
  v1::UpdateUserRequest request;
  request.set_name("bolat@kaznu");
  request.set_display_name("Bolat B.");
  v1::User after;
  ASSERT_EQ(Reason(access->UpdateUser(As("root@kezek").get(), request, &after)), "OK");
  EXPECT_EQ(after.display_name(), "Bolat B.");
  EXPECT_EQ(after.roles_size(), 0) << "taken meanwhile";
  EXPECT_EQ(after.unix_account(), "");
}

TEST_F(ChangeTest, OwnersCancelTheirJobs) {
  EXPECT_EQ(Cancel("aizhan@kaznu", {mine_}), "OK");
  ASSERT_EQ(cancelled_.jobs_size(), 1);
  EXPECT_EQ(cancelled_.jobs(0).state(), v1::JOB_STATE_CANCELLED);
  ASSERT_EQ(desk_.commands().size(), 1U);
  EXPECT_EQ(desk_.commands()[0].actor_name, "aizhan@kaznu");
  EXPECT_FALSE(Only<CancelJobs>(desk_.commands()[0]).by_admin);
  // Again: it is over already, which is no error.
  EXPECT_EQ(Cancel("aizhan@kaznu", {mine_}), "OK");
  EXPECT_EQ(desk_.commands().size(), 1U);
}

TEST_F(ChangeTest, OthersMayNotAndOneRefusalStopsAll) {
  EXPECT_EQ(Cancel("aizhan@kaznu", {mine_, colleague_}), "NOT_OWNER");
  EXPECT_EQ(Cancel("aizhan@kaznu", {mine_, foreign_}), "JOB_NOT_FOUND");
  EXPECT_EQ(Cancel("dana@acme", {mine_}), "JOB_NOT_FOUND");
  EXPECT_EQ(Cancel("audit@kezek", {mine_}, "x"), "NOT_OWNER");
  EXPECT_EQ(Cancel("aizhan@kaznu", {mine_, "999"}), "JOB_NOT_FOUND");
  EXPECT_EQ(Cancel("aizhan@kaznu", {}), "FIELD_INVALID");
  EXPECT_EQ(Cancel("aizhan@kaznu", {"x"}), "FIELD_INVALID");
  EXPECT_TRUE(desk_.commands().empty());
}

TEST_F(ChangeTest, LeadsAndAdminsMay) {
  EXPECT_EQ(Cancel("bolat@kaznu", {colleague_}), "OK") << "a lead of the project";
  EXPECT_EQ(Cancel("chief@kaznu", {mine_}), "FIELD_INVALID") << "an admin says why";
  EXPECT_EQ(Cancel("chief@kaznu", {mine_}, "maintenance"), "OK");
  const auto cancel = Only<CancelJobs>(desk_.commands().back());
  EXPECT_TRUE(cancel.by_admin);
  EXPECT_EQ(cancel.text, "maintenance");
  EXPECT_EQ(Cancel("chief@kaznu", {foreign_}, "x"), "JOB_NOT_FOUND");
  EXPECT_EQ(Cancel("root@kezek", {foreign_}, "x"), "OK");
}

TEST_F(ChangeTest, HoldsRememberWhoHolds) {
  EXPECT_EQ(Update("aizhan@kaznu", mine_, [](auto& r) { r.set_hold(true); }), "OK");
  EXPECT_FALSE(Only<HoldJobs>(desk_.commands().back()).by_admin);
  EXPECT_EQ(Update("chief@kaznu", mine_, [](auto& r) { r.set_hold(true); }), "FIELD_INVALID");
  EXPECT_EQ(Update("chief@kaznu", mine_,
                   [](auto& r) {
                     r.set_hold(true);
                     r.set_reason("power");
                   }),
            "OK");
  const auto hold = Only<HoldJobs>(desk_.commands().back());
  EXPECT_TRUE(hold.by_admin);
  EXPECT_EQ(hold.text, "power");
  store_.Change(
      RefOf(mine_), [](JobRecord& record) { record.job.hold = Hold::kAdmin; }, "queued", "queued");
  for (const char* user : {"aizhan@kaznu", "bolat@kaznu"}) {
    EXPECT_EQ(Update(user, mine_, [](auto& r) { r.set_hold(false); }), "OK");
    EXPECT_FALSE(Only<ReleaseJobs>(desk_.commands().back()).by_admin) << "the desk's to refuse";
  }
  EXPECT_EQ(Update("chief@kaznu", mine_,
                   [](auto& r) {
                     r.set_hold(false);
                     r.set_reason("power is back");
                   }),
            "OK");
  EXPECT_TRUE(Only<ReleaseJobs>(desk_.commands().back()).by_admin);
  EXPECT_EQ(Only<ReleaseJobs>(desk_.commands().back()).text, "power is back");
  EXPECT_EQ(Update("chief@kaznu", mine_,
                   [](auto& r) {
                     r.set_comment("c");
                     r.set_reason("asked for by mail");
                   }),
            "OK");
  EXPECT_EQ(Only<UpdateJobs>(desk_.commands().back()).text, "asked for by mail");
}

TEST_F(ChangeTest, ATokenIsRevokedOnceAndTheRecordSaysWhy) {
  const auto access = v1::AccessService::NewStub(channel_);
  const auto revoke = [&] {
    v1::RevokeTokenRequest request;
    request.set_id(std::to_string(World::kAizhan.value));
    request.set_reason("leaked");
    v1::RevokeTokenResponse response;
    const auto status = access->RevokeToken(As("chief@kaznu").get(), request, &response);
    return Reason(status) + (response.token().revoked_ms() == 0 ? " valid" : " revoked");
  };
  EXPECT_EQ(revoke(), "OK revoked");
  ASSERT_EQ(desk_.commands().size(), 1U);
  EXPECT_EQ(std::get<PutToken>(desk_.commands()[0].body).text, "leaked");
  View view = *desk_.view();
  Directory directory = *view.directory;
  directory.tokens.at(HashToken("kzk_aizhan@kaznu")).revoked_ms = 5;
  view.directory = std::make_shared<const Directory>(directory);
  desk_.SetView(std::make_shared<const View>(view));
  EXPECT_EQ(revoke(), "OK revoked") << "it is revoked already";
  EXPECT_EQ(desk_.commands().size(), 1U) << "nothing to do";
}

TEST_F(ChangeTest, EveryFieldReachesTheDesk) {
  EXPECT_EQ(Update("aizhan@kaznu", mine_,
                   [](auto& r) {
                     r.set_time_limit_ms(90'000);
                     r.set_user_priority(7);
                     r.set_comment("");
                     r.set_name("n");
                     r.set_job_class("debug");
                     r.set_begin_ms(1);
                     r.set_deadline_ms(2);
                   }),
            "OK");
  const auto update = Only<UpdateJobs>(desk_.commands().back());
  EXPECT_EQ(update.jobs, std::vector<JobRef>{RefOf(mine_)});
  EXPECT_EQ(update.time_limit_ms, 90'000);
  EXPECT_EQ(update.user_priority, 7);
  EXPECT_EQ(update.comment, "");
  EXPECT_EQ(update.name, "n");
  EXPECT_EQ(update.job_class, "debug");
  EXPECT_EQ(update.begin_ms, 1);
  EXPECT_EQ(update.deadline_ms, 2);
  EXPECT_EQ(update.array_max_running, std::nullopt);
  EXPECT_EQ(updated_.jobs_size(), 1);
}

TEST_F(ChangeTest, WhatAnAdminChangesOfOthersNeedsAReasonAndIsMarked) {
  const auto both = [this](const char* reason) {
    return Update("chief@kaznu", mine_, [&](auto& r) {
      r.add_jobs(colleague_);
      r.set_user_priority(7);
      r.set_reason(reason);
    });
  };
  EXPECT_EQ(both(""), "FIELD_INVALID");
  EXPECT_TRUE(desk_.commands().empty());
  EXPECT_EQ(both("the exam"), "OK");
  const auto theirs = Only<UpdateJobs>(desk_.commands().back());
  EXPECT_TRUE(theirs.by_admin);
  EXPECT_EQ(theirs.text, "the exam");
  EXPECT_EQ(theirs.jobs.size(), 2U);
  EXPECT_EQ(Update("both@kaznu", colleague_, [](auto& r) { r.set_user_priority(3); }), "OK");
  EXPECT_FALSE(Only<UpdateJobs>(desk_.commands().back()).by_admin) << "one's own";
  EXPECT_EQ(Update("bolat@kaznu", mine_, [](auto& r) { r.set_user_priority(3); }), "OK");
  EXPECT_FALSE(Only<UpdateJobs>(desk_.commands().back()).by_admin) << "the project's lead";
}

TEST_F(ChangeTest, WhatCannotBeChangedIsRefused) {
  const auto limit = [](std::int64_t ms) {
    return [ms](v1::UpdateRequest& r) { r.set_time_limit_ms(ms); };
  };
  EXPECT_EQ(Update("aizhan@kaznu", mine_, [](auto&) {}), "FIELD_INVALID") << "nothing to change";
  EXPECT_EQ(Update("aizhan@kaznu", mine_, limit(0)), "FIELD_INVALID");
  EXPECT_EQ(Update("aizhan@kaznu", mine_, [](auto& r) { r.set_name(""); }), "FIELD_INVALID");
  EXPECT_EQ(Update("aizhan@kaznu", mine_, [](auto& r) { r.set_user_priority(99'999); }),
            "FIELD_INVALID");
  EXPECT_EQ(Update("aizhan@kaznu", mine_, [](auto& r) { r.set_array_max_running(-2); }),
            "FIELD_INVALID");
  for (const auto& change : std::vector<std::function<void(v1::UpdateRequest&)>>{
           [](auto& r) { r.set_admin_priority(1); }, [](auto& r) { r.set_project("cv"); },
           [](auto& r) { r.mutable_shape(); }, [](auto& r) { r.mutable_topology(); },
           [](auto& r) { r.mutable_dependencies(); }, [](auto& r) { r.mutable_requeue(); }}) {
    EXPECT_EQ(Update("aizhan@kaznu", mine_, change), "NOT_YET");
  }
  EXPECT_TRUE(desk_.commands().empty());
  desk_.Refuse(FieldProblem(Code::kFailedPrecondition,
                            {"time_limit_ms", "TIME_LIMIT_TOO_LONG", "too long", {}}));
  EXPECT_EQ(Update("aizhan@kaznu", mine_, limit(60'000)), "TIME_LIMIT_TOO_LONG");
}

TEST_F(ChangeTest, OnlyAClusterAdminDelaysWhatIsPromisedAndSaysWhy) {
  const auto longer = [](v1::UpdateRequest& r) {
    r.set_time_limit_ms(7'200'000);
    r.set_allow_delay(true);
    r.set_reason("thesis");
  };
  EXPECT_EQ(Update("aizhan@kaznu", mine_, longer), "ROLE_MISSING");
  EXPECT_EQ(Update("chief@kaznu", mine_, longer), "ROLE_MISSING") << "of the institution alone";
  EXPECT_EQ(Update("root@kezek", mine_,
                   [&](auto& r) {
                     longer(r);
                     r.clear_reason();
                   }),
            "FIELD_INVALID");
  EXPECT_EQ(Update("root@kezek", mine_,
                   [&](auto& r) {
                     longer(r);
                     r.clear_time_limit_ms();
                   }),
            "FIELD_INVALID");
  EXPECT_TRUE(desk_.commands().empty());
  EXPECT_EQ(Update("root@kezek", mine_, longer), "OK");
  EXPECT_TRUE(Only<UpdateJobs>(desk_.commands().back()).allow_delay);
}

TEST_F(ChangeTest, SeveralJobsAndFieldsAreOneCommand) {
  EXPECT_EQ(Update("bolat@kaznu", mine_,
                   [this](auto& r) {
                     r.add_jobs(colleague_);
                     r.set_hold(true);
                     r.set_comment("both");
                   }),
            "OK");
  EXPECT_EQ(Cancel("chief@kaznu", {mine_, colleague_}, "power"), "OK");
  ASSERT_EQ(desk_.commands().size(), 2U);
  const auto changes = std::get<ChangeJobs>(desk_.commands()[0].body).changes;
  ASSERT_EQ(changes.size(), 2U);
  const std::vector<JobRef> both{RefOf(mine_), RefOf(colleague_)};
  EXPECT_EQ(std::get<HoldJobs>(changes[0]).jobs, both);
  EXPECT_EQ(std::get<UpdateJobs>(changes[1]).jobs, both);
  EXPECT_EQ(Only<CancelJobs>(desk_.commands()[1]).jobs, both);
}

TEST_F(ChangeTest, RequeuesReachTheDeskAsTheCallerMay) {
  v1::RequeueResponse answer;
  const auto requeue = [&](const std::string& user, const std::vector<std::string>& jobs,
                           const std::string& comment = "", bool hold = false) {
    v1::RequeueRequest request;
    request.mutable_jobs()->Assign(jobs.begin(), jobs.end());
    request.set_comment(comment);
    request.set_hold(hold);
    answer.Clear();
    return Reason(stub_->Requeue(As(user).get(), request, &answer));
  };
  EXPECT_EQ(requeue("aizhan@kaznu", {mine_}, "new code", true), "OK");
  EXPECT_EQ(answer.jobs_size(), 1);
  const auto own = Only<RequeueJobs>(desk_.commands().back());
  EXPECT_EQ(own.jobs, std::vector<JobRef>{RefOf(mine_)});
  EXPECT_TRUE(own.hold);
  EXPECT_FALSE(own.by_admin);
  EXPECT_EQ(own.text, "new code");
  EXPECT_EQ(requeue("chief@kaznu", {mine_}), "FIELD_INVALID") << "an admin says why";
  EXPECT_EQ(requeue("chief@kaznu", {mine_}, "fans"), "OK");
  EXPECT_TRUE(Only<RequeueJobs>(desk_.commands().back()).by_admin);
  EXPECT_EQ(requeue("bolat@kaznu", {mine_}), "OK");
  EXPECT_FALSE(Only<RequeueJobs>(desk_.commands().back()).by_admin) << "a lead of the project";
  const std::size_t so_far = desk_.commands().size();
  EXPECT_EQ(requeue("aizhan@kaznu", {mine_, colleague_}), "NOT_OWNER");
  EXPECT_EQ(requeue("aizhan@kaznu", {mine_, foreign_}), "JOB_NOT_FOUND");
  EXPECT_EQ(requeue("audit@kezek", {mine_}, "x"), "NOT_OWNER");
  EXPECT_EQ(requeue("aizhan@kaznu", {}), "FIELD_INVALID");
  EXPECT_EQ(requeue("aizhan@kaznu", {mine_}, std::string(4097, 'x')), "FIELD_INVALID");
  EXPECT_EQ(desk_.commands().size(), so_far);
}

TEST_F(ChangeTest, WhatIsNotToRunAgainOnlyItsOwnerRequeues) {
  const std::string once = std::to_string(Submit("aizhan@kaznu", "once", [](auto& request) {
    request.mutable_spec()->mutable_requeue()->set_enabled(false);
  }));
  v1::RequeueRequest request;
  request.add_jobs(once);
  request.set_comment("fans");
  v1::RequeueResponse answer;
  EXPECT_EQ(Reason(stub_->Requeue(As("root@kezek").get(), request, &answer)), "NOT_OWNER");
  EXPECT_EQ(Reason(stub_->Requeue(As("bolat@kaznu").get(), request, &answer)), "NOT_OWNER");
  EXPECT_EQ(Reason(stub_->Requeue(As("aizhan@kaznu").get(), request, &answer)), "OK");
  End(RefOf(once), JobState::kSucceeded, "succeeded");
  EXPECT_EQ(Reason(stub_->Requeue(As("aizhan@kaznu").get(), request, &answer)), "NOT_RUNNING");
}

TEST_F(ChangeTest, ACheckpointIsNotedForWhoMayChangeTheJob) {
  const auto note = [this](const std::string& user, const std::string& job,
                           std::int32_t attempt = 0, const std::string& path = "") {
    v1::ReportCheckpointRequest request;
    request.set_job(job);
    request.set_attempt(attempt);
    request.set_path(path);
    v1::ReportCheckpointResponse response;
    return Reason(stub_->ReportCheckpoint(As(user).get(), request, &response));
  };
  const std::string array = std::to_string(Submit("aizhan@kaznu", "d", [](auto& request) {
    request.mutable_spec()->mutable_array()->set_indices("3-9");
  }));
  EXPECT_EQ(note("aizhan@kaznu", mine_, 2, "ckpt/9"), "OK");
  ASSERT_EQ(desk_.commands().size(), 1U);
  EXPECT_EQ(desk_.commands()[0].actor_name, "aizhan@kaznu");
  const auto noted = std::get<NoteCheckpoint>(desk_.commands()[0].body);
  EXPECT_EQ(noted.job, RefOf(mine_));
  EXPECT_EQ(noted.attempt, 2);
  EXPECT_EQ(noted.path, "ckpt/9");
  EXPECT_EQ(note("aizhan@kaznu", array + "_4"), "OK");
  EXPECT_EQ(note("aizhan@kaznu", array), "ELEMENT_NEEDED");
  EXPECT_EQ(note("aizhan@kaznu", colleague_), "NOT_OWNER");
  EXPECT_EQ(note("bolat@kaznu", mine_), "OK") << "a lead of the project";
  EXPECT_EQ(note("dana@acme", mine_), "JOB_NOT_FOUND");
  EXPECT_EQ(note("aizhan@kaznu", "999"), "JOB_NOT_FOUND");
  EXPECT_EQ(note("aizhan@kaznu", ""), "FIELD_INVALID");
  EXPECT_EQ(note("aizhan@kaznu", mine_, -1), "FIELD_INVALID");
  EXPECT_EQ(note("aizhan@kaznu", mine_, 0, "two\nlines"), "FIELD_INVALID");
  EXPECT_EQ(desk_.commands().size(), 3U);
}

TEST_F(ChangeTest, ASignalIsSentInsteadOfACancel) {
  const auto signal = [this](const std::string& user, const std::string& name,
                             const std::string& comment = "") {
    v1::CancelRequest request;
    request.add_jobs(mine_);
    request.set_signal(name);
    request.set_comment(comment);
    return Reason(stub_->Cancel(As(user).get(), request, &cancelled_));
  };
  EXPECT_EQ(signal("aizhan@kaznu", "USR1"), "OK");
  EXPECT_EQ(Only<SignalJobs>(desk_.commands().back()).signal, "USR1");
  EXPECT_EQ(Only<SignalJobs>(desk_.commands().back()).jobs, std::vector<JobRef>{RefOf(mine_)});
  EXPECT_EQ(signal("aizhan@kaznu", "10"), "OK");
  EXPECT_EQ(Only<SignalJobs>(desk_.commands().back()).signal, "USR1");
  EXPECT_EQ(signal("chief@kaznu", "USR1"), "FIELD_INVALID") << "an admin says why";
  EXPECT_EQ(signal("chief@kaznu", "USR1", "stuck"), "OK");
  EXPECT_TRUE(Only<SignalJobs>(desk_.commands().back()).by_admin);
  EXPECT_EQ(signal("dana@acme", "USR1"), "JOB_NOT_FOUND");
  EXPECT_EQ(signal("audit@kezek", "USR1", "x"), "NOT_OWNER");
  for (const char* wrong : {"SIGUSR1", "usr1", "0", "65", "USR1;x", "-9"}) {
    EXPECT_EQ(signal("aizhan@kaznu", wrong), "FIELD_INVALID") << wrong;
  }
  EXPECT_EQ(Cancel("aizhan@kaznu", {mine_}), "OK");
  EXPECT_EQ(signal("aizhan@kaznu", "USR1"), "NOT_RUNNING");
}

}  // namespace
}  // namespace kezek::rpc
