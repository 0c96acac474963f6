// Goal: of a job that waits, or would, it is told whether and where it starts in the next tick,
// else when it would with everything at its limit, and what would start it sooner; and the advice
// holds. Method: four nodes of eight GPUs, projects a2 to a4; every answer as text; every piece of
// advice that says "now" is put to an engine, whose plan must start the job so.

#include "scheduler/engine/lookahead.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "kezek/reason_text.h"
#include "tests/support/advice.h"
#include "tests/unit/engine/small_world.h"

namespace kezek::engine {
namespace {

class LookaheadTest : public testing::Test {
 protected:
  LookaheadTest() {
    for (const std::int64_t project : {2, 3, 4}) tree.Add(project, 1);
    for (const char* name : {"n1", "n2", "n3", "n4"}) {
      nodes.push_back(H200(name, name < std::string("n3") ? "l1" : "l2"));
    }
  }
  // A job that has run since noon on these nodes, all of their GPUs, and ends after so many hours.
  void Runs(std::int64_t job, const std::vector<std::string>& on, std::int64_t hours,
            std::int32_t gpus = 8) {
    JobSpec spec = Gang(4, static_cast<std::int32_t>(on.size()), gpus);
    spec.time_limit_ms = hours * kHourMs;
    const Waiting row = Queued(job, spec);
    Start start{.job = row.ref, .row = row.ref};
    for (const std::string& node : on) start.placement.push_back({node, gpus, {}});
    start.counted_milli = static_cast<MilliGpus>(on.size()) * gpus * 1000;
    running.push_back(HoldingOf(start, row));
  }
  // Six GPUs of the first node, by project 2, for an hour.
  void ProjectRunsSix() {
    const Waiting row = Queued(1, Gang(2, 1, 6));
    running.push_back(HoldingOf(
        {.job = row.ref, .row = row.ref, .placement = {{"n1", 6, {}}}, .counted_milli = 6'000},
        row));
  }
  void Waits(std::int64_t job, JobSpec spec) { waiting.push_back(Queued(job, std::move(spec))); }

  Engine MakeEngine() {
    EngineConfig of = config;
    Engine engine(of, tree.Make());
    for (const Node& node : nodes) engine.SetNode(node);
    for (const Holding& attempt : running) engine.SetHolding(attempt);
    for (const Waiting& job : waiting) engine.SetWaiting(job);
    for (const Reservation& promise : promises) engine.SetReservation(promise);
    for (const auto& [budget, balance] : budgets) engine.SetBudget(budget, balance);
    return engine;
  }

  Outlook Ask(const JobSpec& spec, const JobRef& job = {}) {
    const Engine engine = MakeEngine();
    const Lookahead lookahead(engine.CopyFacts(), tree.Make(), {}, kNoon);
    Outlook outlook =
        lookahead.Of({.job = job, .user = UserId{9}, .spec = std::make_shared<JobSpec>(spec)});
    EXPECT_EQ(outlook.as_of_ms, kNoon);
    for (const OutlookAdvice& advice : outlook.advice) {
      if (!advice.start.placement.empty()) ExpectStarts(spec, job, advice);
    }
    return outlook;
  }
  Outlook AskQueued(std::int64_t job) {
    for (const Waiting& row : waiting) {
      if (row.ref.id.value == job) return Ask(*row.spec, row.ref);
    }
    return {};
  }

  void ExpectStarts(const JobSpec& spec, const JobRef& job, const OutlookAdvice& advice) {
    Engine engine = MakeEngine();
    Waiting row = Queued(job.id ? job.id.value : 1'000'000, test::Applied(spec, advice.change), 9);
    row.ref = job.id ? job : row.ref;
    engine.SetWaiting(row);
    const Plan plan = engine.Decide(kNoon);
    bool starts = false;
    for (const Start& start : plan.starts) {
      starts |= start.row == row.ref && start.placement == advice.start.placement;
    }
    EXPECT_TRUE(starts) << Sentence(advice.change) << " then " << StartsText(plan);
  }

  SmallTree tree;
  EngineConfig config;
  std::vector<Node> nodes;
  std::vector<Holding> running;
  std::vector<Waiting> waiting;
  std::vector<Reservation> promises;
  std::map<BudgetRef, BudgetBalance> budgets;
};

// "now on n1,n2", "+62" (minutes), ">=+62", or "?".
std::string Text(const StartTime& start) {
  std::string text;
  for (const NodeGrant& grant : start.placement) {
    text += (text.empty() ? "now on " : ",") + grant.node;
  }
  if (!text.empty()) return text;
  if (start.start_ms == 0) return "?";
  return (start.earliest ? ">=+" : "+") + std::to_string((start.start_ms - kNoon) / kMinuteMs);
}

// Reason, start, then each piece of advice.
std::string Text(const Outlook& outlook) {
  std::string text{WireName(outlook.reason.code)};
  text += " " + Text(outlook.start);
  for (const OutlookAdvice& advice : outlook.advice) {
    text += "; " + std::string(WireName(advice.change.code));
    for (const auto& [name, value] : advice.change.fields) text += " " + value;
    text += " " + Text(advice.start);
  }
  return text;
}

TEST_F(LookaheadTest, OnAnEmptyMachineItStartsNow) {
  EXPECT_EQ(Text(Ask(Gang(2, 1, 1))), "NONE now on n1");
  EXPECT_EQ(Text(Ask(Gang(2, 4, 8))), "NONE now on n1,n2,n3,n4");
}

TEST_F(LookaheadTest, AJobInTheQueueThatStartsIsSaidTo) {
  Waits(7, Gang(2, 2, 8));
  EXPECT_EQ(Text(AskQueued(7)), "NONE now on n1,n2");
}

// Ends at its limit and the kill margin of two minutes.
TEST_F(LookaheadTest, ItStartsWhenWhatRunsReachesItsLimit) {
  Runs(1, {"n1", "n2"}, 2);
  Runs(2, {"n3"}, 5);
  EXPECT_EQ(Text(Ask(Gang(2, 3, 8))), "WAITS_FOR_GPUS +122; FEWER_NODES 1 now on n4");
  EXPECT_EQ(Text(Ask(Gang(2, 4, 8))), "WAITS_FOR_GPUS +302; FEWER_NODES 1 now on n4");
}

TEST_F(LookaheadTest, WhoStandsBeforeItStartsFirst) {
  Runs(1, {"n1", "n2", "n3", "n4"}, 1);
  Waits(7, Gang(2, 3, 8));
  Waits(8, Gang(3, 2, 8));
  const Outlook first = AskQueued(7);
  EXPECT_EQ(Text(first), "WAITS_FOR_GPUS +62");
  EXPECT_EQ(Sentence(first.start.assumption), "At full time limits of what runs.");
  const Outlook second = AskQueued(8);
  // The one before it has three nodes for an hour, and 2 minutes.
  EXPECT_EQ(Text(second), "WAITS_FOR_GPUS +124; FEWER_NODES 1 +62");
  EXPECT_EQ(Sentence(second.start.assumption),
            "At full time limits of what runs and of 1 job ahead of it.");
  // One that is not in the queue stands last.
  EXPECT_EQ(Text(Ask(Gang(4, 2, 8))), "WAITS_FOR_GPUS +124; FEWER_NODES 1 +62");
  const Engine engine = MakeEngine();
  const Lookahead lookahead(engine.CopyFacts(), tree.Make(), {}, kNoon);
  EXPECT_EQ(lookahead.Starts(), (std::map<JobRef, TimeMs>{{{JobId{7}}, kNoon + 62 * kMinuteMs},
                                                          {{JobId{8}}, kNoon + 124 * kMinuteMs}}));
}

TEST_F(LookaheadTest, WithoutADomainItStartsNow) {
  Runs(1, {"n1"}, 2);
  Runs(2, {"n3"}, 3);
  JobSpec spec = Gang(2, 2, 8);
  spec.within = Domain::kLeaf;
  EXPECT_EQ(Text(Ask(spec)),
            "WAITS_FOR_DOMAIN +122; NO_WITHIN leaf now on n2,n4; FEWER_NODES 1 now on n2");
  spec.within = Domain::kAny;
  spec.prefer = Domain::kLeaf;
  EXPECT_EQ(Text(Ask(spec)),
            "WAITS_FOR_TOPOLOGY +122; NO_PREFER leaf now on n2,n4; FEWER_NODES 1 now on n2");
}

TEST_F(LookaheadTest, OfOneNodeFewerGpus) {
  for (const char* node : {"n1", "n2", "n3", "n4"}) Runs(node[1] - '0', {node}, 4, 5);
  EXPECT_EQ(Text(Ask(Gang(2, 1, 8))), "WAITS_FOR_GPUS +242; FEWER_GPUS 3 now on n1");
}

// 62 minutes until the promise, of which 2 are the margin, and half a one is for the launch.
TEST_F(LookaheadTest, AShorterLimitEndsBeforeAPromise) {
  config.reservations = 8;
  Runs(1, {"n1", "n2", "n3"}, 1);
  Waits(7, Gang(2, 4, 8));
  EXPECT_EQ(Text(AskQueued(7)), "RESERVED_AT +62; FEWER_NODES 1 now on n4");
  JobSpec spec = Gang(3, 1, 8);
  spec.time_limit_ms = 3 * kHourMs;
  EXPECT_EQ(Text(Ask(spec)), "RESERVATION_AHEAD +124; SHORTER_LIMIT 3540000 now on n4");
}

TEST_F(LookaheadTest, ALimitOfItsAccount) {
  auto& settings = tree.directory().accounts.at(AccountId{2}).settings;
  settings.account_limits.running_milli = 8'000;
  ProjectRunsSix();
  EXPECT_EQ(Text(Ask(Gang(2, 1, 4))), "LIMIT_ACCOUNT_GPUS +62; FEWER_GPUS 2 now on n1");
}

// What may not be preempted starts only inside the guarantee.
TEST_F(LookaheadTest, InAnotherClass) {
  tree.directory().accounts.at(AccountId{2}).settings.shares["h200"].guarantee_milli = 8'000;
  ProjectRunsSix();
  JobSpec spec = Gang(2, 1, 8);
  spec.job_class = "realtime";
  EXPECT_EQ(Text(Ask(spec)),
            "CLASS_NOT_PREEMPTIBLE +62; FEWER_GPUS 2 now on n1; OTHER_CLASS debug now on n2; "
            "OTHER_CLASS scavenger 1 now on n2");
  spec.shape.gpus_per_node = 9;
  EXPECT_EQ(Text(Ask(spec)), "NEVER_FITS_LIMIT ?");
}

// A budget makes it a scavenger, whom no limit on borrowing stops. On one node the budget holds it,
// and the limit does.
TEST_F(LookaheadTest, WhatABudgetHoldsIsNoScavenger) {
  auto& settings = tree.directory().accounts.at(AccountId{2}).settings;
  settings.shares["h200"].borrow_max_milli = 24'000;
  settings.budgets = {{.name = "year",
                       .gpu_type = "h200",
                       .milli_gpu_hours = 10'000,
                       .start_ms = kNoon - kDayMs,
                       .end_ms = kNoon + 300 * kDayMs,
                       .at_exhaustion = AtExhaustion::kScavenge}};
  const MilliGpuMs grant = 10'000 * kHourMs;
  budgets[{AccountId{2}, "year"}] = {.granted = grant, .left = grant};
  for (std::int64_t i = 1; i <= 3; ++i) Runs(i, {"n" + std::to_string(i)}, 2);
  for (Holding& attempt : running) attempt.project = AccountId{2};
  Waits(7, Gang(2, 2, 8));
  EXPECT_EQ(Text(AskQueued(7)), "WAITS_FOR_GPUS +122");
}

// As a scavenger the walk comes to it once nothing else of its project is looked at; on one node
// its budget holds it, and it is left with the others behind the first that finds no room.
TEST_F(LookaheadTest, WhatABudgetHoldsStandsBehindWhatItDidNot) {
  tree.directory().accounts.at(AccountId{2}).settings.budgets = {
      {.name = "year",
       .gpu_type = "h200",
       .milli_gpu_hours = 10'000,
       .start_ms = kNoon - kDayMs,
       .end_ms = kNoon + 300 * kDayMs,
       .at_exhaustion = AtExhaustion::kScavenge}};
  const MilliGpuMs grant = 10'000 * kHourMs;
  budgets[{AccountId{2}, "year"}] = {.granted = grant, .left = grant};
  Runs(1, {"n1", "n2", "n3"}, 2);
  Waits(6, Gang(2, 2, 4));
  Waits(7, Gang(2, 2, 8));
  EXPECT_EQ(Text(AskQueued(7)), "WAITS_FOR_GPUS +122; FEWER_NODES 1 now on n4");
  config.look_project = 1;
  EXPECT_EQ(Text(AskQueued(7)), "WAITS_FOR_GPUS +122");
}

// 36 of guarantees are asked for, and there are 32: each is kept by eight ninths, and the job
// before it is outside its account's. Once what the new one asks for is in the queue, too, it is
// inside; it is looked at, finds no room, and of this project nothing else is looked at.
TEST_F(LookaheadTest, WhatItAsksForItselfBringsAnotherInsideTheGuarantee) {
  for (const auto& [account, guarantee] : {std::pair{2, 12}, {3, 28}}) {
    auto& settings = tree.directory().accounts.at(AccountId{account}).settings;
    settings.shares["h200"].guarantee_milli = guarantee * 1000;
  }
  for (std::int64_t i = 1; i <= 4; ++i) Runs(i, {"n" + std::to_string(i)}, 2, 4);
  for (Holding& attempt : running) attempt.project = AccountId{3};
  Waits(5, Gang(3, 3, 8));
  JobSpec stays = Gang(2, 1, 8);
  stays.job_class = "realtime";
  Waits(6, stays);
  EXPECT_EQ(Text(AskQueued(6)), "CLASS_NOT_PREEMPTIBLE ?; FEWER_GPUS 4 now on n1");
  EXPECT_EQ(Text(Ask(Gang(2, 1, 4))), "NONE now on n1");
  config.look_project = 1;
  EXPECT_EQ(Text(Ask(Gang(2, 1, 4))), "NOT_LOOKED_AT +122");
  Waits(7, Gang(2, 1, 4));
  EXPECT_EQ(StartsText(MakeEngine().Decide(kNoon)), "");
  config.look_project = 2;
  EXPECT_EQ(StartsText(MakeEngine().Decide(kNoon)), "7@n1");
}

// An array, of which on one node a limit lets one element run: its account keeps 12 idle besides,
// and so guarantees of 36 are scaled to 32. All that the array asks for would leave nothing idle.
TEST_F(LookaheadTest, WhatIsBeyondALimitLeavesIdleWhatIsKept) {
  auto& settings = tree.directory().accounts.at(AccountId{2}).settings;
  settings.shares["h200"].guarantee_milli = 24'000;
  settings.shares["h200"].lend_max_milli = 0;
  settings.account_limits.running_milli = 16'000;
  tree.directory().accounts.at(AccountId{3}).settings.shares["h200"].guarantee_milli = 12'000;
  Runs(1, {"n1", "n2"}, 2, 6);
  running.back().project = AccountId{3};
  Runs(2, {"n3"}, 2, 4);
  running.back().project = AccountId{2};
  JobSpec spec = Gang(2, 2, 8);
  spec.job_class = "realtime";
  spec.array = ArraySpec{{{0, 9, 1}}, 0};
  Waits(7, spec);
  const std::string text = Text(AskQueued(7));
  EXPECT_EQ(text.find("FEWER_NODES 1 now"), std::string::npos) << text;
  EXPECT_EQ(text.substr(0, 18), "LIMIT_ACCOUNT_GPUS");
}

TEST_F(LookaheadTest, WhatNeverFitsHasNoTime) {
  EXPECT_EQ(Text(Ask(Gang(2, 5, 8))), "NEVER_FITS_MACHINE ?");
}

TEST_F(LookaheadTest, NotBeforeItsBeginTime) {
  JobSpec spec = Gang(2, 1, 8);
  spec.begin_ms = kNoon + kDayMs;
  EXPECT_EQ(Text(Ask(spec)), "BEGIN_TIME +1440");
}

// Of what stands behind, nothing is copied, and nothing is lost by that.
TEST_F(LookaheadTest, OfTheFirstInOrderAlone) {
  Runs(1, {"n1", "n2", "n3", "n4"}, 1);
  for (std::int64_t job = 10; job < 40; ++job) Waits(job, Gang(2 + job % 3, 2, 8));
  const Engine engine = MakeEngine();
  const Plan plan = engine.Decide(kNoon);
  std::vector<JobRef> first;
  for (const auto& [ref, standing] : plan.waiting.All()) {
    if (standing.rank <= 6) first.push_back(ref);
  }
  const Lookahead all(engine.CopyFacts(), tree.Make(), {}, kNoon);
  const Lookahead some(engine.CopyFacts(first), tree.Make(), plan.standings, kNoon);
  for (const Waiting& row : waiting) {
    const OutlookQuestion question{.job = row.ref,
                                   .user = row.user,
                                   .spec = row.spec,
                                   .submitted_ms = row.submitted_ms,
                                   .queued_since_ms = row.queued_since_ms};
    const Outlook known = some.Of(question);
    if (plan.waiting.All().at(row.ref).rank <= 6) {
      EXPECT_EQ(Text(known), Text(all.Of(question))) << ToText(row.ref);
    } else {
      EXPECT_TRUE(known.start.earliest) << ToText(row.ref);
      EXPECT_LE(known.start.start_ms, all.Of(question).start.start_ms) << ToText(row.ref);
      EXPECT_EQ(known.start.assumption.code, ReasonCode::kNotBefore);
    }
  }
}

}  // namespace
}  // namespace kezek::engine
