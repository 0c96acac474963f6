// Goal: what kezekd promises to everybody holds over a connection, too: every rpc counts as a call
// of its user and is put off above the rate, sign-in by munge gives a token to whom it should and
// to nobody else, and a sync with a directory changes what was looked at or nothing. Method: a
// server on fakes whose clock stands still unless a test moves it; raw calls as users; what reaches
// the desk is looked at.

#include <gtest/gtest.h>

#include <charconv>
#include <string>
#include <utility>
#include <vector>

#include "kezek/v1/access.pb.h"
#include "kezek/v1/cluster.pb.h"
#include "rpc/access_table.h"
#include "tests/unit/rpc/attack.h"

namespace kezek::rpc {
namespace {

using google::protobuf::Message;

const std::string kAccess = "/kezek.v1.AccessService/";
const std::string kStatus = "/kezek.v1.ClusterService/GetStatus";
const std::string kLogin = kAccess + "Login";

// A credential is a uid, a colon, and what it was made for; "away" is what no munged opens.
class FakeProofs final : public UnixProofs {
 public:
  Result<UnixProof> Open(const std::string& credential) override {
    if (credential == "away") return Error{Code::kUnavailable, "munge: no socket", {}};
    const auto colon = credential.find(':');
    UnixProof proof;
    const char* begin = credential.data();
    if (colon == std::string::npos ||
        std::from_chars(begin, begin + colon, proof.uid).ec != std::errc()) {
      return FieldProblem(Code::kUnauthenticated,
                          {"munge_credential", "CREDENTIAL_INVALID", "forged", {}});
    }
    proof.payload = credential.substr(colon + 1);
    return proof;
  }
};

class Wired : public Attack {
 protected:
  Wired() { accounts_.uids = {{"kz-aizhan", 2011}, {"kz-dana", 2014}}; }
  void Adjust(ServerConfig* config, ServerPorts* ports) override {
    Attack::Adjust(config, ports);
    config->installation = "here";
    ports->proofs = &proofs_;
  }

  // Signs in with a credential for this challenge, or as the words are.
  std::pair<Outcome, v1::LoginResponse> Login(const std::string& credential,
                                              std::int64_t lifetime_ms = 0) {
    v1::LoginRequest request;
    request.set_munge_credential(credential);
    request.set_lifetime_ms(lifetime_ms);
    auto outcome = Call("nobody", kLogin, request);
    v1::LoginResponse response;
    EXPECT_TRUE(response.ParseFromString(outcome.bytes));
    return {std::move(outcome), std::move(response)};
  }
  std::string Challenge() { return Login("").second.challenge(); }
  std::string ReasonOfLogin(const std::string& credential, std::int64_t lifetime_ms = 0) {
    return Reason(Login(credential, lifetime_ms).first.status);
  }

  FakeProofs proofs_;
};

class Rated : public Wired {
 protected:
  void Adjust(ServerConfig* config, ServerPorts* ports) override {
    Wired::Adjust(config, ports);
    config->rate = {.per_second = 1, .burst = 2};
  }
  // Uses up what may be called at once.
  void Exhaust(const std::string& user, const std::string& method = kStatus) {
    for (int i = 0; i < 2; ++i) EXPECT_TRUE(Call(user, method, "").status.ok()) << method;
  }
};

TEST_F(Rated, EveryRpcCountsAndIsPutOffAboveTheRate) {
  for (const auto& row : AccessTable()) {
    if (row.method == kReadMetrics) continue;
    clock_.now_ms += kMinuteMs;  // all may call again
    const std::string method(row.method);
    Exhaust("root@kezek", row.signed_in ? kStatus : kLogin);
    const Outcome outcome = Call("root@kezek", method, RequestThatEnds(method));
    EXPECT_EQ(outcome.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << method;
    const v1::ErrorDetail detail = Detail(outcome.status);
    EXPECT_EQ(detail.reason(), "RATE_LIMITED") << method;
    EXPECT_EQ(detail.fields().at("retry_after_ms"), "1000") << method;
    EXPECT_EQ(outcome.bytes, "") << method;
  }
  EXPECT_TRUE(desk_.commands().empty());
}

TEST_F(Rated, OfWhatIsPutOffNothingHasBeenDone) {
  const std::int64_t job = Submit("aizhan@kaznu", "one");
  v1::CancelRequest cancel;
  cancel.add_jobs(std::to_string(job));
  v1::SubmitManyRequest many;
  *many.add_submissions() = Request("three");
  Exhaust("dana@acme");
  EXPECT_EQ(Call("aizhan@kaznu", kStatus, "").status.error_code(), grpc::StatusCode::OK)
      << "another user's calls are another's";
  const std::string jobs = "/kezek.v1.JobService/";
  EXPECT_EQ(Reason(Call("aizhan@kaznu", jobs + "Cancel", cancel).status), "RATE_LIMITED");
  EXPECT_EQ(Reason(Call("aizhan@kaznu", jobs + "Submit", Request("two")).status), "RATE_LIMITED");
  EXPECT_EQ(Reason(Call("aizhan@kaznu", jobs + "SubmitMany", many).status), "RATE_LIMITED");
  EXPECT_EQ(Reason(Call("aizhan@kaznu", jobs + "Watch", "").status), "RATE_LIMITED");
  EXPECT_TRUE(desk_.commands().empty());
  EXPECT_EQ(store_.jobs(), 1U);
  clock_.now_ms += kSecondMs;
  EXPECT_EQ(Reason(Call("aizhan@kaznu", jobs + "Cancel", cancel).status), "OK");
  EXPECT_EQ(desk_.commands().size(), 1U);
}

TEST_F(Rated, SignInsOfAnAddressLeaveThoseWhoHaveATokenAlone) {
  Exhaust("nobody", kLogin);
  EXPECT_EQ(Reason(Call("nobody", kLogin, "").status), "RATE_LIMITED");
  EXPECT_EQ(Reason(Call("aizhan@kaznu", kLogin, "").status), "RATE_LIMITED")
      << "a token that Login does not look at makes no other allowance";
  Exhaust("aizhan@kaznu");
}

TEST_F(Attack, WithoutMungeNobodySignsIn) {
  EXPECT_EQ(Reason(Call("nobody", kLogin, "").status), "SIGN_IN_OFF");
}

TEST_F(Wired, AProofOfBeingAUsersUnixAccountGivesATokenThatWorks) {
  const std::string challenge = Challenge();
  EXPECT_TRUE(challenge.starts_with("kezek-sign-in/1 here ")) << challenge;
  EXPECT_TRUE(desk_.commands().empty());
  const auto [outcome, response] = Login("2011:" + challenge);
  ASSERT_EQ(Reason(outcome.status), "OK");
  EXPECT_EQ(response.user().name(), "aizhan@kaznu");
  EXPECT_EQ(response.token().user(), "aizhan@kaznu");
  EXPECT_EQ(response.token().expires_ms(), clock_.Now() + 12 * kHourMs);
  const auto commands = desk_.commands();
  ASSERT_EQ(commands.size(), 1U);
  EXPECT_EQ(commands[0].actor, World::kAizhan);
  EXPECT_EQ(std::get<PutToken>(commands[0].body).token.user, World::kAizhan);
  const std::string user = response.secret().substr(4);  // As() puts "kzk_" before it
  v1::WhoAmIResponse me;
  ASSERT_TRUE(me.ParseFromString(Call(user, kAccess + "WhoAmI", "").bytes));
  EXPECT_EQ(me.user().name(), "aizhan@kaznu");
  EXPECT_EQ(me.token().id(), response.token().id());
  clock_.now_ms += 12 * kHourMs;
  EXPECT_EQ(Reason(Call(user, kAccess + "WhoAmI", "").status), "TOKEN_EXPIRED");
}

TEST_F(Wired, ACredentialIsGoodOnceAndForAMinute) {
  const std::string credential = "2011:" + Challenge();
  EXPECT_EQ(ReasonOfLogin(credential), "OK");
  EXPECT_EQ(ReasonOfLogin(credential), "CREDENTIAL_USED");
  const std::string late = "2011:" + Challenge();
  clock_.now_ms += kMinuteMs;
  EXPECT_EQ(ReasonOfLogin(late), "CREDENTIAL_EXPIRED");
  EXPECT_EQ(desk_.commands().size(), 1U);
}

TEST_F(Wired, NobodyElseSignsIn) {
  World world;
  world.directory.users.at(World::kDana).disabled = true;
  desk_.SetView(world.MakeView());
  EXPECT_EQ(ReasonOfLogin("2014:" + Challenge()), "USER_DISABLED");
  EXPECT_EQ(ReasonOfLogin("2500:" + Challenge()), "NO_UNIX_ACCOUNT");
  EXPECT_EQ(ReasonOfLogin("0:" + Challenge()), "NO_UNIX_ACCOUNT");
  EXPECT_EQ(ReasonOfLogin("2011:" + Challenge() + "x"), "CREDENTIAL_INVALID");
  EXPECT_EQ(ReasonOfLogin("2011:kezek-sign-in/1 there x"), "CREDENTIAL_INVALID");
  EXPECT_EQ(ReasonOfLogin("forged"), "CREDENTIAL_INVALID");
  EXPECT_EQ(Login("away").first.status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(desk_.commands().empty());
}

TEST_F(Wired, ATokenOfASignInLastsAsLongAsAskedAndNoLongerThanAllowed) {
  const auto [outcome, response] = Login("2011:" + Challenge(), kHourMs);
  ASSERT_EQ(Reason(outcome.status), "OK");
  EXPECT_EQ(response.token().expires_ms(), clock_.Now() + kHourMs);
  for (const std::int64_t wrong : {12 * kHourMs + 1, std::int64_t{-1}}) {
    const auto refused = Login("2011:" + Challenge(), wrong).first;
    EXPECT_EQ(Reason(refused.status), "EXPIRY_TOO_LONG");
    EXPECT_EQ(Detail(refused.status).fields().at("limit_ms"), std::to_string(12 * kHourMs));
  }
  EXPECT_EQ(desk_.commands().size(), 1U);
}

class Synced : public Attack {
 protected:
  static v1::SyncUsersRequest WithoutBare() {
    v1::SyncUsersRequest request;
    request.set_account("universities/kaznu");
    for (const char* name : {"aizhan@kaznu", "bolat@kaznu", "both@kaznu"}) {
      auto& user = *request.add_users();
      user.set_name(name);
      user.add_projects("universities/kaznu/nlp");
      if (user.name() == "both@kaznu") user.add_projects("universities/kaznu/cv");
    }
    return request;
  }
  std::pair<Outcome, v1::SyncUsersResponse> Sync(const v1::SyncUsersRequest& request) {
    auto outcome = Call("chief@kaznu", kAccess + "SyncUsers", request);
    v1::SyncUsersResponse response;
    EXPECT_TRUE(response.ParseFromString(outcome.bytes));
    return {std::move(outcome), std::move(response)};
  }
  // The plan, made part of the request.
  v1::SyncUsersResponse LookAt(v1::SyncUsersRequest* request) {
    auto [outcome, plan] = Sync(*request);
    EXPECT_EQ(Reason(outcome.status), "OK");
    EXPECT_FALSE(plan.applied());
    request->set_apply_plan(plan.plan());
    return plan;
  }
};

TEST_F(Synced, WhatWasLookedAtIsApplied) {
  v1::SyncUsersRequest request = WithoutBare();
  const auto plan = LookAt(&request);
  ASSERT_EQ(plan.changes_size(), 1);
  EXPECT_EQ(plan.changes(0).user(), "bare@kaznu");
  EXPECT_TRUE(desk_.commands().empty());
  EXPECT_EQ(Reason(Call("bare@kaznu", kAccess + "WhoAmI", "").status), "OK");
  const auto [outcome, applied] = Sync(request);
  ASSERT_EQ(Reason(outcome.status), "OK");
  EXPECT_TRUE(applied.applied());
  EXPECT_EQ(applied.changes_size(), 1);
  const auto commands = desk_.commands();
  ASSERT_EQ(commands.size(), 1U);
  const auto& put = std::get<PutUsers>(commands[0].body);
  ASSERT_EQ(put.users.size(), 1U);
  EXPECT_EQ(put.users[0].id, World::kBare);
  EXPECT_EQ(Reason(Call("bare@kaznu", kAccess + "WhoAmI", "").status), "USER_DISABLED");
  request.clear_apply_plan();
  EXPECT_EQ(LookAt(&request).changes_size(), 0) << "nothing is left to do";
}

TEST_F(Synced, WhatHasChangedSinceIsNotApplied) {
  v1::SyncUsersRequest request = WithoutBare();
  LookAt(&request);
  World world;
  world.directory.users.at(World::kBare).roles.push_back({Role::kResearcher, World::kCv});
  desk_.SetView(world.MakeView());
  const auto outcome = Sync(request).first;
  EXPECT_EQ(outcome.status.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(Reason(outcome.status), "PLAN_CHANGED");
  request.set_apply_plan("made-up");
  EXPECT_EQ(Reason(Sync(request).first.status), "PLAN_CHANGED");
  EXPECT_TRUE(desk_.commands().empty());
}

TEST_F(Synced, AListThatIsShortOfManyIsNotApplied) {
  v1::SyncUsersRequest request;
  request.set_account("universities/kaznu");
  EXPECT_EQ(LookAt(&request).changes_size(), 4);
  const auto outcome = Sync(request).first;
  EXPECT_EQ(outcome.status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(Reason(outcome.status), "TOO_MANY_LEAVERS");
  EXPECT_EQ(Detail(outcome.status).fields().at("limit_percent"), "20");
  EXPECT_TRUE(desk_.commands().empty());
}

TEST_F(Synced, WhatIsRefusedWhileItIsAppliedIsSaidOfTheUsers) {
  v1::SyncUsersRequest request = WithoutBare();
  LookAt(&request);
  desk_.Refuse(FieldProblem(Code::kFailedPrecondition, {"users[0]", "LAST_ADMIN", "no", {}}));
  const auto outcome = Sync(request).first;
  EXPECT_EQ(Detail(outcome.status).reason(), "LAST_ADMIN");
  EXPECT_EQ(Detail(outcome.status).field(), "users");
}

}  // namespace
}  // namespace kezek::rpc
