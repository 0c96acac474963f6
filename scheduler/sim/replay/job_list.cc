#include "scheduler/sim/replay/job_list.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <numbers>
#include <numeric>
#include <set>

#include "scheduler/sim/random.h"

namespace kezek::replay {
namespace {

constexpr std::int64_t kUnknownLimit = 24 * 3600;
constexpr double kSigma = 1.2;
constexpr double kShortestGaps = 1e-4;  // how much closer and further apart submissions are moved
constexpr double kLongestGaps = 1e4;
constexpr int kHalvings = 60;
constexpr std::int64_t kLongest = 1'000'000'000;  // seconds, of a run or a limit

Error Wrong(std::string message) { return {Code::kInvalidArgument, std::move(message), {}}; }

// In (0, 1].
double Uniform(sim::Random& random) {
  return static_cast<double>((random.Next() >> 11) + 1) / 9007199254740992.0;
}

// Of the standard normal distribution (Box and Muller 1958).
double Normal(sim::Random& random) {
  const double radius = std::sqrt(-2.0 * std::log(Uniform(random)));
  return radius * std::cos(2.0 * std::numbers::pi * Uniform(random));
}

// `total` in whole parts in proportion to `weights`, at least 1 each: largest remainder, of equal
// ones the first.
std::vector<std::int64_t> Apportion(std::int64_t total, const std::vector<std::int64_t>& weights) {
  const std::int64_t count = std::ssize(weights);
  const double sum =
      static_cast<double>(std::accumulate(weights.begin(), weights.end(), std::int64_t{0}));
  std::vector<std::int64_t> parts(weights.size(), 1);
  std::vector<std::pair<double, std::size_t>> rest;
  std::int64_t given = count;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const double exact = static_cast<double>(total) * static_cast<double>(weights[i]) / sum;
    const std::int64_t whole = std::max<std::int64_t>(1, static_cast<std::int64_t>(exact));
    given += whole - 1;
    parts[i] = whole;
    rest.push_back({-(exact - static_cast<double>(whole)), i});
  }
  std::sort(rest.begin(), rest.end());
  for (std::size_t k = 0; given < total; ++k, ++given) ++parts[rest[k % rest.size()].second];
  while (given > total) {  // the ones of at least 1 were too many: the largest give
    --*std::max_element(parts.begin(), parts.end());
    --given;
  }
  return parts;
}

class Maker {
 public:
  Maker(const std::vector<TraceRow>& rows, const ListOptions& options)
      : rows_(rows), options_(options) {}
  Result<JobList> Make();

 private:
  Result<void> ReadMachine();
  std::optional<std::int64_t> RunTimeOf(const TraceRow& row) const;
  void Choose();
  void LeaveOut(const std::string& why) { ++left_out_[why]; }
  void AddGroups();
  Result<void> Share();
  void AddJob(const TraceRow& row);
  double Load(double factor) const;
  Result<void> SetLoad();
  Result<void> SetLimits();

  const std::vector<TraceRow>& rows_;
  const ListOptions& options_;
  JobList list_;
  std::vector<const TraceRow*> chosen_;
  std::map<std::string, std::int64_t> left_out_;
  std::map<std::string, std::int32_t> group_of_;
  std::map<std::pair<std::int32_t, std::string>, std::int32_t> user_of_;
  std::map<GangShape, std::int32_t> shape_of_;
  std::vector<std::optional<std::int64_t>> requested_;  // of each job
};

std::string GroupName(const TraceRow& row) { return row.group.empty() ? "-" : row.group; }

// Parts of a GPU are rounded up: Kezek gives whole ones.
std::int64_t GpusOf(const TraceRow& row) { return (*row.milli_gpus + 999) / 1000; }

Result<void> Maker::ReadMachine() {
  if (options_.capacity_gpus < 1) return Wrong("the capacity is at least 1 GPU");
  list_.gpus_per_node = options_.gpus_per_node;
  if (list_.gpus_per_node == 0) {
    const bool units =
        !rows_.empty() && std::all_of(rows_.begin(), rows_.end(), [](const auto& row) {
          return row.nodes && row.milli_gpus && *row.nodes * 1000 == *row.milli_gpus;
        });
    list_.gpus_per_node = units ? 1 : 8;
  }
  if (options_.capacity_gpus % list_.gpus_per_node != 0) {
    return Wrong("a capacity of " + std::to_string(options_.capacity_gpus) +
                 " GPUs is no whole number of nodes of " + std::to_string(list_.gpus_per_node));
  }
  const std::int64_t nodes = options_.capacity_gpus / list_.gpus_per_node;
  if (nodes > 1'000'000) return Wrong("a machine has at most a million nodes");
  list_.nodes = static_cast<std::int32_t>(nodes);
  return {};
}

std::optional<std::int64_t> Maker::RunTimeOf(const TraceRow& row) const {
  return row.duration_s || !options_.unfinished ? row.duration_s : row.requested_s;
}

// Rows that are in the window and can be replayed, by submission.
void Maker::Choose() {
  std::map<std::string, bool> named;
  for (const auto& [name, nodes] : options_.group_nodes) named[name] = true;
  std::int64_t parts_of_gpus = 0;
  for (const TraceRow& row : rows_) {
    if (options_.from_s && row.submit_s < *options_.from_s) continue;
    if (options_.until_s && row.submit_s >= *options_.until_s) continue;
    if (!RunTimeOf(row)) {
      LeaveOut("have no run time");
    } else if (!row.milli_gpus || *row.milli_gpus == 0) {
      LeaveOut("ask for no GPU");
    } else if (!named.empty() && !named.contains(GroupName(row))) {
      LeaveOut("are of groups without nodes");
    } else {
      if (*row.milli_gpus % 1000 != 0) ++parts_of_gpus;
      chosen_.push_back(&row);
    }
  }
  std::stable_sort(chosen_.begin(), chosen_.end(),
                   [](const auto* a, const auto* b) { return a->submit_s < b->submit_s; });
  if (parts_of_gpus > 0) {
    list_.notes.push_back(std::to_string(parts_of_gpus) +
                          " jobs ask for parts of a GPU: whole ones are counted");
  }
}

// As they are named; else by name.
void Maker::AddGroups() {
  for (const auto& [name, nodes] : options_.group_nodes) group_of_.emplace(name, 0);
  for (const TraceRow* row : chosen_) group_of_.emplace(GroupName(*row), 0);
  for (auto& [name, index] : group_of_) {
    index = static_cast<std::int32_t>(list_.groups.size());
    list_.groups.push_back({name, 1000});
  }
}

// Weights of the groups, and with `split` their nodes.
Result<void> Maker::Share() {
  std::vector<std::int64_t> weights(list_.groups.size(), 1);
  std::set<std::string> seen;
  for (const auto& [name, nodes] : options_.group_nodes) {
    if (!seen.insert(name).second) return Wrong("group " + name + " has its nodes twice");
    if (nodes < 1) return Wrong("group " + name + " has at least 1 node");
    weights[static_cast<std::size_t>(group_of_.at(name))] = nodes;
  }
  if (options_.group_nodes.empty() && options_.shares == Shares::kDemand) {
    for (const TraceRow* row : chosen_) {
      weights[static_cast<std::size_t>(group_of_.at(GroupName(*row)))] +=
          GpusOf(*row) * std::min(*RunTimeOf(*row), kLongest) / 60;
    }
  }
  const double sum =
      static_cast<double>(std::accumulate(weights.begin(), weights.end(), std::int64_t{0}));
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const auto part = static_cast<std::int64_t>(1e6 * static_cast<double>(weights[i]) / sum + 0.5);
    list_.groups[i].weight_milli = std::max<std::int64_t>(1, part);
  }
  if (!options_.split) {
    list_.parts = {{0, list_.nodes}};
    return {};
  }
  list_.split = true;
  if (std::ssize(weights) > list_.nodes) {
    return Wrong(std::to_string(weights.size()) + " groups cannot be kept apart on " +
                 std::to_string(list_.nodes) + " nodes");
  }
  std::int32_t first = 0;
  for (const std::int64_t nodes : Apportion(list_.nodes, weights)) {
    list_.parts.push_back({first, static_cast<std::int32_t>(nodes)});
    first += static_cast<std::int32_t>(nodes);
  }
  return {};
}

void Maker::AddJob(const TraceRow& row) {
  Job job;
  job.group = group_of_.at(GroupName(row));
  job.part = options_.split ? job.group : 0;
  job.gpus = GpusOf(row);
  const std::int32_t nodes = list_.parts[static_cast<std::size_t>(job.part)].nodes;
  const std::optional<GangShape> shape = ShapeFor(job.gpus, list_.gpus_per_node, nodes);
  if (!shape) return LeaveOut("ask for more than their nodes");
  const auto [found, fresh] =
      shape_of_.emplace(*shape, static_cast<std::int32_t>(list_.shapes.size()));
  if (fresh) list_.shapes.push_back(*shape);
  job.shape = found->second;
  const auto [user, is_new] = user_of_.emplace(std::pair{job.group, row.user},
                                               static_cast<std::int32_t>(list_.users.size()));
  if (is_new) list_.users.push_back(row.user.empty() ? "-" : row.user);
  job.user = user->second;
  job.id = row.id.empty() ? std::to_string(list_.jobs.size()) : row.id;
  job.submit_s = row.submit_s;
  job.duration_s = std::clamp<std::int64_t>(*RunTimeOf(row), 1, kLongest);
  job.waited_s = row.waited_s;
  requested_.push_back(row.requested_s);
  list_.jobs.push_back(std::move(job));
}

// If the time between submissions were `factor` times as long.
double Maker::Load(double factor) const {
  const auto last = static_cast<double>(list_.jobs.back().submit_s - list_.first_submit_s);
  const double span = std::max(1.0, last * factor);
  double asked = 0;
  for (const Job& job : list_.jobs) {
    const double left = span - static_cast<double>(job.submit_s - list_.first_submit_s) * factor;
    asked += static_cast<double>(job.gpus) * std::min(left, static_cast<double>(job.duration_s));
  }
  return asked / (static_cast<double>(list_.capacity_gpus()) * span);
}

Result<void> Maker::SetLoad() {
  list_.first_submit_s = list_.jobs.front().submit_s;
  list_.load = Load(1);
  if (!options_.load) return {};
  double shorter = kShortestGaps;
  double longer = kLongestGaps;
  if (Load(shorter) < *options_.load || Load(longer) > *options_.load) {
    return Wrong("no spacing of these submissions makes that load");
  }
  for (int i = 0; i < kHalvings; ++i) {
    const double middle = std::sqrt(shorter * longer);
    (Load(middle) > *options_.load ? shorter : longer) = middle;
  }
  for (Job& job : list_.jobs) {
    const auto after = static_cast<double>(job.submit_s - list_.first_submit_s);
    job.submit_s = list_.first_submit_s + std::llround(after * longer);
  }
  list_.load = Load(1);
  return {};
}

Result<void> Maker::SetLimits() {
  sim::Random random(options_.seed);
  std::int64_t unknown = 0;
  for (std::size_t i = 0; i < list_.jobs.size(); ++i) {
    Job& job = list_.jobs[i];
    std::int64_t limit = kUnknownLimit;
    if (options_.estimates == Estimates::kOracle) {
      limit = job.duration_s;
    } else if (options_.estimates == Estimates::kNoisy) {
      const double factor = std::exp(kSigma * Normal(random));
      const double noisy = static_cast<double>(job.duration_s) * factor;
      limit = static_cast<std::int64_t>(std::min(noisy, static_cast<double>(kLongest)));
    } else if (options_.estimates == Estimates::kUser) {
      if (!requested_[i]) ++unknown;
      limit = requested_[i].value_or(kUnknownLimit);
    }
    job.limit_s = std::clamp<std::int64_t>(limit, 1, kLongest);
  }
  if (options_.estimates == Estimates::kUser && unknown == std::ssize(list_.jobs)) {
    return Wrong("the trace has no limits that users asked for (req_walltime_s)");
  }
  if (unknown > 0) {
    list_.notes.push_back(std::to_string(unknown) + " jobs asked for no limit: 24 h");
  }
  return {};
}

Result<JobList> Maker::Make() {
  if (const Result<void> machine = ReadMachine(); !machine) return machine.error();
  if (options_.load && !(*options_.load > 0 && *options_.load <= 1000)) {
    return Wrong("a load is more than 0 and at most 1000");
  }
  Choose();
  AddGroups();
  if (list_.groups.empty()) return Wrong("no job is left to replay");
  if (const Result<void> shared = Share(); !shared) return shared.error();
  for (const TraceRow* row : chosen_) AddJob(*row);
  if (list_.jobs.empty()) return Wrong("no job is left to replay");
  if (const Result<void> loaded = SetLoad(); !loaded) return loaded.error();
  if (const Result<void> limits = SetLimits(); !limits) return limits.error();
  list_.left_out.assign(left_out_.begin(), left_out_.end());
  return std::move(list_);
}

}  // namespace

std::optional<GangShape> ShapeFor(std::int64_t gpus, std::int32_t gpus_per_node,
                                  std::int32_t nodes) {
  for (std::int64_t n = (gpus + gpus_per_node - 1) / gpus_per_node; n <= nodes; ++n) {
    if (gpus % n != 0) continue;
    return GangShape{static_cast<std::int32_t>(n), static_cast<std::int32_t>(gpus / n)};
  }
  return std::nullopt;
}

Result<JobList> MakeJobList(const std::vector<TraceRow>& rows, const ListOptions& options) {
  return Maker(rows, options).Make();
}

}  // namespace kezek::replay
