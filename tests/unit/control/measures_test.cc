// Goal: what the controller tells for metrics is what happened: the queue by class and reason,
// waits until the first run, charges, the phases of a tick. Method: a controller driven by hand.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "scheduler/control/queue_tally.h"
#include "tests/unit/control/desk_of_one.h"

namespace kezek::control {
namespace {

QueueTally Tally(const DeskOfOne& desk) {
  return TallyQueue(desk.controller->state(), *desk.controller->view());
}

TEST(QueueTally, CountsJobsByClassAndReason) {
  DeskOfOne desk;
  desk.Up();
  desk.Running(desk.Submit(), 901);
  desk.Submit([&](JobSpec& spec) { spec.begin_ms = desk.now + kHourMs; });
  desk.Submit([&](JobSpec& spec) {
    spec.begin_ms = desk.now + kHourMs;
    spec.array = ArraySpec{{{0, 9, 1}}, 0};
    spec.job_class = "debug";
  });
  desk.Tick();
  const JobId untold = desk.Submit();
  const Job row = desk.Row(untold);
  QueueTally tally = Tally(desk);
  const std::vector<kezek::QueuedJobs> queued = {{"debug", ReasonCode::kBeginTime, 10, 20'000},
                                                 {"normal", ReasonCode::kBeginTime, 1, 2000}};
  EXPECT_EQ(tally.queued, queued) << "the job " << row.ref.id.value << " is in no round yet";
  EXPECT_EQ(tally.alive, (std::vector<AliveAttempts>{{"normal", true, 1, 2000}}));
  desk.Tick();
  tally = Tally(desk);
  EXPECT_EQ(tally.alive,
            (std::vector<AliveAttempts>{{"normal", false, 1, 2000}, {"normal", true, 1, 2000}}));
}

TEST(RoundReport, TellsTheWaitUntilTheFirstRunOnce) {
  DeskOfOne desk;
  desk.Up();
  const JobId job = desk.Submit([](JobSpec& spec) {
    spec.requeue = true;
    spec.max_attempts = 3;
  });
  const TimeMs submitted = desk.now;
  const AttemptRef refused{{job}, 1};
  desk.Tick();
  desk.Offer(LaunchRefused{refused, false, "not now"});
  desk.Step();
  desk.Step(desk.config.backoff_ms);
  desk.Tick();
  const auto run = [&](std::int32_t number, std::int64_t id) {
    const AttemptRef ref{{job}, number};
    desk.Offer(LaunchAccepted{ref, id});
    desk.Step();
    desk.Offer(Observed{desk.Seen(ref, id, ClusterJobState::kRunning)});
    return desk.Step(1000);
  };
  const Ready first = run(2, 902);
  ASSERT_EQ(first.report.first_runs.size(), 1U);
  EXPECT_EQ(first.report.first_runs[0].job_class, "normal");
  EXPECT_EQ(first.report.first_runs[0].waited_ms, desk.now - submitted);
  ClusterJob failed = desk.Seen({{job}, 2}, 902, ClusterJobState::kNodeFailed);
  failed.end_ms = desk.now;
  desk.Offer(Observed{failed});
  const Ready ended = desk.Step(1000);
  ASSERT_EQ(ended.report.charged.size(), 1U);
  EXPECT_EQ(ended.report.charged[0].project, DeskOfOne::kProject);
  EXPECT_EQ(ended.report.charged[0].gpu_type, "h200");
  desk.Tick();
  EXPECT_TRUE(run(3, 903).report.first_runs.empty()) << "it had run before";
}

TEST(Phases, EndInTheOrderOfATick) {
  std::vector<std::string> phases;
  ControlConfig config = sim::SimConfig();
  config.engine.phase_ended = [&](std::string_view phase) { phases.emplace_back(phase); };
  DeskOfOne desk(config);
  desk.Up();
  phases.clear();
  desk.Tick();
  const std::vector<std::string> wanted = {"take_in", "prepare", "apart", "entitle",
                                           "walk",    "verify",  "stand"};
  EXPECT_EQ(phases, wanted);
}

}  // namespace
}  // namespace kezek::control
