#include "tests/property/engine_history.h"

#include <algorithm>
#include <iterator>
#include <sstream>

namespace kezek::test {

using engine::Holding;
using engine::Waiting;

EngineHistory::EngineHistory(std::uint64_t seed) : random_(seed) {
  if (random_.Chance(40)) config_.look = static_cast<std::int32_t>(random_.Int(1, 12));
  if (random_.Chance(40)) config_.look_project = static_cast<std::int32_t>(random_.Int(1, 6));
  if (random_.Chance(30)) config_.starts_max = static_cast<std::int32_t>(random_.Int(1, 6));
  if (random_.Chance(30)) config_.exact_ranks = 1;
  config_.places_keep_ms = 0;
  if (random_.Chance(30)) config_.age_max_ms = kHourMs;
  const auto count = static_cast<std::int32_t>(random_.Int(1, 18));
  for (Node& node : random_.Nodes(count)) {
    gpus_ += node.gpu_type == "h200" ? node.gpus : 0;
    nodes_[node.name] = std::move(node);
  }
  directory_ = WithOwners(random_.Accounts(gpus_, 4));
  tree_ = quota::AccountTree::Build(directory_->accounts).value();
}

void EngineHistory::Begin() {
  for (const auto& [name, node] : nodes_) {
    for (const EventSink& sink : sinks_) sink.node(node);
  }
  if (random_.Chance(60)) ChangeSettings();
  for (std::int64_t jobs = random_.Int(0, 12); jobs > 0; --jobs) Submit();
}

void EngineHistory::Step() {
  now_ms_ += random_.Chance(80) ? random_.Int(0, 10 * kMinuteMs) : random_.Int(0, 2 * kDayMs);
  BookBudgets(quota::EndsDue(tree_, budgets_, now_ms_));
  for (std::int64_t events = random_.Int(1, 6); events > 0; --events) {
    const std::int64_t kind = random_.Int(0, 99);
    if (kind < 55) {
      Submit();
    } else if (kind < 75) {
      EndOne();
    } else if (kind < 85) {
      ChangeNode();
    } else if (kind < 92) {
      ForgetOne();
    } else {
      ChangeSettings();
    }
  }
}

// Budgets go their own way: a change that they refuse leaves them as they are.
void EngineHistory::ChangeSettings() {
  Directory changed = random_.Chance(70) ? random_.Changed(*directory_, gpus_) : *directory_;
  Directory budgeted = random_.Chance(70) ? random_.Budgeted(changed, now_ms_) : changed;
  quota::AccountTree tree = quota::AccountTree::Build(budgeted.accounts).value();
  const auto grants = quota::GrantsDue(tree_, tree, budgets_, now_ms_);
  if (grants) {
    changed = std::move(budgeted);
  } else {
    tree = quota::AccountTree::Build(changed.accounts).value();
  }
  directory_ = WithOwners(std::move(changed));
  tree_ = std::move(tree);
  for (const EventSink& sink : sinks_) sink.directory(directory_);
  if (grants) BookBudgets(*grants);
}

void EngineHistory::BookBudgets(const std::vector<LedgerEntry>& entries) {
  for (const LedgerEntry& entry : entries) {
    if (entry.book != Book::kBudget) continue;
    budgets_.Book(entry);
    for (const EventSink& sink : sinks_) sink.book_budget(entry);
  }
}

void EngineHistory::HoldBudgets(const Waiting& row, const engine::Start& start) {
  const JobSpec& spec = *row.spec;
  const ClassRules& rules = directory_->classes.at(spec.job_class);
  if (rules.scavenger || start.scavenges) return;
  Held held;
  held.attempt.ref = {start.job, 1};
  held.attempt.planned_ms = now_ms_;
  held.attempt.limit_ms = spec.time_limit_ms;
  held.attempt.counted_milli = start.counted_milli;
  held.attempt.rate_milli = directory_->rate_milli.at(spec.shape.gpu_type);
  held.attempt.factor_milli = rules.factor_milli;
  held.payer = {spec.project, row.user, spec.job_class, spec.shape.gpu_type};
  const quota::Draw draw = quota::DrawOf(tree_, budgets_,
                                         {.project = spec.project,
                                          .gpu_type = spec.shape.gpu_type,
                                          .counted_milli = start.counted_milli,
                                          .limit_ms = spec.time_limit_ms,
                                          .rate_milli = held.attempt.rate_milli,
                                          .factor_milli = held.attempt.factor_milli},
                                         now_ms_);
  if (overdrawn_.empty() && (draw.stop.code != ReasonCode::kNone || draw.scavenges)) {
    overdrawn_ = ToText(start.job);
  }
  const auto entries = quota::HoldEntries(held.attempt, held.payer, draw, now_ms_);
  for (const LedgerEntry& entry : entries) held.booked.Add(entry);
  BookBudgets(entries);
  if (!entries.empty()) held_[held.attempt.ref] = std::move(held);
}

// It has ended: what it did not need goes back, at times all of it.
void EngineHistory::Settle(const AttemptRef& ref) {
  const auto found = held_.find(ref);
  if (found == held_.end()) return;
  Held held = std::move(found->second);
  held_.erase(found);
  const Holding& attempt = holdings_.at(ref);
  held.attempt.state = AttemptState::kEnded;
  held.attempt.start_ms = attempt.start_ms;
  held.attempt.end_ms = now_ms_;
  held.attempt.outcome = attempt.start_ms == 0 ? AttemptOutcome::kLaunchFailed
                         : random_.Chance(10)  ? AttemptOutcome::kNodeFailed
                                               : AttemptOutcome::kSucceeded;
  for (const LedgerEntry& entry :
       quota::EntriesDue(held.attempt, held.payer, held.booked, now_ms_)) {
    BookBudgets(quota::Completed(tree_, budgets_, entry, now_ms_));
  }
}

void EngineHistory::TellWaiting(const Waiting& job) {
  waiting_[job.ref] = job;
  for (const EventSink& sink : sinks_) sink.waiting(job);
}

void EngineHistory::TellHolding(const Holding& attempt) {
  holdings_[attempt.attempt] = attempt;
  for (const EventSink& sink : sinks_) sink.holding(attempt);
}

void EngineHistory::Submit() {
  Waiting job;
  job.ref = {JobId{next_job_++}};
  job.user = UserId{random_.Int(1, 4)};
  job.submitted_ms = job.queued_since_ms = now_ms_;
  JobSpec spec = random_.Job(random_.Projects(*directory_));
  if (spec.array && random_.Chance(20)) {  // an element that has its own row
    job.ref.element = 3;
  } else if (spec.array) {
    const std::int32_t last = spec.array->indices.front().last;
    const std::int32_t most = spec.array->max_running == 0 ? last + 1 : spec.array->max_running;
    for (std::int32_t i = 0; i <= std::min(last, most - 1); ++i) job.elements.push_back(i);
    if (random_.Chance(10)) job.elements.clear();
    if (!job.elements.empty() && random_.Chance(40)) job.more = random_.Int(1, 60);
  }
  job.spec = std::make_shared<const JobSpec>(std::move(spec));
  TellWaiting(job);
}

// An attempt begins to run, ends, or is released by the cluster.
void EngineHistory::EndOne() {
  if (holdings_.empty()) return;
  const auto size = static_cast<std::int64_t>(holdings_.size());
  Holding attempt = std::next(holdings_.begin(), random_.Int(0, size - 1))->second;
  if (attempt.start_ms == 0 && random_.Chance(50)) {
    attempt.start_ms = now_ms_;
    TellHolding(attempt);
  } else if (attempt.counts && random_.Chance(60)) {
    Settle(attempt.attempt);
    attempt.counts = false;
    TellHolding(attempt);
  } else {
    Settle(attempt.attempt);
    holdings_.erase(attempt.attempt);
    for (const EventSink& sink : sinks_) sink.not_holding(attempt.attempt);
    if (attempt.start_ms == 0) return;
    EndedRun run{.project = attempt.project,
                 .user = attempt.user,
                 .name = names_[attempt.attempt],
                 .shape = attempt.shape,
                 .start_ms = attempt.start_ms,
                 .end_ms = now_ms_};
    if (random_.Chance(30)) run.end_ms = random_.Int(run.start_ms, now_ms_);  // known late
    run.typical = random_.Chance(80);
    for (const EventSink& sink : sinks_) sink.ended(run);
  }
}

void EngineHistory::ChangeNode() {
  const auto size = static_cast<std::int64_t>(nodes_.size());
  Node& node = std::next(nodes_.begin(), random_.Int(0, size - 1))->second;
  node = random_.Changed(node, now_ms_);
  for (const EventSink& sink : sinks_) sink.node(node);
}

// A job is cancelled or held.
void EngineHistory::ForgetOne() {
  if (waiting_.empty()) return;
  const auto size = static_cast<std::int64_t>(waiting_.size());
  const JobRef ref = std::next(waiting_.begin(), random_.Int(0, size - 1))->first;
  waiting_.erase(ref);
  for (const EventSink& sink : sinks_) sink.not_waiting(ref);
}

void EngineHistory::Commit(const engine::Plan& plan) {
  for (const engine::Start& start : plan.starts) {
    if (random_.Chance(15)) continue;  // the rest is planned again
    Waiting row = waiting_.at(start.row);
    const JobSpec& spec = *row.spec;
    HoldBudgets(row, start);
    TellHolding({.attempt = {start.job, 1},
                 .user = row.user,
                 .project = spec.project,
                 .job_class = spec.job_class,
                 .shape = spec.shape,
                 .placement = start.placement,
                 .counted_milli = start.counted_milli,
                 .limit_ms = spec.time_limit_ms,
                 .as_scavenger = bool{start.scavenges}});
    names_[{start.job, 1}] = spec.name;
    if (spec.job_class != "scavenger" && !start.scavenges) {
      const engine::UsageBooking booking{spec.project, row.user, spec.shape.gpu_type, now_ms_,
                                         start.counted_milli * kHourMs};
      for (const EventSink& sink : sinks_) sink.book(booking);
    }
    std::erase(row.elements, start.job.element);
    if (row.elements.empty()) row.more = 0;
    if (start.job != start.row) {
      TellWaiting(row);
    } else {
      waiting_.erase(start.row);
      for (const EventSink& sink : sinks_) sink.not_waiting(start.row);
    }
  }
}

std::string PlanText(const engine::Plan& plan) {
  std::ostringstream text;
  for (const engine::Start& start : plan.starts) {
    text << "start " << ToText(start.job) << " of " << ToText(start.row);
    for (const NodeGrant& grant : start.placement) text << ' ' << grant.node << ':' << grant.gpus;
    text << " counted " << start.counted_milli;
    if (start.scavenges) text << " scavenges " << start.scavenges.name;
    text << '\n';
  }
  for (const auto& [ref, standing] : plan.waiting.All()) {
    text << "wait " << ToText(ref) << " rank " << standing.rank << " place "
         << standing.place_in_project << " code " << static_cast<int>(standing.reason.code);
    for (const auto& [name, value] : standing.reason.fields) text << ' ' << name << '=' << value;
    text << '\n';
  }
  for (const auto& [key, standing] : plan.standings) {
    text << "account " << key.first.value << ' ' << key.second << " guarantee "
         << standing.guarantee_milli << " entitled " << standing.entitled_milli << " allocated "
         << standing.allocated_milli << " demand " << standing.demand_milli << " usage "
         << std::hexfloat << standing.usage_gpu_hours << " place " << standing.place << " of "
         << standing.siblings << " now " << standing.guarantee_now_milli << " gpus "
         << standing.entitled_gpus << " lent " << standing.lent_milli << " idle "
         << standing.idle_milli << " by " << static_cast<int>(standing.entitled_by) << " apart "
         << standing.apart_milli << '\n';
  }
  for (const auto& [key, stopped] : plan.stopped) {
    if (stopped == engine::StoppedDemand{}) continue;
    text << "stopped " << key.first.value << ' ' << key.second << " by limits " << stopped.by_limits
         << " by budgets " << stopped.by_budgets << '\n';
  }
  for (const auto& [job, rule] : plan.dropped) {
    text << "dropped " << ToText(job) << ": " << rule << '\n';
  }
  text << "more " << plan.more << '\n';
  return text.str();
}

}  // namespace kezek::test
