// Goal: a plan changes nothing; applying makes what can be made, says of the rest what to do, tells
// only of what is there afterwards, leaves an event before it acts, and does nothing when all is
// there. Method: calls through gRPC; books in memory that can refuse, lie or be away.

#include <algorithm>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "kezek/v1/cluster.grpc.pb.h"
#include "tests/unit/rpc/served.h"

namespace kezek::rpc {
namespace {

class FakeBooks final : public ClusterBooks {
 public:
  FakeBooks() {
    accounts.cluster = "demo";
    accounts.qos = {"normal"};
  }
  Result<ClusterAccounts> ReadAccounts() override {
    if (away) return *away;
    return accounts;
  }
  Result<void> AddAccount(const std::string& account, const std::string&) override {
    made.push_back("account " + account);
    if (!lies) accounts.members[{account, ""}] = {"normal"};
    return {};
  }
  Result<void> AddUser(const std::string& user, const std::string& account) override {
    accounts.users.insert(user);
    return AddMember(user, account);
  }
  Result<void> AddMember(const std::string& user, const std::string& account) override {
    if (user == refused) return Error{Code::kUnavailable, "Access/permission denied", {}};
    made.push_back("user " + user);
    if (!lies) accounts.members[{account, user}] = {"normal"};
    return {};
  }
  Result<std::vector<BookedRun>> EndedRuns(TimeMs, TimeMs) override {
    return std::vector<BookedRun>();
  }
  Result<std::vector<BookedRun>> RunsOf(std::int64_t) override { return std::vector<BookedRun>(); }

  ClusterAccounts accounts;
  std::optional<Error> away;
  std::string refused;
  bool lies = false;  // takes all and keeps nothing
  std::vector<std::string> made;
};

using Texts = std::vector<std::string>;

Texts ListOf(const google::protobuf::RepeatedPtrField<std::string>& list) {
  return {list.begin(), list.end()};
}

class SlurmAccountsTest : public Served {
 protected:
  void Adjust(ServerConfig*, ServerPorts* ports) override { ports->books = &books_; }
  void SetUp() override {
    Served::SetUp();
    World world;
    world.directory.accounts.at(World::kBot).settings.slurm_account = "acme";
    world.directory.accounts.at(World::kUniversities).closed = true;
    for (const AccountId project : {World::kNlp, World::kCv}) {
      world.directory.accounts.at(project).closed = true;
    }
    desk_.SetView(world.MakeView());
  }
  std::string Ask(const std::string& user, bool plan_only) {
    v1::ApplySlurmAccountsRequest request;
    request.set_plan_only(plan_only);
    answer_.Clear();
    const auto stub = v1::ClusterService::NewStub(channel_);
    return Reason(stub->ApplySlurmAccounts(As(user).get(), request, &answer_));
  }
  // Events that the desk was told to write.
  Texts Noted() {
    Texts noted;
    for (const Command& command : desk_.commands()) {
      if (const auto* act = std::get_if<NoteAct>(&command.body)) noted.push_back(act->done);
    }
    return noted;
  }

  FakeBooks books_;
  v1::ApplySlurmAccountsResponse answer_;
};

const Texts kLacking = {"account acme", "user kz-dana in account acme"};

TEST_F(SlurmAccountsTest, APlanChangesNothing) {
  ASSERT_EQ(Ask("root@kezek", true), "OK");
  EXPECT_EQ(ListOf(answer_.missing()), kLacking);
  EXPECT_EQ(answer_.commands_size(), 2);
  EXPECT_EQ(answer_.made_size(), 0);
  EXPECT_EQ(books_.made, Texts{});
  EXPECT_EQ(Noted(), Texts{});
}

TEST_F(SlurmAccountsTest, ApplyingMakesItOnceAndIsOnRecord) {
  ASSERT_EQ(Ask("root@kezek", false), "OK");
  EXPECT_EQ(ListOf(answer_.made()), kLacking);
  EXPECT_EQ(answer_.commands_size(), 0);
  EXPECT_EQ(books_.made, (Texts{"account acme", "user kz-dana"}));
  EXPECT_EQ(Noted(), Texts{"to be made: account acme, user kz-dana in account acme"});
  ASSERT_EQ(Ask("root@kezek", false), "OK");
  EXPECT_EQ(answer_.missing_size(), 0);
  EXPECT_EQ(books_.made.size(), 2U) << "again, and nothing is done";
  EXPECT_EQ(Noted().size(), 1U);
}

TEST_F(SlurmAccountsTest, WhatIsRefusedIsLeftAsACommand) {
  books_.refused = "kz-dana";
  ASSERT_EQ(Ask("root@kezek", false), "OK");
  EXPECT_EQ(ListOf(answer_.made()), Texts{"account acme"});
  EXPECT_EQ(ListOf(answer_.refused()),
            Texts{"user kz-dana in account acme: Access/permission denied"});
  EXPECT_EQ(ListOf(answer_.commands()),
            Texts{"sacctmgr -i add user kz-dana account=acme cluster=demo"});
}

TEST_F(SlurmAccountsTest, WhatIsNotThereAfterwardsWasNotMade) {
  books_.lies = true;
  ASSERT_EQ(Ask("root@kezek", false), "OK");
  EXPECT_EQ(answer_.made_size(), 0);
  EXPECT_EQ(answer_.refused_size(), 2);
  EXPECT_EQ(answer_.commands_size(), 2);
}

TEST_F(SlurmAccountsTest, NothingIsMadeWithoutItsEvent) {
  desk_.Refuse(Error{Code::kUnavailable, "stands by", {{"", "NOT_LEADER", "stands by", {}}}});
  EXPECT_EQ(Ask("root@kezek", false), "NOT_LEADER");
  EXPECT_EQ(books_.made, Texts{});
}

TEST_F(SlurmAccountsTest, OnlyClusterAdminsAndOnlyWithBooks) {
  for (const char* user : {"aizhan@kaznu", "chief@kaznu", "audit@kezek"}) {
    EXPECT_EQ(Ask(user, true), "ROLE_MISSING") << user;
  }
  books_.away = Error{Code::kUnavailable, "no answer", {}};
  EXPECT_EQ(Ask("root@kezek", false), "BOOKS_AWAY");
}

}  // namespace
}  // namespace kezek::rpc
