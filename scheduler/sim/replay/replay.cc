#include "scheduler/sim/replay/replay.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <optional>
#include <queue>
#include <tuple>
#include <utility>

#include "kezek/check.h"
#include "scheduler/sim/replay/entitled.h"
#include "scheduler/sim/replay/node_pool.h"

namespace kezek::replay {
namespace {

constexpr std::int64_t kSlots = 300;  // of the curve, between first and last submission
constexpr std::int64_t kSmallestSlot = 60;
constexpr int kIdleAsks = 10'000;  // then what waits on an empty machine never starts
constexpr std::int64_t kProgressEvery = 500;

std::size_t At(std::int32_t index) { return static_cast<std::size_t>(index); }

class Replayer {
 public:
  Replayer(const JobList& list, Policy& policy, const ReplayOptions& options);
  ReplayResult Run();

 private:
  enum class Kind : std::uint8_t { kEnd, kOverrun };  // in this order at one time
  struct Event {
    std::int64_t at_s = 0;
    Kind kind = Kind::kEnd;
    JobIndex job = kNoJob;
    std::int32_t attempt = 0;
    bool operator>(const Event& other) const {
      return std::tie(at_s, kind, job, attempt) >
             std::tie(other.at_s, other.kind, other.job, other.attempt);
    }
  };
  struct State {
    std::int64_t left_s = 0;    // still to run
    std::int64_t since_s = -1;  // of this attempt; -1: does not run
    std::int64_t end_s = 0;
    std::int64_t limit_s = 0;
    std::int32_t attempt = 0;
    bool evicted = false;
    std::vector<std::int32_t> nodes;
  };

  std::optional<std::int64_t> NextTime();
  void Pass(std::int64_t to_s);
  void TellEvents();
  void TellArrivals();
  void Arrive(JobIndex job);
  void End(JobIndex job);
  void Evicted(JobIndex job, std::int64_t ran_s);
  void Overrun(JobIndex job);
  void Decide();
  void Start(const JobStart& start);
  void Preempt(JobIndex job);
  void Measure();
  void CheckRoom(const JobStart& start) const;
  const Job& JobOf(JobIndex job) const { return list_.jobs[At(job)]; }

  const JobList& list_;
  Policy& policy_;
  const ReplayOptions& options_;
  ReplayResult result_;
  std::vector<State> states_;
  std::vector<std::int32_t> free_;  // by node
  std::vector<std::int64_t> part_free_;
  std::vector<std::int64_t> held_;    // by group, GPUs
  std::vector<std::int64_t> demand_;  // by group: held and waiting
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::optional<std::int64_t> ask_s_;
  Yardstick yardstick_;
  std::size_t next_arrival_ = 0;
  std::int64_t now_s_ = 0;
  std::int64_t waiting_ = 0;
  std::int64_t running_ = 0;
  std::int64_t ended_ = 0;
  std::int64_t busy_gpus_ = 0;
  std::int64_t fragmented_gpus_ = 0;
  double lacking_gpus_ = 0;
  double entitled_gpus_ = 0;
  int idle_asks_ = 0;
};

Replayer::Replayer(const JobList& list, Policy& policy, const ReplayOptions& options)
    : list_(list),
      policy_(policy),
      options_(options),
      states_(list.jobs.size()),
      free_(At(list.nodes), list.gpus_per_node),
      held_(list.groups.size(), 0),
      demand_(list.groups.size(), 0),
      yardstick_(list.groups, list.capacity_gpus()),
      now_s_(list.first_submit_s) {
  result_.jobs.resize(list.jobs.size());
  for (const Part& part : list.parts) {
    part_free_.push_back(std::int64_t{part.nodes} * list.gpus_per_node);
  }
  for (std::size_t i = 0; i < states_.size(); ++i) states_[i].left_s = list.jobs[i].duration_s;
  const std::int64_t span = list.jobs.back().submit_s - list.first_submit_s;
  result_.slot_s = std::max(kSmallestSlot, span / kSlots);
}

// What is stale is passed by: an attempt that has ended, a limit of before.
std::optional<std::int64_t> Replayer::NextTime() {
  while (!events_.empty()) {
    const Event& event = events_.top();
    const State& state = states_[At(event.job)];
    const bool alive = state.since_s >= 0 && state.attempt == event.attempt;
    const std::int64_t due = event.kind == Kind::kEnd ? state.end_s : state.since_s + state.limit_s;
    if (alive && due == event.at_s) break;
    events_.pop();
  }
  std::optional<std::int64_t> next = ask_s_;
  const auto sooner = [&](std::int64_t at_s) { next = next ? std::min(*next, at_s) : at_s; };
  if (!events_.empty()) sooner(events_.top().at_s);
  if (next_arrival_ < list_.jobs.size()) sooner(list_.jobs[next_arrival_].submit_s);
  return next;
}

// Everything stays as it is from now until then.
void Replayer::Pass(std::int64_t to_s) {
  const auto seconds = static_cast<double>(to_s - now_s_);
  const auto busy = static_cast<double>(busy_gpus_);
  if (waiting_ > 0 || running_ > 0) result_.active_s += seconds;
  result_.busy_gpu_s += busy * seconds;
  if (waiting_ > 0) {
    result_.waiting_s += seconds;
    result_.busy_waiting_gpu_s += busy * seconds;
    result_.fragmented_gpu_s += static_cast<double>(fragmented_gpus_) * seconds;
    result_.misplaced_gpu_s += lacking_gpus_ * seconds;
    result_.entitled_gpu_s += entitled_gpus_ * seconds;
  }
  for (std::int64_t at = now_s_; busy_gpus_ > 0 && at < to_s;) {
    const std::int64_t slot = (at - list_.first_submit_s) / result_.slot_s;
    const std::int64_t end = std::min(to_s, list_.first_submit_s + (slot + 1) * result_.slot_s);
    if (std::ssize(result_.busy_by_slot) <= slot) {
      result_.busy_by_slot.resize(static_cast<std::size_t>(slot) + 1, 0.0);
    }
    result_.busy_by_slot[static_cast<std::size_t>(slot)] += busy * static_cast<double>(end - at);
    at = end;
  }
  now_s_ = to_s;
}

void Replayer::TellEvents() {
  while (true) {
    const std::optional<std::int64_t> next = NextTime();  // takes stale ones off the top
    if (!next || events_.empty() || events_.top().at_s > now_s_) return;
    const Event event = events_.top();
    events_.pop();
    if (event.kind == Kind::kEnd) {
      End(event.job);
    } else {
      Overrun(event.job);
    }
  }
}

void Replayer::Arrive(JobIndex job) {
  ++waiting_;
  policy_.Arrived(job, now_s_);
}

void Replayer::TellArrivals() {
  while (next_arrival_ < list_.jobs.size() && list_.jobs[next_arrival_].submit_s <= now_s_) {
    const auto job = static_cast<JobIndex>(next_arrival_++);
    demand_[At(JobOf(job).group)] += JobOf(job).gpus;
    Arrive(job);
  }
}

void Replayer::End(JobIndex job) {
  State& state = states_[At(job)];
  const std::int64_t ran_s = now_s_ - state.since_s;
  const bool preempted = ran_s < state.left_s;
  if (options_.ran) options_.ran(job, state.since_s, now_s_, state.nodes);
  for (const std::int32_t node : state.nodes) free_[At(node)] += list_.ShapeOf(job).gpus;
  part_free_[At(JobOf(job).part)] += JobOf(job).gpus;
  held_[At(JobOf(job).group)] -= JobOf(job).gpus;
  busy_gpus_ -= JobOf(job).gpus;
  --running_;
  state.since_s = -1;
  state.nodes.clear();
  policy_.Ended(job, now_s_, preempted);
  if (preempted) return Evicted(job, ran_s);
  demand_[At(JobOf(job).group)] -= JobOf(job).gpus;
  result_.jobs[At(job)].end_s = now_s_;
  if (++ended_ % kProgressEvery == 0 && options_.progress) {
    options_.progress(ended_, std::ssize(list_.jobs));
  }
}

void Replayer::Evicted(JobIndex job, std::int64_t ran_s) {
  const std::int64_t every = options_.checkpoint_s;
  const std::int64_t saved_s = every > 0 ? ran_s / every * every : 0;
  states_[At(job)].left_s -= saved_s;
  result_.lost_gpu_s += static_cast<double>(ran_s - saved_s) * static_cast<double>(JobOf(job).gpus);
  ++result_.preemptions;
  ++result_.jobs[At(job)].preemptions;
  Arrive(job);
}

void Replayer::Overrun(JobIndex job) {
  State& state = states_[At(job)];
  while (state.since_s + state.limit_s <= now_s_) state.limit_s *= 2;
  if (state.since_s + state.limit_s < state.end_s) {
    events_.push({state.since_s + state.limit_s, Kind::kOverrun, job, state.attempt});
  }
  policy_.Overran(job, now_s_, state.limit_s);
}

void Replayer::CheckRoom(const JobStart& start) const {
  const State& state = states_[At(start.job)];
  KEZEK_CHECK(state.since_s < 0 && state.attempt == result_.jobs[At(start.job)].preemptions &&
                  JobOf(start.job).submit_s <= now_s_,
              "what starts is waiting");
  const GangShape& shape = list_.ShapeOf(start.job);
  KEZEK_CHECK(std::ssize(start.nodes) == shape.nodes, "a gang starts whole");
  const Part& part = list_.parts[At(JobOf(start.job).part)];
  std::vector<std::int32_t> sorted = start.nodes;
  std::sort(sorted.begin(), sorted.end());
  KEZEK_CHECK(std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end(),
              "each node of a gang is another");
  for (const std::int32_t node : start.nodes) {
    KEZEK_CHECK(node >= part.first && node < part.first + part.nodes, "the node is of its part");
    KEZEK_CHECK(free_[At(node)] >= shape.gpus, "the node has room");
  }
}

void Replayer::Start(const JobStart& start) {
  CheckRoom(start);
  const Job& job = JobOf(start.job);
  State& state = states_[At(start.job)];
  for (const std::int32_t node : start.nodes) free_[At(node)] -= list_.ShapeOf(start.job).gpus;
  part_free_[At(job.part)] -= job.gpus;
  held_[At(job.group)] += job.gpus;
  busy_gpus_ += job.gpus;
  ++running_;
  --waiting_;
  state.nodes = start.nodes;
  state.since_s = now_s_;
  state.end_s = now_s_ + state.left_s;
  state.limit_s = job.limit_s;
  state.evicted = false;
  ++state.attempt;
  JobRecord& record = result_.jobs[At(start.job)];
  if (record.start_s < 0) record.start_s = now_s_;
  events_.push({state.end_s, Kind::kEnd, start.job, state.attempt});
  if (state.limit_s < state.left_s) {
    events_.push({now_s_ + state.limit_s, Kind::kOverrun, start.job, state.attempt});
  }
}

// It may end by itself before.
void Replayer::Preempt(JobIndex job) {
  State& state = states_[At(job)];
  KEZEK_CHECK(state.since_s >= 0, "what is preempted runs");
  if (state.evicted || now_s_ + options_.grace_s >= state.end_s) return;
  state.evicted = true;
  state.end_s = now_s_ + options_.grace_s;
  events_.push({state.end_s, Kind::kEnd, job, state.attempt});
}

void Replayer::Decide() {
  const std::int64_t before = options_.stopwatch_ns ? options_.stopwatch_ns() : 0;
  const Decision decision = policy_.Decide(now_s_);
  if (options_.stopwatch_ns) result_.tick_ns.push_back(options_.stopwatch_ns() - before);
  for (const JobStart& start : decision.starts) Start(start);
  for (const JobIndex job : decision.preempts) Preempt(job);
  ask_s_ = decision.ask_s;
  if (ask_s_ && *ask_s_ <= now_s_) ask_s_ = now_s_ + 1;
  if (waiting_ == 0) ask_s_.reset();
  const bool idle = running_ == 0 && next_arrival_ >= list_.jobs.size();
  idle_asks_ = idle ? idle_asks_ + 1 : 0;
  if (idle_asks_ > kIdleAsks) ask_s_.reset();
  Measure();
}

// How things stand until something happens.
void Replayer::Measure() {
  fragmented_gpus_ = 0;
  lacking_gpus_ = entitled_gpus_ = 0;
  if (waiting_ == 0) return;
  for (std::size_t part = 0; part < part_free_.size(); ++part) {
    const JobIndex blocked = policy_.FirstBlocked(static_cast<std::int32_t>(part));
    if (blocked == kNoJob || JobOf(blocked).gpus > part_free_[part]) continue;
    fragmented_gpus_ += part_free_[part];
  }
  const std::vector<double>& entitled = yardstick_.Entitled(demand_);
  for (std::size_t i = 0; i < entitled.size(); ++i) {
    lacking_gpus_ += std::max(0.0, entitled[i] - static_cast<double>(held_[i]));
    entitled_gpus_ += entitled[i];
  }
}

ReplayResult Replayer::Run() {
  while (const std::optional<std::int64_t> next = NextTime()) {
    Pass(*next);
    TellEvents();
    TellArrivals();
    Decide();
  }
  result_.never = waiting_;
  return std::move(result_);
}

}  // namespace

ReplayResult Replay(const JobList& list, Policy& policy, const ReplayOptions& options) {
  return Replayer(list, policy, options).Run();
}

}  // namespace kezek::replay
