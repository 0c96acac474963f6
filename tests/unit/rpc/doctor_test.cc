// Goal: each check's findings come in order, no check holds up the others or the caller, what hangs
// is not begun again until it ends, and only cluster admins may ask. Method: checks made by hand,
// one of which waits until the test lets it go; calls through gRPC.

#include "rpc/doctor.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "kezek/v1/cluster.grpc.pb.h"
#include "rpc/view_checks.h"
#include "tests/unit/rpc/served.h"

namespace kezek::rpc {
namespace {

SiteCheck Always(const std::string& name, Finding finding) {
  return {name, [finding](const auto&) { return std::vector<Finding>{finding}; }};
}

// A door that a check waits at.
struct Door {
  void Wait() {
    std::unique_lock lock(mutex);
    ++waiting;
    changed.notify_all();
    changed.wait(lock, [this] { return open; });
  }
  void Open() {
    const std::scoped_lock lock(mutex);
    open = true;
    changed.notify_all();
  }
  std::mutex mutex;
  std::condition_variable changed;
  bool open = false;
  int waiting = 0;
};

TEST(DoctorTest, LinesComeInTheOrderOfTheChecks) {
  Doctor doctor;
  const std::vector<SiteCheck> checks = {
      Always("b-one", {CheckState::kProblem, "broken", "mend it"}),
      {"a-two", [](const auto&) {
         return std::vector<Finding>{{CheckState::kWarning, "x", ""}, {CheckState::kOk, "y", ""}};
       }}};
  const auto lines = doctor.Run(checks, nullptr, 10 * kSecondMs);
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0], (CheckedLine{"b-one", {CheckState::kProblem, "broken", "mend it"}}));
  EXPECT_EQ(lines[1].finding.found, "x");
  EXPECT_EQ(lines[2].check, "a-two");
}

TEST(DoctorTest, WhatHangsIsGivenUpAndNotBegunAgain) {
  const auto door = std::make_shared<Door>();
  Doctor doctor;
  const std::vector<SiteCheck> checks = {{"hangs",
                                          [door](const auto&) {
                                            door->Wait();
                                            return std::vector<Finding>{{CheckState::kOk, "", ""}};
                                          }},
                                         Always("answers", {CheckState::kOk, "fine", ""})};
  const auto begun = std::chrono::steady_clock::now();
  const auto lines = doctor.Run(checks, nullptr, 300);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(20));
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].finding.state, CheckState::kNotLookedAt);
  EXPECT_EQ(lines[1].finding.state, CheckState::kOk);
  const auto again = doctor.Run(checks, nullptr, 300);
  EXPECT_NE(again[0].finding.found.find("still hangs"), std::string::npos);
  EXPECT_EQ(door->waiting, 1);
  door->Open();
  auto after = doctor.Run(checks, nullptr, 20 * kSecondMs);
  for (int i = 0; i < 100 && after[0].finding.state != CheckState::kOk; ++i) {
    after = doctor.Run(checks, nullptr, 20 * kSecondMs);  // its thread may just be ending
  }
  EXPECT_EQ(after[0].finding.state, CheckState::kOk);
}

TEST(DoctorTest, WhatFailsOrFindsNothingIsNotLookedAt) {
  Doctor doctor;
  const std::vector<SiteCheck> checks = {
      {"throws", [](const auto&) -> std::vector<Finding> { throw std::runtime_error("oh\n\tno"); }},
      {"nothing", [](const auto&) { return std::vector<Finding>(); }}};
  const auto lines = doctor.Run(checks, nullptr, 10 * kSecondMs);
  ASSERT_EQ(lines.size(), 2U);
  for (const auto& line : lines) EXPECT_EQ(line.finding.state, CheckState::kNotLookedAt);
  EXPECT_NE(lines[0].finding.found.find("oh no"), std::string::npos);
}

TEST(DoctorTest, ChecksAreChosenByNameOrByItsBeginning) {
  const std::vector<SiteCheck> checks = {Always("slurm-api", {}), Always("slurm-clock", {}),
                                         Always("output-root", {})};
  EXPECT_EQ(ChosenChecks(checks, {})->size(), 3U);
  EXPECT_EQ(ChosenChecks(checks, {"slurm"})->size(), 2U);
  EXPECT_EQ(ChosenChecks(checks, {"output-root", "slurm-api"})->front().name, "slurm-api");
  const auto wrong = ChosenChecks(checks, {"slurm", "slur"});
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().details.at(0).field, "checks[1]");
}

class HostOfTwo final : public UnixAccounts {
 public:
  Result<std::int64_t> FindUid(const std::string& account) override {
    if (account == "kz-aizhan") return 2011;
    if (account == "kz-bolat") return 1;
    return Error{Code::kNotFound, "no such account", {}};
  }
};

TEST(ViewChecksTest, UsersUnixAccountsAreLookedUp) {
  World world;
  for (auto& [id, user] : world.directory.users) {
    user.disabled = user.name != "aizhan@kaznu" && user.name != "bolat@kaznu" &&
                    user.name != "dana@acme" && user.name != "bare@kaznu";
  }
  ViewCheckPorts ports;
  ports.unix_accounts = std::make_shared<HostOfTwo>();
  const auto checks = ViewChecks(ports);
  const auto findings = checks[1].look(world.MakeView());
  ASSERT_EQ(findings.size(), 3U);
  EXPECT_EQ(findings[0].found, "kz-dana of dana@acme: no such Unix account on this host");
  EXPECT_NE(findings[1].found.find("kz-bolat of bolat@kaznu (uid 1, was 2012)"), std::string::npos);
  EXPECT_EQ(findings[2].state, CheckState::kWarning);
  EXPECT_NE(findings[2].found.find("bare@kaznu"), std::string::npos);
  for (auto& [id, user] : world.directory.users) user.disabled = user.name != "aizhan@kaznu";
  EXPECT_EQ(checks[1].look(world.MakeView()).at(0).state, CheckState::kOk);
  EXPECT_EQ(checks[1].look(nullptr).at(0).state, CheckState::kNotLookedAt);
}

TEST(ViewChecksTest, TheAccountThatPaysForOthersJobsMustBeAProject) {
  const World world;
  const auto view = world.MakeView();
  const auto looked = [&view](const std::string& path) {
    ViewCheckPorts ports;
    ports.foreign_account = path;
    for (const SiteCheck& check : ViewChecks(ports)) {
      if (check.name == "foreign-account") return check.look(view).at(0);
    }
    return Finding{};
  };
  EXPECT_EQ(looked("").state, CheckState::kOk);
  EXPECT_EQ(looked("universities/kaznu/nlp").state, CheckState::kOk);
  const Finding missing = looked("outside");
  EXPECT_EQ(missing.state, CheckState::kProblem);
  EXPECT_NE(missing.found.find("'outside' is no account"), std::string::npos) << missing.found;
  const Finding parent = looked("universities/kaznu");
  EXPECT_EQ(parent.state, CheckState::kProblem);
  EXPECT_NE(parent.found.find("accounts below it"), std::string::npos) << parent.found;
}

TEST(ViewChecksTest, AStopAndSilenceAreProblems) {
  const World world;
  View view = *world.MakeView();
  const auto check = ViewChecks({}).at(0);
  EXPECT_EQ(check.look(std::make_shared<const View>(view)).at(0).state, CheckState::kOk);
  view.stop_reason = "three plans failed";
  view.cluster_answers = false;
  const auto findings = check.look(std::make_shared<const View>(view));
  ASSERT_EQ(findings.size(), 2U);
  EXPECT_NE(findings[0].found.find("three plans failed"), std::string::npos);
  EXPECT_EQ(findings[1].state, CheckState::kProblem);
}

class DoctorRpcTest : public Served {
 protected:
  void Adjust(ServerConfig*, ServerPorts* ports) override { ports->checks = &checks_; }
  std::string Ask(const std::string& user, const std::string& check = "") {
    v1::DoctorRequest request;
    if (!check.empty()) request.add_checks(check);
    answer_.Clear();
    const auto stub = v1::ClusterService::NewStub(channel_);
    return Reason(stub->Doctor(As(user).get(), request, &answer_));
  }

  const std::vector<SiteCheck> checks_ = {
      Always("slurm-api", {CheckState::kProblem, "no answer", "start it"}),
      Always("output-root", {CheckState::kNotLookedAt, "it hangs", ""})};
  v1::DoctorResponse answer_;
};

TEST_F(DoctorRpcTest, LinesGoOverTheWire) {
  ASSERT_EQ(Ask("root@kezek"), "OK");
  ASSERT_EQ(answer_.lines_size(), 2);
  EXPECT_EQ(answer_.lines(0).check(), "slurm-api");
  EXPECT_EQ(answer_.lines(0).result(), v1::CHECK_RESULT_FIX);
  EXPECT_EQ(answer_.lines(0).found().code(), "PROBLEM");
  EXPECT_EQ(answer_.lines(0).found().sentence(), "no answer");
  EXPECT_EQ(answer_.lines(0).mend(), "start it");
  EXPECT_EQ(answer_.lines(1).result(), v1::CHECK_RESULT_UNKNOWN);
  ASSERT_EQ(Ask("root@kezek", "output"), "OK");
  EXPECT_EQ(answer_.lines_size(), 1);
  EXPECT_EQ(Ask("root@kezek", "none"), "FIELD_INVALID");
}

TEST_F(DoctorRpcTest, OnlyClusterAdminsMayAsk) {
  for (const char* user : {"aizhan@kaznu", "chief@kaznu", "audit@kezek"}) {
    EXPECT_EQ(Ask(user), "ROLE_MISSING") << user;
  }
}

}  // namespace
}  // namespace kezek::rpc
