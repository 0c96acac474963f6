#include "scheduler/sim/replay/kezek_policy.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <optional>
#include <queue>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "kezek/check.h"
#include "kezek/desk.h"
#include "kezek/job.h"
#include "kezek/node.h"
#include "kezek/node_owners.h"
#include "kezek/time.h"
#include "quota/charge.h"
#include "scheduler/engine/engine.h"
#include "scheduler/engine/lookahead.h"

namespace kezek::replay {
namespace {

constexpr TimeMs kStart = 1'800'000'000'000;  // of the trace's second 0
constexpr std::int64_t kRate = 1000;          // of the GPU type and of the class
constexpr std::int32_t kLeaf = 32;            // nodes under one leaf switch
constexpr std::int32_t kFirstName = 1'000'000;

const std::string kType = "gpu";

TimeMs At(std::int64_t trace_s) { return kStart + trace_s * kSecondMs; }

std::string NodeName(std::int32_t node) { return "n" + std::to_string(kFirstName + node); }
std::int32_t NodeNumber(const std::string& name) { return std::stoi(name.substr(1)) - kFirstName; }

AccountId ProjectOf(std::int32_t group) { return AccountId{kRootAccount.value + 1 + group}; }
JobRef RefOf(JobIndex job) { return {JobId{std::int64_t{job} + 1}, kNoElement}; }
JobIndex IndexOf(const JobRef& job) { return static_cast<JobIndex>(job.id.value - 1); }

Directory DirectoryOf(const JobList& list, const KezekRules& rules) {
  Directory directory;
  std::int64_t weights = 0;
  for (const Group& group : list.groups) weights += group.weight_milli;
  Account root{.id = kRootAccount, .parent = {}, .name = "cluster", .kind = "cluster"};
  if (!list.split) root.settings.shares[kType].guarantee_milli = list.capacity_gpus() * 1000;
  directory.accounts[root.id] = root;
  for (std::size_t i = 0; i < list.groups.size(); ++i) {
    const auto group = static_cast<std::int32_t>(i);
    Account account{.id = ProjectOf(group), .parent = root.id, .kind = "project"};
    account.name = "g" + std::to_string(group);
    account.settings.rule = rules.rule;
    Share& share = account.settings.shares[kType];
    share.weight_milli = list.groups[i].weight_milli;
    if (list.split) {
      const Part& part = list.parts[i];
      for (std::int32_t k = 0; k < part.nodes; ++k) {
        account.settings.dedicated_nodes.push_back(NodeName(part.first + k));
      }
    } else {
      share.guarantee_milli = list.capacity_gpus() * share.weight_milli / weights *
                              rules.guarantee_percent / 100 * 1000;
    }
    directory.accounts[account.id] = std::move(account);
  }
  directory.classes["normal"] = {.name = "normal"};
  directory.owners = OwnersOf(directory.accounts, directory.classes);
  return directory;
}

class KezekPolicy : public Policy {
 public:
  KezekPolicy(const JobList& list, const KezekRules& rules);

  void Arrived(JobIndex job, std::int64_t now_s) override;
  void Ended(JobIndex job, std::int64_t now_s, bool preempted) override;
  void Overran(JobIndex job, std::int64_t now_s, std::int64_t limit_s) override;
  Decision Decide(std::int64_t now_s) override;
  JobIndex FirstBlocked(std::int32_t part) const override {
    return blocked_[static_cast<std::size_t>(part)];
  }
  std::vector<std::pair<std::string, std::string>> Parameters() const override;

 private:
  struct Run {
    engine::Holding holding;
    DurationMs booked_ms = 0;  // of its time from the start on
  };
  struct Piece {  // falls due
    std::int64_t at_s = 0;
    JobIndex job = kNoJob;
    std::int32_t attempt = 0;
    auto operator<=>(const Piece&) const = default;
  };

  const Job& JobOf(JobIndex job) const { return list_.jobs[static_cast<std::size_t>(job)]; }
  Run& RunOf(JobIndex job) { return runs_[static_cast<std::size_t>(job)]; }
  void Start(const engine::Start& start, std::int64_t now_s, Decision& decision);
  void BookUntil(Run& run, DurationMs until_ms);
  void BookDue(JobIndex job, std::int64_t now_s);
  void BookAllDue(std::int64_t now_s);
  void NoteBlocked(const engine::Plan& plan);
  void Foresee(std::int64_t now_s);
  std::string ErrorsText() const;

  const JobList& list_;
  KezekRules rules_;
  engine::EngineConfig config_;
  const std::shared_ptr<const Directory> directory_;
  engine::Engine engine_;
  std::vector<Run> runs_;  // by job
  std::priority_queue<Piece, std::vector<Piece>, std::greater<>> pieces_;
  std::vector<JobIndex> blocked_;  // by part
  std::int64_t waiting_ = 0;
  std::int64_t dropped_ = 0;
  std::int64_t foresee_at_s_ = 0;
  std::vector<std::int64_t> first_s_;   // by job: its first estimate; 0: none
  std::vector<std::int64_t> errors_s_;  // start less first estimate
};

std::int64_t LongestLimit(const JobList& list) {
  std::int64_t longest_s = 0;
  for (const Job& job : list.jobs) longest_s = std::max(longest_s, job.limit_s);
  return longest_s;
}

engine::EngineConfig ConfigOf(const JobList& list, const KezekRules& rules) {
  engine::EngineConfig config;
  const std::int64_t longest_s = std::min<std::int64_t>(LongestLimit(list), 7 * 24 * 3600);
  config.phase_ended = rules.phase_ended;
  config.age_max_ms = rules.age_max_s * kSecondMs;
  config.reservations = rules.reservations;
  config.reserve_after_ms = rules.reserve_after_s.value_or(longest_s) * kSecondMs;
  config.reserve_width_percent = rules.reserve_width_percent;
  config.reclaim = rules.guarantee_percent > 0;
  config.charge.kill_margin_ms = 0;  // a limit ends nobody late
  config.late_ms = 0;
  return config;
}

KezekPolicy::KezekPolicy(const JobList& list, const KezekRules& rules)
    : list_(list),
      rules_(rules),
      config_(ConfigOf(list, rules)),
      directory_(std::make_shared<const Directory>(DirectoryOf(list, rules))),
      engine_(config_, directory_),
      runs_(list.jobs.size()),
      blocked_(list.parts.size(), kNoJob),
      first_s_(list.jobs.size(), 0) {
  for (std::int32_t i = 0; i < list.nodes; ++i) {
    Node node;
    node.name = NodeName(i);
    node.gpu_type = kType;
    node.gpus = node.cpus = list.gpus_per_node;
    node.memory_mib = list.gpus_per_node;
    node.leaf = "leaf" + std::to_string(kFirstName + i / kLeaf);
    node.block = "block";
    node.health = NodeHealth::kUp;
    engine_.SetNode(node);
  }
}

void KezekPolicy::Arrived(JobIndex job, std::int64_t now_s) {
  const Job& of = JobOf(job);
  const GangShape& gang = list_.ShapeOf(job);
  JobSpec spec;
  spec.project = ProjectOf(of.group);
  spec.shape = {.nodes = gang.nodes,
                .gpus_per_node = gang.gpus,
                .gpu_type = kType,
                .cpus_per_node = gang.gpus,
                .memory_mib_per_node = gang.gpus};
  spec.time_limit_ms = of.limit_s * kSecondMs;
  spec.requeue = true;
  ++waiting_;
  engine_.SetWaiting({.ref = RefOf(job),
                      .user = UserId{of.user + 1},
                      .spec = std::make_shared<const JobSpec>(std::move(spec)),
                      .submitted_ms = At(of.submit_s),
                      .queued_since_ms = At(now_s)});
}

// What of the attempt's time has been booked, each hour at its own beginning, becomes this much:
// more when a piece falls due or a limit is raised, less at the end.
void KezekPolicy::BookUntil(Run& run, DurationMs until_ms) {
  const engine::Holding& holding = run.holding;
  const DurationMs piece_ms = config_.charge.piece_ms;
  const auto book = [&](DurationMs from_ms, DurationMs to_ms, std::int64_t sign) {
    for (DurationMs at = from_ms; at < to_ms;) {
      const DurationMs begin = at / piece_ms * piece_ms;
      const DurationMs end = std::min(to_ms, begin + piece_ms);
      engine_.Book({.project = holding.project,
                    .user = holding.user,
                    .gpu_type = kType,
                    .date_ms = holding.start_ms + begin,
                    .amount = sign * quota::Charge(holding.counted_milli, end - at, kRate, kRate),
                    .above = {}});
      at = end;
    }
  };
  book(run.booked_ms, until_ms, 1);
  book(until_ms, run.booked_ms, -1);
  run.booked_ms = until_ms;
}

// The pieces that have begun by now, each up to the limit.
void KezekPolicy::BookDue(JobIndex job, std::int64_t now_s) {
  Run& run = RunOf(job);
  const DurationMs piece_ms = config_.charge.piece_ms;
  const DurationMs ran_ms = At(now_s) - run.holding.start_ms;
  const DurationMs until_ms = std::min(run.holding.limit_ms, (ran_ms / piece_ms + 1) * piece_ms);
  if (until_ms > run.booked_ms) BookUntil(run, until_ms);
  if (until_ms < run.holding.limit_ms) {
    const TimeMs due_ms = run.holding.start_ms + until_ms - kStart;
    pieces_.push({due_ms / kSecondMs, job, run.holding.attempt.number});
  }
}

void KezekPolicy::BookAllDue(std::int64_t now_s) {
  while (!pieces_.empty() && pieces_.top().at_s <= now_s) {
    const Piece piece = pieces_.top();
    pieces_.pop();
    const engine::Holding& holding = RunOf(piece.job).holding;
    if (holding.start_ms != 0 && holding.attempt.number == piece.attempt) {
      BookDue(piece.job, now_s);
    }
  }
}

void KezekPolicy::Ended(JobIndex job, std::int64_t now_s, bool preempted) {
  Run& run = RunOf(job);
  engine::Holding& holding = run.holding;
  BookUntil(run, At(now_s) - holding.start_ms);
  engine_.RemoveHolding(holding.attempt);
  engine_.Ended({.project = holding.project,
                 .user = holding.user,
                 .name = {},
                 .shape = holding.shape,
                 .start_ms = holding.start_ms,
                 .end_ms = At(now_s),
                 .typical = !preempted});
  holding.start_ms = 0;
  run.booked_ms = 0;
}

void KezekPolicy::Overran(JobIndex job, std::int64_t now_s, std::int64_t limit_s) {
  engine::Holding& holding = RunOf(job).holding;
  holding.limit_ms = limit_s * kSecondMs;
  engine_.SetHolding(holding);
  BookDue(job, now_s);
}

void KezekPolicy::Start(const engine::Start& start, std::int64_t now_s, Decision& decision) {
  const JobIndex job = IndexOf(start.job);
  Run& run = RunOf(job);
  const GangShape& gang = list_.ShapeOf(job);
  run.booked_ms = 0;
  run.holding = {.attempt = {start.job, run.holding.attempt.number + 1},
                 .user = UserId{JobOf(job).user + 1},
                 .project = ProjectOf(JobOf(job).group),
                 .job_class = "normal",
                 .shape = {.nodes = gang.nodes,
                           .gpus_per_node = gang.gpus,
                           .gpu_type = kType,
                           .cpus_per_node = gang.gpus,
                           .memory_mib_per_node = gang.gpus},
                 .placement = start.placement,
                 .counted_milli = start.counted_milli,
                 .start_ms = At(now_s),
                 .limit_ms = JobOf(job).limit_s * kSecondMs,
                 .grace_ms = rules_.grace_s * kSecondMs};
  --waiting_;
  std::int64_t& first_s = first_s_[static_cast<std::size_t>(job)];
  if (first_s > 0) errors_s_.push_back(now_s - first_s);
  first_s = -1;
  engine_.RemoveWaiting(start.row);
  engine_.SetHolding(run.holding);
  BookDue(job, now_s);
  JobStart told{job, {}};
  for (const NodeGrant& grant : start.placement) told.nodes.push_back(NodeNumber(grant.node));
  decision.starts.push_back(std::move(told));
}

Decision KezekPolicy::Decide(std::int64_t now_s) {
  Decision decision;
  if (waiting_ == 0) {  // there is nothing to decide
    std::fill(blocked_.begin(), blocked_.end(), kNoJob);
    return decision;
  }
  BookAllDue(now_s);
  while (true) {
    const engine::Plan plan = engine_.Decide(At(now_s));
    dropped_ += std::ssize(plan.dropped);
    for (const engine::Start& start : plan.starts) Start(start, now_s, decision);
    for (const engine::Preempt& preempt : plan.preempts) {
      const JobIndex victim = IndexOf(preempt.victim.job);
      decision.preempts.push_back(victim);
      engine::Holding& holding = RunOf(victim).holding;
      holding.ends_by_ms = At(now_s) + holding.grace_ms;
      engine_.SetHolding(holding);
    }
    for (const engine::ReservationChange& change : plan.reservations) {
      if (change.news == engine::ReservationNews::kEnded) {
        engine_.RemoveReservation(change.reservation.row);
      } else {
        engine_.SetReservation(change.reservation);
      }
    }
    NoteBlocked(plan);
    if (!plan.more) break;
  }
  if (rules_.foresee_s > 0 && waiting_ > 0 && now_s >= foresee_at_s_) Foresee(now_s);
  if (rules_.ask_s > 0 && waiting_ > 0) decision.ask_s = now_s + rules_.ask_s;
  return decision;
}

// Of what waits, and has no estimate yet. A job that was preempted is asked about no more.
void KezekPolicy::Foresee(std::int64_t now_s) {
  foresee_at_s_ = now_s + rules_.foresee_s;
  const engine::Lookahead lookahead(engine_.CopyFacts(), directory_, {}, At(now_s));
  for (const auto& [row, start_ms] : lookahead.Starts()) {
    std::int64_t& first_s = first_s_[static_cast<std::size_t>(IndexOf(row))];
    if (first_s == 0) first_s = (start_ms - kStart) / kSecondMs;
  }
}

std::string KezekPolicy::ErrorsText() const {
  std::vector<std::int64_t> sorted = errors_s_;
  std::sort(sorted.begin(), sorted.end());
  std::string text = "of " + std::to_string(sorted.size());
  if (sorted.empty()) return text;
  for (const std::size_t percent : {10U, 25U, 50U, 75U, 90U, 99U}) {
    text += " p" + std::to_string(percent) + " " +
            std::to_string(sorted[(sorted.size() - 1) * percent / 100]) + " s";
  }
  return text;
}

// Pooled the first over all, kept apart the first of the project.
void KezekPolicy::NoteBlocked(const engine::Plan& plan) {
  std::fill(blocked_.begin(), blocked_.end(), kNoJob);
  for (const JobRef& ref :
       list_.split ? plan.waiting.FirstOfProjects() : plan.waiting.FirstOfTypes()) {
    const JobIndex job = IndexOf(ref);
    blocked_[static_cast<std::size_t>(JobOf(job).part)] = job;
  }
}

std::vector<std::pair<std::string, std::string>> KezekPolicy::Parameters() const {
  const char* const rule = rules_.rule == ProjectRule::kFair   ? "fair"
                           : rules_.rule == ProjectRule::kFifo ? "fifo"
                                                               : "shortest";
  std::vector<std::pair<std::string, std::string>> parameters = {
      {"rule", rule},
      {"half-life", std::to_string(config_.half_life_ms / kDayMs) + " d"},
      {"age_max", std::to_string(config_.age_max_ms / kHourMs) + " h"},
      {"reservations", std::to_string(config_.reservations)}};
  if (config_.reservations > 0) {
    parameters.push_back(
        {"reserve-after", std::to_string(config_.reserve_after_ms / kSecondMs) + " s"});
    parameters.push_back(
        {"reserve-width", std::to_string(config_.reserve_width_percent) + " % of the nodes"});
  }
  if (list_.split) {
    parameters.push_back({"nodes", "dedicated to each group"});
  } else {
    parameters.push_back({"guarantee", std::to_string(rules_.guarantee_percent) +
                                           " % of each group's part of the machine"});
  }
  if (rules_.foresee_s > 0) parameters.push_back({"start less first estimate", ErrorsText()});
  if (dropped_ > 0) parameters.push_back({"dropped by verify", std::to_string(dropped_)});
  return parameters;
}

}  // namespace

std::unique_ptr<Policy> MakeKezekPolicy(const JobList& list, const KezekRules& rules) {
  return std::make_unique<KezekPolicy>(list, rules);
}

}  // namespace kezek::replay
