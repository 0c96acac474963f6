// Goal: what section "Scheduling" promises, clause by clause, over random histories. Method: the
// engine alone on a few nodes, with all its passes; jobs of four projects and a child institution,
// scavengers among them, arrive, run as long as their limits allow at most, are preempted, fail
// with their nodes. After each plan everything is looked at anew: nothing is dropped by verify;
// reservations are kept, time and nodes, unless an event says why not; not too many are alive; who
// has one starts by its time unless it was moved; nobody is ended twice, or for nobody; the same
// history gives the same plans. A naive agenda says beside it when some of those that wait could
// start, and where; that what is promised is there at its time, whatever the plan started; and
// that nobody who was looked at could have started and delayed none. A failure prints its seed.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "kezek/reason_text.h"
#include "scheduler/engine/engine.h"
#include "tests/property/agenda_twin.h"
#include "tests/property/seeds.h"
#include "tests/unit/engine/small_world.h"

namespace kezek::engine {
namespace {

using property::Dice;
using test::AgendaTwin;

constexpr std::int64_t kNodes = 6;
constexpr std::int32_t kReservations = 4;

class History {
 public:
  explicit History(std::uint64_t seed, std::int32_t exact_ranks = 1000)
      : dice_(seed),
        directory_(Tree()),
        engine_(Config(exact_ranks), directory_),
        twin_(seed, Config(exact_ranks), directory_) {
    for (int i = 1; i <= kNodes; ++i) {
      nodes_.push_back(H200("n" + std::to_string(i), i <= kNodes / 2 ? "l1" : "l2"));
      engine_.SetNode(nodes_.back());
    }
  }

  void Run(int ticks) {
    for (int i = 0; i < ticks && !testing::Test::HasFailure(); ++i) {
      now_ += dice_.Roll(1, 12) * 10 * kSecondMs;
      End();
      Break();
      Arrive();
      const Plan plan = engine_.Decide(now_);
      Write(plan);
      Check(plan);
      Apply(plan);
    }
  }

  const std::string& text() const { return text_; }
  int kept() const { return kept_; }
  const AgendaTwin& twin() const { return twin_; }
  int preempted() const { return preempted_; }

 private:
  struct Run1 {
    Holding holding;
    TimeMs end_ms = 0;
    bool victim = false;
  };

  static EngineConfig Config(std::int32_t exact_ranks) {
    return {.exact_ranks = exact_ranks,
            .reservations = kReservations,
            .reclaim = true,
            .improve_ms = kLate,
            .late_ms = kLate};
  }

  std::shared_ptr<const Directory> Tree() {
    SmallTree tree;
    for (const std::int64_t project : {2, 3, 4}) tree.Add(project, 1, dice_.Roll(0, 12));
    tree.Add(5, 1, dice_.Roll(0, 12), "institution");
    tree.Add(6, 5, 0);
    tree.Add(7, 5, 0);
    return tree.Make();
  }

  void End() {
    for (auto it = runs_.begin(); it != runs_.end();) {
      if (it->second.end_ms > now_) {
        ++it;
        continue;
      }
      const bool again = it->second.victim || lost_.contains(it->first);
      engine_.RemoveHolding(it->second.holding.attempt);
      if (again) {
        engine_.SetWaiting(jobs_.at(it->first));
        waits_.insert(it->first);
      }
      it = runs_.erase(it);
    }
    lost_.clear();
  }

  // A node fails with what it runs, or is back.
  void Break() {
    if (!dice_.Chance(4)) return;
    Node& node = nodes_[static_cast<std::size_t>(dice_.Roll(0, kNodes - 1))];
    node.health = node.health == NodeHealth::kUp ? NodeHealth::kDown : NodeHealth::kUp;
    engine_.SetNode(node);
    broken_ = true;
    if (node.health == NodeHealth::kUp) return;
    for (auto& [row, run] : runs_) {
      const auto on = [&](const NodeGrant& grant) { return grant.node == node.name; };
      const Placement& placement = run.holding.placement;
      if (std::none_of(placement.begin(), placement.end(), on)) continue;
      run.end_ms = now_;
      lost_.insert(row);
    }
    End();
  }

  void Arrive() {
    for (std::int64_t some = dice_.Roll(0, 3); some > 0; --some) {
      const std::int64_t project =
          std::vector<std::int64_t>{2, 3, 4, 6, 7}.at(static_cast<std::size_t>(dice_.Roll(0, 4)));
      const bool wide = dice_.Chance(25);
      JobSpec spec = Gang(project, static_cast<std::int32_t>(wide ? dice_.Roll(2, 4) : 1),
                          static_cast<std::int32_t>(wide ? 8 : dice_.Roll(1, 8)));
      if (wide && spec.shape.nodes <= 3 && dice_.Chance(30)) spec.within = Domain::kLeaf;
      if (wide && dice_.Chance(30)) spec.prefer = Domain::kLeaf;
      spec.time_limit_ms = dice_.Roll(1, 24) * 3 * kMinuteMs;
      if (dice_.Chance(20)) spec.job_class = "scavenger";
      if (dice_.Chance(5)) spec.job_class = "realtime";
      Waiting job = Queued(++last_, std::move(spec), dice_.Roll(1, 3));
      job.submitted_ms = job.queued_since_ms = now_;
      jobs_[job.ref] = job;
      engine_.SetWaiting(job);
      waits_.insert(job.ref);
    }
  }

  void Write(const Plan& plan) {
    text_ += std::to_string(now_) + ": " + StartsText(plan);
    for (const Preempt& preempt : plan.preempts) {
      text_ += " -" + ToText(preempt.victim.job) + "/" + ToText(preempt.for_row);
    }
    for (const ReservationChange& change : plan.reservations) {
      text_ += " r" + ToText(change.reservation.row) + ":" +
               std::to_string(static_cast<int>(change.news)) + "@" +
               std::to_string(change.reservation.from_ms);
      for (const NodeGrant& grant : change.reservation.placement) text_ += "," + grant.node;
    }
    text_ += "\n";
  }

  // For whoever looks for the cause.
  void Explain(const Plan& plan) {
    for (const auto& [row, standing] : plan.waiting.All()) {
      const JobSpec& spec = *jobs_.at(row).spec;
      text_ += "  " + ToText(row) + " of " + std::to_string(spec.project.value) + " " +
               std::to_string(spec.shape.nodes) + "x" + std::to_string(spec.shape.gpus_per_node) +
               " " + spec.job_class + " " + std::to_string(spec.time_limit_ms / kMinuteMs) +
               " min, rank " + std::to_string(standing.rank) + ": " + Sentence(standing.reason) +
               "\n";
    }
    for (const Start& start : plan.dropped_starts) {
      const JobSpec& spec = *jobs_.at(start.row).spec;
      text_ += "  dropped: " + ToText(start.row) + " of " + std::to_string(spec.project.value) +
               " on " + start.placement.front().node + "\n";
    }
    for (const Start& start : plan.starts) {
      const JobSpec& spec = *jobs_.at(start.row).spec;
      text_ += "  starts: " + ToText(start.row) + " of " + std::to_string(spec.project.value) +
               " " + std::to_string(start.counted_milli) + " on " + start.placement.front().node +
               "\n";
    }
    for (const auto& [key, standing] : plan.standings) {
      text_ += "  account " + std::to_string(key.first.value) + " runs " +
               std::to_string(standing.allocated_milli) + " guarantee " +
               std::to_string(standing.guarantee_now_milli) + "\n";
    }
    for (const auto& [row, run] : runs_) {
      text_ += "  " + ToText(row) + " of " + std::to_string(run.holding.project.value) + " runs " +
               run.holding.job_class + " to " +
               std::to_string(run.holding.start_ms + run.holding.limit_ms) + ":";
      for (const NodeGrant& grant : run.holding.placement) {
        text_ += " " + grant.node + ":" + std::to_string(grant.gpus);
      }
      text_ += "\n";
    }
    for (const auto& [row, promise] : promised_) {
      text_ += "  " + ToText(row) + " was promised @" + std::to_string(promise.from_ms);
      for (const NodeGrant& grant : promise.placement) {
        text_ += " " + grant.node + ":" + std::to_string(grant.gpus);
      }
      text_ += "\n";
    }
  }

  void Check(const Plan& plan) {
    if (!plan.dropped.empty()) Explain(plan);
    ASSERT_TRUE(plan.dropped.empty())
        << ToText(plan.dropped.front().first) << ": " << plan.dropped.front().second;
    CheckKept(plan);
    Compare(plan);
    std::set<AttemptRef> ended;
    for (const Preempt& preempt : plan.preempts) {
      const auto run = runs_.find(preempt.victim.job);
      ASSERT_NE(run, runs_.end());
      EXPECT_FALSE(run->second.victim) << "ended already";
      EXPECT_TRUE(ended.insert(preempt.victim).second);
      EXPECT_TRUE(jobs_.contains(preempt.for_row));
    }
    for (const JobRef& row : waits_) {
      const bool starts = std::any_of(plan.starts.begin(), plan.starts.end(),
                                      [&](const Start& start) { return start.row == row; });
      EXPECT_NE(starts, plan.waiting.Find(row, *jobs_.at(row).spec).has_value())
          << ToText(row) << " has no reason, or one";
    }
  }

  // Of what was promised before.
  void CheckKept(const Plan& plan) {
    for (const auto& [row, before] : promised_) {
      const auto change =
          std::find_if(plan.reservations.begin(), plan.reservations.end(),
                       [&](const ReservationChange& one) { return one.reservation.row == row; });
      const bool starts = std::any_of(plan.starts.begin(), plan.starts.end(),
                                      [&](const Start& start) { return start.row == row; });
      if (starts) continue;
      EXPECT_GT(before.from_ms + kLate, now_) << ToText(row) << " was due";
      if (change == plan.reservations.end()) continue;
      const Reservation& after = change->reservation;
      switch (change->news) {
        case ReservationNews::kGiven:  // it is made room for
          EXPECT_FALSE(after.victims.empty());
          EXPECT_LE(after.from_ms, std::max(before.from_ms, now_));
          break;
        case ReservationNews::kEarlier:
          EXPECT_LT(after.from_ms, before.from_ms);
          break;
        case ReservationNews::kLater:
          EXPECT_FALSE(change->reason.fields.at("why").empty());
          EXPECT_NE(change->reason.fields.at("why"), "extension") << "nothing is extended here";
          EXPECT_NE(change->reason.fields.at("why"), "late") << "what is over is gone";
          break;
        case ReservationNews::kEnded:
          EXPECT_TRUE(broken_ || change->reason.code == ReasonCode::kClassNotPreemptible)
              << ToText(row) << " lost its reservation";
          break;
      }
    }
  }

  // With the naive agenda, before the plan and after it.
  void Compare(const Plan& plan) {
    std::vector<Holding> running;
    for (const auto& [row, run] : runs_) running.push_back(run.holding);
    const AgendaTwin::Tick tick{now_, nodes_, running, jobs_, waits_, promised_};
    twin_.CompareTimes(tick);
    twin_.CheckPlan(tick, plan);
  }

  void Apply(const Plan& plan) {
    for (const ReservationChange& change : plan.reservations) {
      const Reservation& one = change.reservation;
      if (change.news == ReservationNews::kEnded) {
        kept_ += promised_.erase(one.row) > 0 ? 1 : 0;
        engine_.RemoveReservation(one.row);
      } else {
        promised_[one.row] = one;
        engine_.SetReservation(one);
      }
    }
    for (const Start& start : plan.starts) {
      const Waiting& job = jobs_.at(start.row);
      Run1 run{.holding = HoldingOf(start, job, now_)};
      run.holding.attempt.number = ++attempts_[start.row];
      run.holding.grace_ms = kGrace;
      run.end_ms = now_ + dice_.Roll(kMinuteMs, job.spec->time_limit_ms);
      engine_.RemoveWaiting(start.row);
      engine_.SetHolding(run.holding);
      waits_.erase(start.row);
      runs_[start.row] = std::move(run);
    }
    for (const Preempt& preempt : plan.preempts) {
      Run1& run = runs_.at(preempt.victim.job);
      run.victim = true;
      run.end_ms = std::min(run.end_ms, now_ + dice_.Roll(0, kGrace));
      run.holding.ends_by_ms = now_ + kGrace;
      engine_.SetHolding(run.holding);
      ++preempted_;
    }
    std::int32_t alive = 0;
    std::int32_t inside = 0;
    for (const auto& [row, promise] : promised_) {
      if (!promise.victims.empty()) continue;
      ++alive;
      inside += promise.inside ? 1 : 0;
    }
    EXPECT_LE(alive, kReservations);
    EXPECT_LE(inside, kReservations / 2);
  }

  // Between two ticks, which is less than what a limit is kept for beyond itself.
  static constexpr DurationMs kLate = 2 * kMinuteMs + 1;
  static constexpr DurationMs kGrace = kMinuteMs;

  Dice dice_;
  std::shared_ptr<const Directory> directory_;
  Engine engine_;
  AgendaTwin twin_;
  TimeMs now_ = kNoon;
  std::vector<Node> nodes_;
  std::int64_t last_ = 0;
  std::map<JobRef, Waiting> jobs_;
  std::set<JobRef> waits_;
  std::map<JobRef, std::int32_t> attempts_;
  std::map<JobRef, Run1> runs_;
  std::set<JobRef> lost_;
  std::map<JobRef, Reservation> promised_;
  bool broken_ = false;
  std::string text_;
  int kept_ = 0;
  int preempted_ = 0;
};

TEST(Promises, AreKept) {
  int kept = 0;
  int preempted = 0;
  std::int64_t compared = 0;
  std::int64_t blocked = 0;
  property::ForEachSeed([&](std::uint64_t seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    History history(seed);
    history.Run(70);
    kept += history.kept();
    preempted += history.preempted();
    compared += history.twin().times();
    blocked += history.twin().blocked();
    if (testing::Test::HasFailure()) {
      std::cerr << history.text();
    } else if (seed % 4 == 0) {  // walks that leave off where nothing starts give the same
      History again(seed, seed % 8 == 0 ? 1000 : static_cast<std::int32_t>(seed / 8 % 4));
      again.Run(70);
      EXPECT_EQ(history.text(), again.text());
    }
  });
  if (testing::Test::HasFailure()) return;
  std::cout << kept << " reservations led to starts or ends, " << preempted << " preempted; of "
            << compared << " times, and of " << blocked
            << " jobs that had to wait, the naive agenda said so\n";
  if (property::FromEnvironment("KEZEK_SEED", -1) >= 0) return;
  EXPECT_GT(kept, 100);
  EXPECT_GT(preempted, 100);
  EXPECT_GT(compared, 100);
  EXPECT_GT(blocked, 100);
}

}  // namespace
}  // namespace kezek::engine
