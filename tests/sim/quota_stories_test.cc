// Goal: the quota rules that were learnt from simulations and from other schedulers' failures hold
// for whole plans, one after another. Method: each is a story in a town of the very engine, told in
// whole GPUs; the jobs are of one GPU for an hour unless said otherwise.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>

#include "scheduler/engine/verify.h"
#include "scheduler/sim/town.h"
#include "tests/unit/engine/small_world.h"

namespace kezek::sim {
namespace {

using engine::Engine;
using engine::Gang;
using engine::kNoon;
using engine::Plan;
using engine::Queued;
using engine::SmallTree;

// A machine of one node, so that only quota decides.
Node Machine(std::int32_t gpus) {
  Node node = engine::H200("m");
  node.gpus = gpus;
  node.cpus = 8 * gpus;
  node.memory_mib = 1024 * gpus;
  return node;
}

std::map<AccountId, std::int64_t> StartsByProject(const std::vector<Started>& starts) {
  std::map<AccountId, std::int64_t> count;
  for (const Started& start : starts) ++count[start.project];
  return count;
}

// Keeps `queued` jobs of each project waiting; what runs, runs for its hour.
class Crowd {
 public:
  Crowd(const SmallTree& tree, std::int32_t gpus, TownRules rules = {})
      : town({}, tree.Make(), kNoon, rules) {
    town.engine().SetNode(Machine(gpus));
    town.OnStart([this](const Started& start) {
      starts.push_back(start);
      if (refill) Submit(start.project.value, 1);
      return std::min(run_ms ? run_ms(start) : kHourMs, start.limit_ms);
    });
    town.OnPlan([this](const Plan& plan) { last = plan; });
  }
  void Submit(std::int64_t project, int jobs, std::int32_t gpus = 1, const std::string& name = "") {
    for (; jobs > 0; --jobs) {
      JobSpec spec = Gang(project, 1, gpus);
      spec.name = names_[JobId{next_}] = name;
      town.Submit(Queued(next_++, std::move(spec), project));
    }
  }
  const std::string& NameOf(JobId job) const { return names_.at(job); }
  MilliGpus Allocated(std::int64_t account) const { return Of(account).allocated_milli; }
  MilliGpus Entitled(std::int64_t account) const { return Of(account).entitled_milli; }
  Standing Of(std::int64_t account) const {
    return last.standings.at({AccountId{account}, "h200"});
  }

  Town town;
  bool refill = true;
  std::function<DurationMs(const Started&)> run_ms;
  std::vector<Started> starts;
  Plan last;

 private:
  std::int64_t next_ = 1;
  std::map<JobId, std::string> names_;
};

// One GPU, one project whose shortest job is next. All ask for an hour; "long" ones take 50
// minutes, "short" ones 10, and of each one has ended.
class Shortest : public Crowd {
 public:
  Shortest() : Crowd(Tree(), 1) {
    refill = false;
    run_ms = [this](const Started& start) {
      const bool is_short = NameOf(start.job.id) == "short";
      if (is_short && more) Submit(2, 1, 1, "short");
      return (is_short ? 10 : 50) * kMinuteMs;
    };
    Submit(2, 1, 1, "long");
    Submit(2, 1, 1, "short");
    town.RunUntil(kNoon + 2 * kHourMs);
  }
  bool more = false;  // there is always another short one

 private:
  static SmallTree Tree() {
    SmallTree tree;
    tree.Add(2, 1).rule = ProjectRule::kShortest;
    return tree;
  }
};

// Ends that never fall together: GPUs come free one at a time.
DurationMs Scattered(const Started& start) {
  return (20 + start.job.id.value * 7 % 40) * kMinuteMs + start.job.id.value % 60 * kSecondMs;
}

// 100 GPUs, A with a guarantee and B without, equal weights, both ask for everything.
std::pair<MilliGpus, MilliGpus> WorkedExample(MilliGpus guarantee) {
  SmallTree tree;
  tree.Add(2, 1, guarantee);
  tree.Add(3, 1);
  Crowd crowd(tree, 100);
  crowd.run_ms = Scattered;
  crowd.Submit(3, 120);  // B is there first, and takes it all
  crowd.town.RunUntil(kNoon + kMinuteMs);
  EXPECT_EQ(crowd.Allocated(3), 100'000);
  crowd.Submit(2, 120);
  crowd.town.RunUntil(kNoon + 6 * kHourMs);
  EXPECT_NEAR(static_cast<double>(crowd.Allocated(2)), static_cast<double>(crowd.Entitled(2)),
              2000.0);
  EXPECT_NEAR(static_cast<double>(crowd.Allocated(3)), static_cast<double>(crowd.Entitled(3)),
              2000.0);
  return {crowd.Entitled(2), crowd.Entitled(3)};
}

TEST(QuotaStories, AGuaranteeIsAFloorNotAnExtra) {
  EXPECT_EQ(WorkedExample(60), (std::pair<MilliGpus, MilliGpus>{60'000, 40'000}));
  EXPECT_EQ(WorkedExample(30), (std::pair<MilliGpus, MilliGpus>{50'000, 50'000}));
}

TEST(QuotaStories, AGangInAnAccountWithGuaranteeOneDoesNotShieldItself) {
  SmallTree tree;
  tree.Add(2, 1, 1);
  tree.Add(3, 1, 600);
  engine::World world(engine::EngineConfig{}, tree.Make());
  engine::Holding gang = {.attempt = {{JobId{1}}, 1},
                          .user = UserId{1},
                          .project = AccountId{2},
                          .job_class = "normal",
                          .shape = Gang(2, 64, 8).shape,
                          .placement = {},
                          .counted_milli = 512'000,
                          .start_ms = kNoon - kHourMs,
                          .limit_ms = kDayMs};
  for (int i = 0; i < 64; ++i) {
    const std::string name = "n" + std::to_string(100 + i);
    world.SetNode(engine::H200(name));
    gang.placement.push_back({name, 8, {}});
  }
  world.SetHolding(gang);
  world.SetWaiting(Queued(2, Gang(3, 8, 8)));
  world.Refresh(kNoon);
  const std::map<std::string, std::vector<quota::Entitlement>> entitled;
  Plan plan;
  plan.preempts.push_back({gang.attempt, {JobId{2}}});
  EXPECT_FALSE(engine::FirstViolation({&world, kNoon, &entitled}, plan))
      << "its own GPUs are no guarantee of it";
  // A job of one GPU beside it is covered, although the gang is older.
  engine::Holding one = gang;
  one.attempt = {{JobId{3}}, 1};
  one.shape = Gang(2, 1, 1).shape;
  one.counted_milli = 1000;
  one.start_ms = kNoon - kHourMs / 2;
  one.placement = {{"x", 1, {}}};
  world.SetNode(engine::H200("x"));
  world.SetHolding(one);
  plan.preempts = {{one.attempt, {JobId{2}}}};
  const auto violation = engine::FirstViolation({&world, kNoon, &entitled}, plan);
  ASSERT_TRUE(violation);
  EXPECT_NE(violation->rule.find("covers"), std::string::npos) << violation->rule;
}

TEST(QuotaStories, AWideGangAtTheHeadDoesNotSwitchOffAnInstitutionsGuarantee) {
  SmallTree tree;
  tree.Add(2, 1, 8, "institution");
  tree.Add(3, 1, 0, "institution");
  tree.Add(4, 2);  // the gang's: it has used nothing, so it is the head of its institution
  tree.Add(5, 2);
  tree.Add(6, 3);
  Crowd crowd(tree, 16);
  crowd.refill = false;
  crowd.town.engine().Book({AccountId{5}, UserId{5}, "h200", kNoon, 1'000'000});
  crowd.Submit(6, 8);
  crowd.town.RunUntil(kNoon + kMinuteMs);  // the others run on half of the machine
  crowd.Submit(4, 1, 16);
  crowd.Submit(5, 8);
  crowd.Submit(6, 8);
  crowd.town.RunUntil(kNoon + 2 * kMinuteMs);
  const auto count = StartsByProject(crowd.starts);
  EXPECT_EQ(count.at(AccountId{5}), 8) << "the rest of the institution is inside its guarantee";
  EXPECT_EQ(count.at(AccountId{6}), 8) << "who has used less still comes after that";
  EXPECT_EQ(engine::ReasonOf(crowd.last, 9).fields.count("wider_than_share"), 1U)
      << "the gang is told that it is wider than guarantee and share";
}

TEST(QuotaStories, OneProjectAgainstFiftyShareAnEmptyMachineInHalf) {
  SmallTree tree;
  tree.Add(2, 1, 0, "institution");
  tree.Add(3, 1, 0, "institution");
  tree.Add(4, 2);
  for (std::int64_t i = 0; i < 50; ++i) tree.Add(5 + i, 3);
  Crowd crowd(tree, 100);
  crowd.run_ms = Scattered;
  crowd.Submit(4, 120);
  for (std::int64_t i = 0; i < 50; ++i) crowd.Submit(5 + i, 3);
  crowd.town.RunUntil(kNoon + kMinuteMs);
  EXPECT_EQ(crowd.Allocated(2), 50'000) << "in the very first plan";
  EXPECT_EQ(crowd.Allocated(3), 50'000);
  crowd.town.RunUntil(kNoon + 3 * kHourMs);
  EXPECT_NEAR(static_cast<double>(crowd.Allocated(2)), 50'000.0, 2000.0);
}

// 40 equal accounts; a GPU comes free every 45 s. The most that one has started above another.
std::int64_t Spread(DurationMs launch_ms, bool book_at_launch) {
  SmallTree tree;
  for (std::int64_t i = 0; i < 40; ++i) tree.Add(2 + i, 1);
  Crowd crowd(tree, 80, {.launch_ms = launch_ms, .book_at_launch = book_at_launch});
  crowd.run_ms = [first = 0](const Started&) mutable {
    return first < 80 ? (1 + first++) * 45 * kSecondMs : kHourMs;  // the first ones end in turn
  };
  for (std::int64_t i = 0; i < 40; ++i) crowd.Submit(2 + i, 4);
  std::int64_t spread = 0;
  for (TimeMs at = kNoon; at < kNoon + 4 * kHourMs; at += kMinuteMs) {
    crowd.town.RunUntil(at);
    const auto count = StartsByProject(crowd.starts);
    if (count.size() < 40) continue;
    const auto [least, most] =
        std::minmax_element(count.begin(), count.end(),
                            [](const auto& a, const auto& b) { return a.second < b.second; });
    spread = std::max(spread, most->second - least->second);
  }
  return spread;
}

TEST(QuotaStories, BookingAtCommitKeepsEqualAccountsTogetherAtAnyLaunchLatency) {
  for (const DurationMs latency : {DurationMs{0}, 30 * kSecondMs, 10 * kMinuteMs}) {
    EXPECT_LE(Spread(latency, false), 2) << "launches take " << latency << " ms";
  }
  EXPECT_GT(Spread(10 * kMinuteMs, true), 2) << "booked at launch, who is first gets everything";
}

// 8 GPUs serve for two guarantees of 8: whoever has used less does not take the other's half.
TEST(QuotaStories, GuaranteesThatExceedTheMachineAreScaled) {
  SmallTree tree;
  tree.Add(2, 1, 8);
  tree.Add(3, 1, 8);
  tree.Add(4, 1);
  Crowd crowd(tree, 8);
  crowd.refill = false;
  crowd.town.engine().Book({AccountId{3}, UserId{3}, "h200", kNoon, kDayMs * 1000});
  for (const std::int64_t project : {2, 3, 4}) crowd.Submit(project, 8);
  crowd.town.RunUntil(kNoon + kMinuteMs);
  EXPECT_EQ(crowd.Allocated(2), 4000);
  EXPECT_EQ(crowd.Allocated(3), 4000) << "inside what its guarantee is cut to, too";
  EXPECT_EQ(crowd.Allocated(4), 0) << "nothing is left for who has no guarantee";
  EXPECT_EQ(crowd.Of(2).guarantee_now_milli, 4000);
  EXPECT_EQ(crowd.Of(2).entitled_by, EntitledBy::kScaled);
  EXPECT_EQ(engine::ReasonOf(crowd.last, 5).fields.at("guarantee_now"), "4");
  crowd.town.engine().SetNode(Machine(16));
  crowd.Submit(4, 1);
  crowd.town.RunUntil(kNoon + 2 * kMinuteMs);
  EXPECT_EQ(crowd.Allocated(2), 8000) << "the machine is whole again";
  EXPECT_EQ(crowd.Allocated(3), 8000);
  EXPECT_EQ(crowd.Of(2).entitled_by, EntitledBy::kDemand);
}

TEST(QuotaStories, LentGpusComeBackAndTheFloorStaysFree) {
  SmallTree tree;
  tree.Add(2, 1, 60).shares["h200"].lend_max_milli = 20'000;
  tree.Add(3, 1);
  Crowd crowd(tree, 100);
  crowd.refill = false;
  crowd.Submit(3, 200);
  crowd.town.RunUntil(kNoon + kMinuteMs);
  EXPECT_EQ(crowd.Allocated(3), 60'000) << "the careful one keeps 40 of its 60 idle";
  EXPECT_EQ(crowd.Entitled(3), 60'000);
  crowd.Submit(2, 50);
  crowd.town.RunUntil(kNoon + 2 * kMinuteMs);
  EXPECT_EQ(crowd.Allocated(2), 40'000) << "which it has at once when it wants them";
  crowd.town.RunUntil(kNoon + kHourMs + 5 * kMinuteMs);
  EXPECT_EQ(crowd.Allocated(2), 10'000);
  EXPECT_EQ(crowd.Allocated(3), 60'000) << "its guarantee less 20 lent and 10 that run stay free";
}

TEST(QuotaStories, ShortestGoesByWhatSuchJobsHaveTaken) {
  Shortest project;
  project.Submit(2, 1, 1, "long");  // first in the queue, with the same limit
  project.Submit(2, 3, 1, "short");
  project.town.RunUntil(kNoon + 5 * kHourMs);
  std::string order;
  for (const Started& start : project.starts) order += " " + project.NameOf(start.job.id);
  EXPECT_EQ(order, " long short short short short long");
}

TEST(QuotaStories, AJobComesOfAgeByItsProjectsRunningTime) {
  Shortest project;
  Node machine = Machine(1);
  machine.health = NodeHealth::kDown;
  project.town.engine().SetNode(machine);
  const TimeMs back = kNoon + 48 * kHourMs;
  project.more = true;
  project.Submit(2, 1, 1, "long");
  project.town.RunUntil(back);
  ASSERT_EQ(project.starts.size(), 2U) << "nothing runs while the machine is away";
  project.town.engine().SetNode(Machine(1));
  project.Submit(2, 1, 1, "short");
  project.town.RunUntil(back + 30 * kHourMs);
  const auto passed =
      std::find_if(project.starts.begin(), project.starts.end(), [&](const Started& start) {
        return start.at_ms >= back && project.NameOf(start.job.id) == "long";
      });
  ASSERT_NE(passed, project.starts.end()) << "it is not passed for ever";
  EXPECT_GT(passed->at_ms, back + 22 * kHourMs) << "two days without a machine do not count";
  EXPECT_LT(passed->at_ms, back + 25 * kHourMs);
}

// A peer's failure: limits are checked against figures that are refreshed now and then.
TEST(QuotaStories, AdmissionDoesNotOvershootBetweenRefreshes) {
  SmallTree tree;
  tree.Add(2, 1).account_limits.running_milli = 8000;
  tree.Add(3, 1).shares["h200"].borrow_max_milli = 5000;
  Crowd crowd(tree, 100, {.launch_ms = 10 * kMinuteMs});
  crowd.Submit(2, 100);
  crowd.Submit(3, 100);
  for (int minute = 1; minute < 10; ++minute) {  // nothing has launched yet
    crowd.town.RunUntil(kNoon + minute * kMinuteMs);
    crowd.Submit(2, 1);
    EXPECT_EQ(crowd.Allocated(2), 8000);
    EXPECT_EQ(crowd.Allocated(3), 5000);
  }
}

TEST(QuotaStories, AClosedAccountsGuaranteeIsWholeForWhoIsGivenIt) {
  SmallTree tree;
  tree.Add(2, 1, 20);
  tree.Add(3, 1);
  tree.directory().accounts.at(kRootAccount).settings.shares["h200"].guarantee_milli = 20'000;
  Crowd crowd(tree, 20);
  crowd.refill = false;
  crowd.Submit(2, 20);
  crowd.town.RunUntil(kNoon + kMinuteMs);
  EXPECT_EQ(crowd.Of(2).guarantee_now_milli, 20'000);
  tree.directory().accounts.at(AccountId{2}).closed = true;
  tree.Add(3, 1, 20);
  crowd.town.engine().SetDirectory(tree.Make());
  crowd.Submit(3, 20);
  crowd.town.RunUntil(kNoon + 2 * kMinuteMs);
  EXPECT_EQ(crowd.Of(3).guarantee_now_milli, 20'000) << "not cut by what still runs";
  EXPECT_EQ(crowd.Entitled(3), 20'000);
  EXPECT_EQ(crowd.Of(2).guarantee_milli, 0);
  EXPECT_EQ(crowd.Of(2).Borrowed(), 20'000);
  crowd.town.RunUntil(kNoon + 2 * kHourMs);
  EXPECT_EQ(StartsByProject(crowd.starts).at(AccountId{3}), 20);
}

// A peer's failure: shares rounded down to 1/100, so that many small queues get nothing.
TEST(QuotaStories, ManySmallQueuesAreNotRoundedAway) {
  constexpr std::int64_t kQueues = 300;
  SmallTree tree;
  for (std::int64_t i = 0; i < kQueues; ++i) tree.Add(2 + i, 1).shares["h200"].weight_milli = 1;
  tree.Add(2 + kQueues, 1).shares["h200"].weight_milli = 1'000'000;  // one that asks for little
  Crowd crowd(tree, 8);
  crowd.refill = false;
  for (std::int64_t i = 0; i < kQueues; ++i) crowd.Submit(2 + i, 1);
  crowd.town.RunUntil(kNoon + kMinuteMs);
  MilliGpus entitled = 0;
  for (std::int64_t i = 0; i < kQueues; ++i) {
    EXPECT_GE(crowd.Entitled(2 + i), 26);
    entitled += crowd.Entitled(2 + i);
  }
  EXPECT_EQ(entitled, 8000) << "all there is";
  crowd.town.RunUntil(kNoon + 40 * kHourMs);
  EXPECT_EQ(StartsByProject(crowd.starts).size(), static_cast<std::size_t>(kQueues));
}

}  // namespace
}  // namespace kezek::sim
