#include "scheduler/engine/forecast.h"

#include <algorithm>
#include <functional>

#include "scheduler/engine/stops.h"

namespace kezek::engine {
namespace {

// Placements that are tried; some tens of milliseconds on a large machine.
constexpr std::int64_t kTriesMost = 8'000;
constexpr std::int64_t kCoarseness = 32;
constexpr DurationMs kWindowsAhead = 30 * kDayMs;

std::vector<quota::Entitlement> EntitledOf(const World& world, const Draft& draft,
                                           const std::string& type) {
  const auto found = draft.entitled.find(type);
  if (found != draft.entitled.end()) return found->second;
  return std::vector<quota::Entitlement>(static_cast<std::size_t>(world.tree().size()));
}

}  // namespace

Forecast::Forecast(const World& world, const Draft& draft, std::string gpu_type, const JobRef& own)
    : world_(world),
      draft_(draft),
      type_(std::move(gpu_type)),
      begin_ms_(draft.now_ms),
      now_ms_(draft.now_ms),
      free_(draft.free),
      clear_(draft.free),
      allocated_(draft.running.AllocatedByIndex(world.tree(), type_)),
      entitled_(EntitledOf(world, draft, type_)),
      kept_(world.tree(), entitled_) {
  guarantees_ = quota::GuaranteesNow(entitled_);
  std::size_t promises = 0;
  for (const auto& [key, agenda] : draft.agendas) promises += agenda.promises().size();
  const auto windows = WindowsOf();
  shapes_.reserve(promises + 1);  // endings point to them
  for (const auto& [when, placement] : windows) Close(when, placement);
  for (const auto& [key, agenda] : draft.agendas) {
    if (key.gpu_type != type_) continue;
    for (const auto& [row, promise] : agenda.promises()) {
      if (row != own) Promise(*promise);
    }
  }
}

// What admins have reserved, as if it were promised to somebody who needs all of it.
std::vector<std::pair<Occurrence, Placement>> Forecast::WindowsOf() const {
  std::vector<std::pair<Occurrence, Placement>> windows;
  for (const auto& [name, reservation] : world_.directory().reservations) {
    Placement placement;
    for (const std::string& node : reservation.nodes) {
      const auto known = world_.nodes().find(node);
      const bool of_type = known != world_.nodes().end() && known->second.gpu_type == type_;
      if (of_type) placement.push_back({node, known->second.gpus, {}});
    }
    if (placement.empty()) continue;
    const TimeMs until = now_ms_ + kWindowsAhead;
    for (auto next = FirstIn(reservation, now_ms_, until); next;
         next = FirstIn(reservation, next->end_ms, until)) {
      windows.push_back({*next, placement});
    }
  }
  return windows;
}

void Forecast::Close(const Occurrence& when, const Placement& placement) {
  if (shapes_.empty()) shapes_.push_back({.exclusive = true});
  const Shape& whole = shapes_.front();
  clear_.Hold(whole, placement);
  endings_.push_back({when.end_ms, &whole, placement, {}});
  if (when.begin_ms <= now_ms_) return free_.Hold(whole, placement);
  begins_.insert(when.begin_ms);
  endings_.push_back({when.begin_ms, &whole, placement, {}, true});
}

void Forecast::Promise(const Reservation& promise) {
  promised_.insert(promise.row);
  shapes_.push_back(promise.shape);
  const TimeMs begin = std::max(now_ms_, promise.from_ms);
  const TimeMs end = begin + world_.StaysFor(promise.limit_ms);
  clear_.Hold(promise.shape, promise.placement);
  begins_.insert(begin);
  endings_.push_back({begin, &shapes_.back(), promise.placement, {}, true});
  endings_.push_back({end, &shapes_.back(), promise.placement, {}});
}

// What runs, and what the plan starts.
void Forecast::FindEnds() {
  std::map<AttemptRef, TimeMs> ended;
  for (const Preempt& preempt : draft_.plan.preempts) {
    ended[preempt.victim] = world_.EndIfTold(world_.holdings().at(preempt.victim), now_ms_);
  }
  for (const auto& [known, ref] : world_.ends(type_)) {
    const Holding& attempt = world_.holdings().at(ref);
    const auto by_plan = ended.find(ref);
    const TimeMs end = by_plan != ended.end() ? by_plan->second : world_.GoneBy(attempt, begin_ms_);
    Ending ending{end, &attempt.shape, attempt.placement, {}};
    if (limits_ && attempt.counts) ending.count = world_.CountOf(attempt);
    endings_.push_back(std::move(ending));
  }
  for (const engine::Start& start : draft_.plan.starts) {
    const Waiting& job = world_.waiting().at(start.row);
    if (job.spec->shape.gpu_type != type_) continue;
    Ending ending{
        now_ms_ + world_.Occupies(job.spec->time_limit_ms), &job.spec->shape, start.placement, {}};
    if (limits_) ending.count = world_.CountOf(start);
    endings_.push_back(std::move(ending));
  }
  std::make_heap(endings_.begin(), endings_.end(), std::greater<>());
}

Forecast::Runner Forecast::RunnerOf(const Waiting& job) {
  Runner runner;
  runner.job = &job;
  runner.pools = PoolsFor(world_.apart(), world_.tree(), *job.spec);
  runner.project = world_.tree().IndexOf(job.spec->project);
  runner.count = world_.CountOf(job);
  runner.may_be_stopped = world_.MayBeStopped(runner.project, runner.count.job_class);
  runner.left = std::max(1, StartableCount(job));
  runner.occupies = world_.Occupies(job.spec->time_limit_ms);
  const Request demand{job.spec.get(), job.spec->within, false};
  runner.group = groups_.try_emplace({runner.pools, demand}, groups_.size()).first->second;
  limits_ |= runner.may_be_stopped;
  return runner;
}

void Forecast::Apply(const Ending& ending) {
  if (ending.begins) {
    free_.Hold(*ending.shape, ending.placement);
    begins_.erase(begins_.find(ending.at_ms));
    return;
  }
  free_.GiveBack(*ending.shape, ending.placement);
  clear_.GiveBack(*ending.shape, ending.placement);
  if (!ending.count) return;
  running_.Remove(world_.tree(), *ending.count);
  auto i = world_.tree().IndexOf(ending.count->project);
  for (; i != quota::kNoAccount && ending.count->IsShared(); i = world_.tree().parent(i)) {
    allocated_[static_cast<std::size_t>(i)] -= ending.count->counted_milli;
  }
}

// To the next moment; false: nothing is to come.
bool Forecast::Advance() {
  if (endings_.empty()) return false;
  const TimeMs first = std::max(now_ms_, endings_.front().at_ms);
  const TimeMs by = first + std::max(kMinuteMs, (first - begin_ms_) / kCoarseness);
  while (!endings_.empty() && endings_.front().at_ms <= by) {
    std::pop_heap(endings_.begin(), endings_.end(), std::greater<>());
    const Ending ending = std::move(endings_.back());
    endings_.pop_back();
    now_ms_ = std::max(now_ms_, ending.at_ms);
    if (ending.shape != nullptr) Apply(ending);
  }
  failed_.assign(groups_.size() * 2, 0);
  return true;
}

bool Forecast::IsStopped(const Runner& runner, const PoolKey& key) const {
  if (!runner.may_be_stopped) return false;
  quota::JobCount count = runner.count;
  count.apart = !key.shared();
  return StopOf(world_, running_, allocated_, count, guarantees_).code != ReasonCode::kNone;
}

std::optional<Forecast::Found> Forecast::Find(const Runner& runner) {
  const JobSpec& spec = *runner.job->spec;
  const bool across = begins_.empty() || now_ms_ + runner.occupies <= *begins_.begin();
  char& failed = failed_[runner.group * 2 + (across ? 1 : 0)];
  if (failed != 0) return std::nullopt;
  const Request request{&spec, spec.within, false};
  bool room = false;
  for (const PoolKey& key : runner.pools) {
    const Pool* pool = (across ? free_ : clear_).FindPool(key);
    if (pool == nullptr) continue;
    if (pool->AtLeast(pool->layout->all(), spec.shape.gpus_per_node) < spec.shape.nodes) continue;
    ++tries_;
    if (!Fits(*pool, request)) continue;
    room = true;
    const MilliGpus kept = key.shared() ? kept_.From(runner.project) : 0;
    if (kept > 0 && pool->free_gpus * 1000 - runner.count.counted_milli < kept) continue;
    if (IsStopped(runner, key)) continue;
    if (auto placement = Place(*pool, request)) return Found{key, std::move(*placement)};
  }
  if (!room) failed = 1;
  return std::nullopt;
}

void Forecast::Start(Runner& runner, const Found& found) {
  const Shape& shape = runner.job->spec->shape;
  free_.Take(found.key, shape, found.placement);
  clear_.Hold(shape, found.placement);
  Ending ending{now_ms_ + runner.occupies, &shape, found.placement, {}};
  if (limits_) {
    ending.count = runner.count;
    ending.count->apart = !found.key.shared();
    running_.Add(world_.tree(), *ending.count);
    auto i = runner.project;
    for (; i != quota::kNoAccount && ending.count->IsShared(); i = world_.tree().parent(i)) {
      allocated_[static_cast<std::size_t>(i)] += ending.count->counted_milli;
    }
  }
  endings_.push_back(std::move(ending));
  std::push_heap(endings_.begin(), endings_.end(), std::greater<>());
  --runner.left;
}

void Forecast::StartAhead(std::vector<Runner>& ahead, Answer& answer) {
  for (Runner& runner : ahead) {
    while (runner.left > 0 && tries_ < kTriesMost) {
      const auto found = Find(runner);
      if (!found) break;
      answer.ahead.try_emplace(runner.job->ref, now_ms_);
      Start(runner, *found);
    }
  }
  std::erase_if(ahead, [](const Runner& runner) { return runner.left == 0; });
}

Forecast::Answer Forecast::Run(const std::vector<const Waiting*>& ahead,
                               const std::vector<Waiting>& asked) {
  Answer answer;
  answer.starts.assign(asked.size(), 0);
  std::vector<Runner> runners;
  for (const Waiting* job : ahead) {
    // Who is in an admin's reservation takes nothing that others could have.
    const bool inside = !job->spec->reservation.empty();
    if (!inside && !promised_.contains(job->ref)) runners.push_back(RunnerOf(*job));
  }
  std::vector<Runner> askers;
  for (const Waiting& job : asked) {
    askers.push_back(RunnerOf(job));
    const TimeMs begin = job.spec->begin_ms;  // a moment of its own
    if (begin > now_ms_) endings_.push_back({begin, nullptr, {}, {}});
  }
  if (limits_) running_ = draft_.running;
  FindEnds();
  while (true) {
    answer.complete = !Advance();
    answer.until_ms = now_ms_;
    if (answer.complete || tries_ >= kTriesMost) return answer;
    StartAhead(runners, answer);
    for (std::size_t i = 0; i < askers.size(); ++i) {
      const bool due = answer.starts[i] == 0 && asked[i].spec->begin_ms <= now_ms_;
      if (due && Find(askers[i])) answer.starts[i] = now_ms_;
    }
    const bool found = asked.empty() ? runners.empty() : answer.starts[0] != 0;
    answer.complete = found;
    if (found) return answer;
  }
}

}  // namespace kezek::engine
