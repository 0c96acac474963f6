// Goal: who is said to start in the next tick, as it is or with what it is advised, does; and a
// look ahead at the first in order says of them what one at all says. Method: random histories by
// seed, with owners of nodes, limits, budgets, little looks; at each step jobs that wait and jobs
// that do not exist are asked about, and whoever is said to start is told to a copy of the engine,
// whose plan must start it. KEZEK_SEEDS says how many seeds (200), KEZEK_SEED runs one.

#include "scheduler/engine/lookahead.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "kezek/reason_text.h"
#include "tests/property/engine_history.h"
#include "tests/property/seeds.h"
#include "tests/support/advice.h"

namespace kezek::test {
namespace {

constexpr int kLookSteps = 10;
constexpr int kAsked = 6;

class Asker {
 public:
  Asker(const engine::Engine& engine, std::shared_ptr<const Directory> directory, TimeMs now)
      : facts_(engine.CopyFacts()),
        directory_(std::move(directory)),
        now_(now),
        lookahead_(facts_, directory_, {}, now) {}

  // What is said and does not hold; empty: all does.
  std::string Ask(const engine::Waiting& job, bool queued) {
    const Outlook outlook = lookahead_.Of({.job = queued ? job.ref : JobRef{},
                                           .user = job.user,
                                           .spec = job.spec,
                                           .submitted_ms = job.submitted_ms,
                                           .queued_since_ms = job.queued_since_ms});
    if (!outlook.start.placement.empty()) {
      ++now_told;
      if (!Starts(job) && !Excused())
        return "starts now: " + ToText(job.ref) + (queued ? "" : " (new)") + why_;
    } else if (outlook.start.start_ms != 0) {
      ++times_told;
      if (outlook.start.start_ms < now_) return "in the past";
    }
    for (const OutlookAdvice& advice : outlook.advice) {
      if (advice.start.placement.empty()) continue;
      if (advice.change.code == ReasonCode::kFewerGpus) continue;  // what its part is, varies
      ++advice_told;
      engine::Waiting other = job;
      other.spec = std::make_shared<const JobSpec>(Applied(*job.spec, advice.change));
      if (!Starts(other) && !Excused()) {
        return ToText(job.ref) + (queued ? "" : " (new)") + ": " + Sentence(advice.change) + why_;
      }
    }
    return "";
  }

  int now_told = 0;
  int times_told = 0;
  int advice_told = 0;
  int excused = 0;

 private:
  // Where anything is promised one more in the queue may change who has a promise; and what it asks
  // for, which its account keeps no longer idle, may let others start before it.
  bool Excused() {
    const bool by_promise =
        code_ == ReasonCode::kReservedAt || code_ == ReasonCode::kReservationAhead;
    excused += by_promise || others_start_ ? 1 : 0;
    return by_promise || others_start_;
  }

  // Than is asked for without it: it is new, or nothing stops it as it is asked about.
  bool AsksForMoreIn(const engine::Plan& plan, const JobSpec& spec) const {
    engine::World world(facts_, directory_);
    world.Refresh(now_);
    const std::pair account{spec.project, spec.shape.gpu_type};
    return plan.standings.at(account).demand_milli >
           engine::DecideAll(world, now_).standings.at(account).demand_milli;
  }

  bool Starts(const engine::Waiting& job) {
    engine::Facts facts = facts_;
    facts.config.starts_max = std::numeric_limits<std::int32_t>::max();
    facts.waiting[job.ref] = job;
    engine::World world(facts, directory_);
    world.Refresh(now_);
    const engine::Plan plan = engine::DecideAll(world, now_);
    for (const engine::Start& start : plan.starts) {
      if (start.row == job.ref) return true;
    }
    others_start_ = !plan.starts.empty() && AsksForMoreIn(plan, *job.spec);
    const auto found = plan.waiting.Find(job.ref, *job.spec);
    why_ = " but: ";
    code_ = found ? found->reason.code : ReasonCode::kNone;
    if (found) why_ += Sentence(found->reason);
    for (const auto& [row, text] : plan.dropped) why_ += " dropped " + ToText(row) + ": " + text;
    return false;
  }

  std::string why_;  // the last one did not start
  ReasonCode code_ = ReasonCode::kNone;
  bool others_start_ = false;  // which nothing did without what it asks for
  const engine::Facts facts_;
  const std::shared_ptr<const Directory> directory_;
  const TimeMs now_;
  const engine::Lookahead lookahead_;
};

// Commits plans until nothing starts.
void Settle(engine::Engine& engine, EngineHistory& history) {
  for (int i = 0; i < 100; ++i) {
    const engine::Plan plan = engine.Decide(history.now_ms());
    for (const engine::ReservationChange& change : plan.reservations) {
      if (change.news == engine::ReservationNews::kEnded) {
        engine.RemoveReservation(change.reservation.row);
      } else {
        engine.SetReservation(change.reservation);
      }
    }
    if (plan.starts.empty()) return;
    history.Commit(plan);
  }
}

engine::Waiting NewJob(RandomWorld& random, const std::vector<AccountId>& projects, TimeMs now) {
  JobSpec spec = random.Job(projects);
  spec.array.reset();
  return {.ref = {JobId{std::numeric_limits<std::int64_t>::max()}},
          .user = UserId{random.Int(1, 4)},
          .spec = std::make_shared<const JobSpec>(std::move(spec)),
          .submitted_ms = now,
          .queued_since_ms = now,
          .elements = {}};
}

TEST(LookaheadProperty, WhatIsSaidToStartNowDoes) {
  int now_told = 0;
  int times_told = 0;
  int advice_told = 0;
  int excused = 0;
  std::size_t seeds = 0;
  property::ForEachSeed([&](std::uint64_t seed) {
    EngineHistory history(seed);
    engine::EngineConfig config = history.config();
    config.starts_max = std::numeric_limits<std::int32_t>::max();
    if (seed % 3 == 0) config.reservations = 2;
    engine::Engine engine(config, history.directory());
    history.Join(SinkOf(engine));
    history.Begin();
    RandomWorld random(seed + 1);
    for (int step = 0; step < kLookSteps && !testing::Test::HasFailure(); ++step) {
      // What the next plan starts is said to start, whatever else it starts.
      Asker before(engine, history.directory(), history.now_ms());
      for (const engine::Start& start : engine.Decide(history.now_ms()).starts) {
        EXPECT_EQ(before.Ask(engine.CopyFacts().waiting.at(start.row), true), "") << step;
      }
      now_told += before.now_told;
      Settle(engine, history);
      Asker asker(engine, history.directory(), history.now_ms());
      int asked = 0;
      for (const auto& [ref, job] : engine.CopyFacts().waiting) {
        if (++asked > kAsked) break;
        EXPECT_EQ(asker.Ask(job, true), "") << "step " << step;
      }
      const auto projects = random.Projects(*history.directory());
      for (int i = 0; i < kAsked && !projects.empty(); ++i) {
        EXPECT_EQ(asker.Ask(NewJob(random, projects, history.now_ms()), false), "")
            << "step " << step;
      }
      now_told += asker.now_told;
      times_told += asker.times_told;
      advice_told += asker.advice_told;
      excused += asker.excused;
      history.Step();
    }
    ++seeds;
  });
  if (seeds < 20) return;
  const int least = static_cast<int>(seeds);
  EXPECT_GT(now_told, 2 * least);
  EXPECT_GT(times_told, 2 * least);
  EXPECT_GT(advice_told, least);
  EXPECT_LT(excused, least / 10 + 1);
}

}  // namespace
}  // namespace kezek::test
