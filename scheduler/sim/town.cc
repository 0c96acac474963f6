#include "scheduler/sim/town.h"

#include <algorithm>

#include "kezek/check.h"
#include "quota/charge.h"

namespace kezek::sim {
namespace {

constexpr std::int64_t kRate = 1000;  // of every type and class here

MilliGpuMs ChargeOf(const engine::Holding& holding, DurationMs time_ms) {
  return quota::ExpectedCharge(holding.counted_milli, time_ms, kRate, kRate);
}

}  // namespace

Town::Town(engine::EngineConfig config, std::shared_ptr<const Directory> directory, TimeMs start,
           TownRules rules)
    : rules_(rules), engine_(std::move(config), std::move(directory)), now_ms_(start) {}

void Town::Submit(const engine::Waiting& job) {
  KEZEK_CHECK(job.spec->time_limit_ms <= kHourMs, "a town's jobs are of one piece");
  waiting_[job.ref] = job;
  engine_.SetWaiting(job);
  changed_ = true;
}

void Town::RunUntil(TimeMs until) {
  while (now_ms_ < until) {
    Tick();
    now_ms_ += rules_.tick_ms;
  }
}

void Town::Tick() {
  TellLaunches();
  TellEnds();
  if (!changed_) return;
  changed_ = false;
  while (true) {
    const engine::Plan plan = engine_.Decide(now_ms_);
    KEZEK_CHECK(plan.dropped.empty(), "verify dropped a decision");
    for (const engine::Start& start : plan.starts) Commit(start);
    if (seen_ && !plan.more) seen_(plan);
    if (!plan.more) return;
  }
}

// What is booked of an attempt becomes this; an amount of 0 takes it back.
void Town::Book(Running* running, TimeMs date_ms, MilliGpuMs amount) {
  const engine::Holding& holding = running->holding;
  const auto book = [&](TimeMs date, MilliGpuMs change) {
    engine_.Book({holding.project, holding.user, holding.shape.gpu_type, date, change});
  };
  if (running->booked_ms != 0) book(running->booked_ms, -ChargeOf(holding, holding.limit_ms));
  book(date_ms, amount);
  running->booked_ms = date_ms;
}

void Town::TellLaunches() {
  while (!launches_.empty() && launches_.begin()->first <= now_ms_) {
    const auto [at, ref] = *launches_.begin();
    launches_.erase(launches_.begin());
    Running& running = running_.at(ref);
    running.holding.start_ms = at;
    engine_.SetHolding(running.holding);
    Book(&running, at, ChargeOf(running.holding, running.holding.limit_ms));
    changed_ = true;
  }
}

void Town::TellEnds() {
  while (!ends_.empty() && ends_.begin()->first <= now_ms_) {
    const AttemptRef ref = ends_.begin()->second;
    ends_.erase(ends_.begin());
    Running& running = running_.at(ref);
    const TimeMs start = running.holding.start_ms;
    Book(&running, start, ChargeOf(running.holding, running.end_ms - start));
    engine_.RemoveHolding(ref);
    engine_.Ended({.project = running.holding.project,
                   .user = running.holding.user,
                   .name = running.name,
                   .shape = running.holding.shape,
                   .start_ms = start,
                   .end_ms = running.end_ms,
                   .typical = true});
    running_.erase(ref);
    changed_ = true;
  }
}

void Town::Commit(const engine::Start& start) {
  engine::Waiting& row = waiting_.at(start.row);
  const engine::Waiting job = row;
  if (start.job == start.row || row.elements.size() == 1) {
    engine_.RemoveWaiting(start.row);
    waiting_.erase(start.row);
  } else {
    row.elements.erase(std::find(row.elements.begin(), row.elements.end(), start.job.element));
    engine_.SetWaiting(row);
  }
  Running running;
  running.holding = {.attempt = {start.job, 1},
                     .user = job.user,
                     .project = job.spec->project,
                     .job_class = job.spec->job_class,
                     .shape = job.spec->shape,
                     .placement = start.placement,
                     .counted_milli = start.counted_milli,
                     .start_ms = 0,
                     .limit_ms = job.spec->time_limit_ms};
  running.name = job.spec->name;
  const AttemptRef ref = running.holding.attempt;
  engine_.SetHolding(running.holding);
  const DurationMs limit = running.holding.limit_ms;
  if (!rules_.book_at_launch) Book(&running, now_ms_, ChargeOf(running.holding, limit));
  const DurationMs runs =
      run_({start.job, job.spec->project, job.user, start.counted_milli, limit, now_ms_});
  KEZEK_CHECK(runs > 0 && runs <= limit, "a job runs up to its limit");
  running.end_ms = now_ms_ + rules_.launch_ms + runs;
  launches_.emplace(now_ms_ + rules_.launch_ms, ref);
  ends_.emplace(running.end_ms, ref);
  running_.emplace(ref, std::move(running));
}

}  // namespace kezek::sim
