#include "scheduler/sim/replay/figures.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <numeric>

namespace kezek::replay {
namespace {

constexpr double kHour = 3600.0;
constexpr double kSlowdownBound = 10.0;
constexpr double kNsPerMs = 1e6;

struct SizeClass {
  const char* name;
  std::int64_t most;
};
constexpr std::array<SizeClass, 6> kSizes = {
    {{"1", 1}, {"2-4", 4}, {"5-8", 8}, {"9-32", 32}, {"33-128", 128}, {"129+", INT64_MAX}}};

// Nearest rank: the least value that so many of a thousand do not exceed.
template <class T>
double Quantile(const std::vector<T>& sorted, std::int64_t permille) {
  if (sorted.empty()) return 0;
  const std::int64_t rank = (std::ssize(sorted) * permille + 999) / 1000;
  return static_cast<double>(sorted[static_cast<std::size_t>(std::max<std::int64_t>(rank, 1) - 1)]);
}

class Collector {
 public:
  void Add(const Job& job, const JobRecord& record) {
    const std::int64_t completion_s = record.end_s - job.submit_s;
    waits_s_.push_back(completion_s - job.duration_s);
    const auto completion = static_cast<double>(completion_s);
    const auto runs = static_cast<double>(job.duration_s);
    completions_s_ += completion;
    slowdowns_ += std::max(1.0, completion / std::max(runs, kSlowdownBound));
    runs_s_ += runs;
    gpu_s_ += runs * static_cast<double>(job.gpus);
  }
  // All that is, sorted.
  const std::vector<std::int64_t>& Sorted() {
    std::sort(waits_s_.begin(), waits_s_.end());
    return waits_s_;
  }
  Waits Sum() {
    Waits waits;
    waits.jobs = std::ssize(waits_s_);
    if (waits.jobs == 0) return waits;
    const auto count = static_cast<double>(waits.jobs);
    Sorted();
    waits.mean_s = (completions_s_ - runs_s_) / count;
    waits.p50_s = Quantile(waits_s_, 500);
    waits.p90_s = Quantile(waits_s_, 900);
    waits.p99_s = Quantile(waits_s_, 990);
    waits.longest_s = static_cast<double>(waits_s_.back());
    waits.mean_completion_s = completions_s_ / count;
    waits.bounded_slowdown = slowdowns_ / count;
    waits.gpu_hours = gpu_s_ / kHour;
    return waits;
  }
  double MeanSlowdown() const { return completions_s_ / runs_s_; }
  bool empty() const { return waits_s_.empty(); }

 private:
  std::vector<std::int64_t> waits_s_;
  double completions_s_ = 0;
  double slowdowns_ = 0;
  double runs_s_ = 0;
  double gpu_s_ = 0;
};

std::size_t SizeOf(std::int64_t gpus) {
  std::size_t size = 0;
  while (gpus > kSizes[size].most) ++size;
  return size;
}

double Jain(const std::vector<Collector>& groups) {
  double sum = 0;
  double squares = 0;
  double count = 0;
  for (const Collector& group : groups) {
    if (group.empty()) continue;
    const double x = group.MeanSlowdown();
    sum += x;
    squares += x * x;
    ++count;
  }
  return count == 0 ? 1 : sum * sum / (count * squares);
}

double PartOf(double of, double whole) { return whole > 0 ? of / whole : 0; }

void AddTicks(std::vector<std::int64_t> ticks, Figures& figures) {
  std::sort(ticks.begin(), ticks.end());
  figures.ticks = std::ssize(ticks);
  figures.tick_ms_p50 = Quantile(ticks, 500) / kNsPerMs;
  figures.tick_ms_p99 = Quantile(ticks, 990) / kNsPerMs;
  figures.tick_ms_max = Quantile(ticks, 1000) / kNsPerMs;
}

void AddMachine(const JobList& list, const ReplayResult& result, Figures& figures) {
  const auto capacity = static_cast<double>(list.capacity_gpus());
  figures.utilisation = PartOf(result.busy_gpu_s, capacity * result.active_s);
  figures.utilisation_waiting = PartOf(result.busy_waiting_gpu_s, capacity * result.waiting_s);
  figures.fragmentation_gpu_hours = result.fragmented_gpu_s / kHour;
  figures.fragmentation = PartOf(result.fragmented_gpu_s, capacity * result.waiting_s);
  figures.preemptions = result.preemptions;
  figures.gpu_hours_lost = result.lost_gpu_s / kHour;
  figures.share_error = PartOf(result.misplaced_gpu_s, result.entitled_gpu_s);
  figures.slot_s = static_cast<double>(result.slot_s);
  for (const double busy : result.busy_by_slot) {
    figures.utilisation_by_slot.push_back(busy / (capacity * figures.slot_s));
  }
  const std::int64_t coming_s = list.jobs.back().submit_s - list.first_submit_s;
  const std::int64_t slots = std::max<std::int64_t>(1, coming_s / result.slot_s);
  const auto until = std::min(slots, std::ssize(result.busy_by_slot));
  const double held =
      std::accumulate(result.busy_by_slot.begin(), result.busy_by_slot.begin() + until, 0.0);
  figures.utilisation_coming = PartOf(held, capacity * figures.slot_s * static_cast<double>(slots));
}

}  // namespace

Figures Summarise(const std::string& policy, const JobList& list, const ReplayResult& result) {
  Figures figures;
  figures.policy = policy;
  figures.never_started = result.never;
  Collector all;
  std::array<Collector, kSizes.size()> sizes;
  std::vector<Collector> groups(list.groups.size());
  for (std::size_t i = 0; i < list.jobs.size(); ++i) {
    if (result.jobs[i].end_s < 0) continue;
    const Job& job = list.jobs[i];
    all.Add(job, result.jobs[i]);
    sizes[SizeOf(job.gpus)].Add(job, result.jobs[i]);
    groups[static_cast<std::size_t>(job.group)].Add(job, result.jobs[i]);
  }
  figures.all = all.Sum();
  for (std::size_t i = 0; i < figures.wait_quantiles_s.size(); ++i) {
    figures.wait_quantiles_s[i] = Quantile(all.Sorted(), static_cast<std::int64_t>(i) * 5);
  }
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (!sizes[i].empty()) figures.by_size.push_back({kSizes[i].name, sizes[i].Sum()});
  }
  figures.jain = Jain(groups);
  std::map<std::string, Waits> by_name;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    if (!groups[i].empty()) by_name[list.groups[i].name] = groups[i].Sum();
  }
  figures.by_group.assign(by_name.begin(), by_name.end());
  AddMachine(list, result, figures);
  AddTicks(result.tick_ns, figures);
  return figures;
}

}  // namespace kezek::replay
