// Goal: the queue never takes more jobs than its limits, however many come between two ticks, and
// takes as many as that. Method: a door on a small tree with limits of a project, of the account
// above it, of a user, and of a user in a class; first by hand, then random histories of
// submissions that are stored or not, beside a list of all jobs there are.

#include "scheduler/control/queue_door.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

#include "scheduler/control/directory.h"
#include "scheduler/sim/workload.h"

namespace kezek::control {
namespace {

constexpr AccountId kProject{5};
constexpr UserId kAnn{1};
constexpr UserId kBen{2};

class QueueDoorTest : public ::testing::Test {
 protected:
  QueueDoorTest() {
    Snapshot snapshot;
    snapshot.accounts = sim::SimAccounts();
    const auto project = std::find_if(snapshot.accounts.begin(), snapshot.accounts.end(),
                                      [](const Account& a) { return a.id == kProject; });
    project->settings.account_limits.jobs_queued = 5;
    project->settings.user_limits.jobs_queued = 3;
    std::map<std::string, Node> nodes;
    for (const Node& node : sim::SimNodes()) nodes[node.name] = node;
    ControlConfig config = sim::SimConfig();
    config.classes["debug"].user_limits.jobs_queued = 2;
    admission = std::make_shared<const Admission>(
        config, std::make_shared<const Directory>(MakeDirectory(config, snapshot)), nodes);
    above = admission->directory()->accounts.at(kProject).parent;
  }

  static JobSpec Spec(std::int32_t jobs = 1, const std::string& job_class = "normal") {
    JobSpec spec;
    spec.job_class = job_class;
    spec.project = kProject;
    if (jobs > 1) spec.array = ArraySpec{{{1, jobs, 1}}, 0};
    return spec;
  }
  static Job Stored(UserId user, std::int32_t jobs = 1, const std::string& job_class = "normal") {
    return {.user = user, .spec = std::make_shared<const JobSpec>(Spec(jobs, job_class))};
  }
  // A view in which these wait.
  void Show(std::int64_t anns, std::int64_t bens, std::int64_t anns_debug = 0,
            std::int64_t bens_debug = 0) {
    View view;
    view.queued_of_class_user[{"debug", kAnn}] = anns_debug;
    view.queued_of_class_user[{"debug", kBen}] = bens_debug;
    for (const AccountId account : {kProject, above}) {
      view.queued_in_account[account] = anns + bens;
      view.queued_of_user[{account, kAnn}] = anns;
      view.queued_of_user[{account, kBen}] = bens;
    }
    door.Show(admission, view);
  }

  std::shared_ptr<const Admission> admission;
  AccountId above;
  QueueDoor door;
};

TEST_F(QueueDoorTest, BeforeTheFirstViewNobodyComesIn) {
  EXPECT_EQ(door.Enter(kAnn, Spec()).error().code, Code::kUnavailable);
}

TEST_F(QueueDoorTest, WhatNoViewCountsYetCounts) {
  Show(1, 0);
  EXPECT_TRUE(door.Enter(kAnn, Spec(2)));
  const Result<void> full = door.Enter(kAnn, Spec());
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, Code::kResourceExhausted);
  EXPECT_EQ(full.error().details.at(0).reason, "LIMIT_USER_JOBS");
  EXPECT_TRUE(door.Enter(kBen, Spec(2)));
  EXPECT_EQ(door.Enter(kBen, Spec()).error().details.at(0).reason, "LIMIT_ACCOUNT_JOBS");
  door.Leave(kAnn, Spec(2));
  EXPECT_TRUE(door.Enter(kBen, Spec()));
  // A view that was made before the controller got them changes nothing.
  Show(1, 0);
  EXPECT_FALSE(door.Enter(kBen, Spec()));
  door.TakeIn(Stored(kBen, 2));
  Show(1, 2);
  EXPECT_FALSE(door.Enter(kBen, Spec())) << "one is still on its way";
  EXPECT_TRUE(door.Enter(kAnn, Spec()));
  door.TakeIn(Stored(kAnn));
  door.TakeIn(Stored(kBen));
  Show(0, 0);  // all have started
  EXPECT_TRUE(door.Enter(kBen, Spec(3)));
}

TEST_F(QueueDoorTest, AClassHasItsOwnLimitOfEachUser) {
  Show(0, 0);
  const Result<void> full = door.Enter(kAnn, Spec(3, "debug"));
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, Code::kResourceExhausted);
  EXPECT_EQ(full.error().details.at(0).reason, "LIMIT_USER_JOBS");
  EXPECT_EQ(full.error().details.at(0).field, "job_class");
  EXPECT_EQ(full.error().details.at(0).values.at("class"), "debug");
  EXPECT_TRUE(door.Enter(kAnn, Spec(1, "debug")));
  EXPECT_TRUE(door.Enter(kAnn, Spec(1))) << "another class";
  EXPECT_TRUE(door.Enter(kBen, Spec(2, "debug"))) << "another user";
  EXPECT_FALSE(door.Enter(kAnn, Spec(2, "debug")));
  door.TakeIn(Stored(kAnn, 1, "debug"));
  Show(1, 0, 1);
  EXPECT_FALSE(door.Enter(kAnn, Spec(2, "debug"))) << "the view has it now";
  EXPECT_TRUE(door.Enter(kAnn, Spec(1, "debug")));
}

TEST_F(QueueDoorTest, WhatDidNotComeThroughTheDoorDoesNoHarm) {
  Show(0, 0);
  door.TakeIn(Stored(kAnn, 3));
  EXPECT_TRUE(door.Enter(kAnn, Spec()));
  Show(3, 0);
  door.Leave(kAnn, Spec());
  EXPECT_FALSE(door.Enter(kAnn, Spec()));
}

// Where a job is on its way into a view.
struct OnItsWay {
  UserId user;
  std::int32_t jobs = 1;
  std::string job_class;
  enum class At { kDoor, kInbox, kController } at = At::kDoor;
};

TEST_F(QueueDoorTest, RandomHistoriesPassNoLimitAndWasteNoPlace) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    std::mt19937 random(seed);
    door = QueueDoor();
    std::vector<OnItsWay> all;
    std::int64_t waiting[2] = {0, 0};
    std::int64_t debug[2] = {0, 0};  // of these
    Show(0, 0);
    for (int step = 0; step < 100; ++step) {
      const UserId user = random() % 2 == 0 ? kAnn : kBen;
      const auto jobs = static_cast<std::int32_t>(1 + random() % 2);
      const std::string job_class = random() % 2 == 0 ? "debug" : "normal";
      std::int64_t own = waiting[user == kBen];
      std::int64_t own_debug = debug[user == kBen];
      std::int64_t both = waiting[0] + waiting[1];
      for (const OnItsWay& one : all) {
        own += one.user == user ? one.jobs : 0;
        own_debug += one.user == user && one.job_class == "debug" ? one.jobs : 0;
        both += one.jobs;
      }
      switch (random() % 4) {
        case 0: {
          const bool in_class = job_class != "debug" || own_debug + jobs <= 2;
          const bool room = own + jobs <= 3 && both + jobs <= 5 && in_class;
          ASSERT_EQ(door.Enter(user, Spec(jobs, job_class)).has_value(), room) << "seed " << seed;
          if (room) all.push_back({user, jobs, job_class, OnItsWay::At::kDoor});
          break;
        }
        case 1: {  // the oldest at the door is stored, or not
          const auto at_door = [](const OnItsWay& o) { return o.at == OnItsWay::At::kDoor; };
          const auto one = std::find_if(all.begin(), all.end(), at_door);
          if (one == all.end()) break;
          one->at = OnItsWay::At::kInbox;
          if (random() % 3 != 0) break;
          door.Leave(one->user, Spec(one->jobs, one->job_class));
          all.erase(one);
          break;
        }
        case 2:
          for (OnItsWay& one : all) {
            if (one.at != OnItsWay::At::kInbox) continue;
            door.TakeIn(Stored(one.user, one.jobs, one.job_class));
            one.at = OnItsWay::At::kController;
          }
          break;
        default:  // a view; some of what waits has started since the last
          for (const OnItsWay& one : all) {
            if (one.at != OnItsWay::At::kController) continue;
            waiting[one.user == kBen] += one.jobs;
            if (one.job_class == "debug") debug[one.user == kBen] += one.jobs;
          }
          std::erase_if(all, [](const OnItsWay& o) { return o.at == OnItsWay::At::kController; });
          for (const int of : {0, 1}) {
            if (waiting[of] == 0 || random() % 2 == 0) continue;
            --waiting[of];
            debug[of] -= debug[of] > waiting[of] || (debug[of] > 0 && random() % 2 == 0) ? 1 : 0;
          }
          Show(waiting[0], waiting[1], debug[0], debug[1]);
      }
    }
  }
}

}  // namespace
}  // namespace kezek::control
