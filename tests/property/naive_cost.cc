// What a job counts as and costs in the engine's simple model. What is left of a budget is the sum
// of all entries, what a start holds is found by walking its path.
#include <algorithm>

#include "kezek/names.h"
#include "quota/charge.h"
#include "quota/counted.h"
#include "tests/property/naive_engine.h"

namespace kezek::test {

using engine::Waiting;

// The largest of its GPUs, CPUs and memory as parts of the node, or all of it.
MilliGpus NaiveEngine::CountedOn(const Shape& shape, const std::string& name) const {
  const Node& node = nodes_.at(name);
  const std::int64_t all = node.gpus * 1000;
  const std::int64_t by_cpus = (shape.cpus_per_node * all + node.cpus - 1) / node.cpus;
  const std::int64_t by_memory =
      (shape.memory_mib_per_node * all + node.memory_mib - 1) / node.memory_mib;
  const std::int64_t shared =
      std::max({std::int64_t{shape.gpus_per_node} * 1000, by_cpus, by_memory});
  return shape.exclusive ? std::max(all, shared) : shared;
}

// Where it counts most of the nodes that would hold it if they were empty.
MilliGpus NaiveEngine::Counted(const JobSpec& spec) const {
  const Shape& shape = spec.shape;
  std::vector<MilliGpus> most;
  for (const auto& [name, node] : nodes_) {
    NaiveNode state{node, node.gpus, node.cpus, node.memory_mib, true, true};
    if (node.gpu_type == shape.gpu_type && NaiveHolds(state, spec)) {
      most.push_back(CountedOn(shape, name));
    }
  }
  if (most.empty()) {
    return quota::CountGpus(shape, quota::GpuTypes(nodes_)[shape.gpu_type].size);
  }
  std::sort(most.rbegin(), most.rend());
  MilliGpus counted = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(shape.nodes); ++i) {
    counted += i < most.size() ? most[i] : most[0];
  }
  return counted;
}

quota::JobCount NaiveEngine::CountOf(const Waiting& job, TimeMs now) const {
  const bool scavenger = ClassOf(job.spec->job_class).scavenger || Scavenges(job, now);
  return {job.spec->project,        job.user,           job.spec->job_class,
          job.spec->shape.gpu_type, Counted(*job.spec), scavenger};
}

MilliGpuMs NaiveEngine::ExpectedCharge(const JobSpec& spec, MilliGpus counted) const {
  const auto rate = directory_->rate_milli.find(spec.shape.gpu_type);
  return quota::ExpectedCharge(counted, spec.time_limit_ms,
                               rate == directory_->rate_milli.end() ? 1000 : rate->second,
                               ClassOf(spec.job_class).factor_milli);
}

MilliGpuMs NaiveEngine::Left(const BudgetRef& budget) const {
  MilliGpuMs left = 0;
  for (const LedgerEntry& entry : entries_) {
    if (entry.budget != budget) continue;
    if (entry.pot == Pot::kLeft) left += entry.amount;
    if (entry.contra == NameOf(Pot::kLeft)) left -= entry.amount;
  }
  return left;
}

// A period holds what lies up to a day past its end, the next one of its type the rest.
void NaiveEngine::DrawOnChain(Drawn& drawn, quota::AccountIndex account, const BudgetSpec& first,
                              const quota::Cost& cost, TimeMs now, const Holds& taken) const {
  std::vector<BudgetSpec> chain;
  for (const BudgetSpec& spec : tree_->account(account).settings.budgets) {
    if (spec.gpu_type == first.gpu_type && spec.start_ms >= first.start_ms) chain.push_back(spec);
  }
  std::sort(chain.begin(), chain.end(),
            [](const auto& a, const auto& b) { return a.start_ms < b.start_ms; });
  const auto charge = [&cost](DurationMs time) {
    return quota::Charge(cost.counted_milli, time, cost.rate_milli, cost.factor_milli);
  };
  const auto stop = [&](ReasonCode code, std::map<std::string, std::string> fields) {
    if (drawn.stop.code != ReasonCode::kNone) return;
    fields["account"] = tree_->path(account);
    drawn.stop = {code, std::move(fields)};
  };
  const DurationMs whole = quota::HeldTime(cost.limit_ms);
  DurationMs from = 0;
  for (const BudgetSpec& spec : chain) {
    const DurationMs to = std::min(whole, spec.end_ms + config_.charge.hold_beyond_ms - now);
    const BudgetRef ref{tree_->id(account), spec.name};
    const MilliGpuMs amount = charge(to) - charge(from);
    const MilliGpuMs left = Left(ref) - (taken.contains(ref) ? taken.at(ref) : 0);
    const bool scavenges = spec.at_exhaustion == AtExhaustion::kScavenge;
    if (amount > 0 && amount <= left) drawn.holds[ref] += amount;
    if (amount > 0 && amount > left && scavenges && !drawn.scavenges) drawn.scavenges = ref;
    if (amount > 0 && amount > left && !scavenges) {
      stop(ReasonCode::kBudgetExhausted,
           {{"budget", spec.name},
            {"left", quota::GpuHoursText(std::max<MilliGpuMs>(0, left))},
            {"needed", quota::GpuHoursText(amount)}});
    }
    from = to;
    if (to == whole) return;
  }
  stop(ReasonCode::kBudgetPeriodEnds, {{"budget", chain.back().name},
                                       {"end_ms", std::to_string(chain.back().end_ms)},
                                       {"beyond", std::to_string(config_.charge.hold_beyond_ms)}});
}

NaiveEngine::Drawn NaiveEngine::DrawAtCost(const quota::Cost& cost, TimeMs now,
                                           const Holds& taken) const {
  Drawn drawn;
  for (auto i = tree_->IndexOf(cost.project); i != quota::kNoAccount; i = tree_->parent(i)) {
    for (const BudgetSpec& spec : tree_->account(i).settings.budgets) {
      const bool of_type = spec.gpu_type.empty() || spec.gpu_type == cost.gpu_type;
      if (!of_type || now < spec.start_ms || now >= spec.end_ms) continue;
      DrawOnChain(drawn, i, spec, cost, now, taken);
    }
  }
  return drawn;
}

NaiveEngine::Drawn NaiveEngine::DrawOf(const Waiting& job, MilliGpus counted, TimeMs now,
                                       const Holds& taken) const {
  const JobSpec& spec = *job.spec;
  const ClassRules rules = ClassOf(spec.job_class);
  if (rules.scavenger) return {};
  const auto rate = directory_->rate_milli.find(spec.shape.gpu_type);
  quota::Cost cost{.project = spec.project,
                   .gpu_type = spec.shape.gpu_type,
                   .counted_milli = counted,
                   .limit_ms = spec.time_limit_ms,
                   .rate_milli = rate == directory_->rate_milli.end() ? 1000 : rate->second,
                   .factor_milli = rules.factor_milli};
  Drawn drawn = DrawAtCost(cost, now, taken);
  if (drawn.stop.code == ReasonCode::kNone) {
    if (drawn.scavenges) drawn.holds.clear();
    return drawn;
  }
  drawn.holds.clear();
  drawn.scavenges = {};
  DurationMs fits = 0;  // minutes: the longest that is not stopped
  for (DurationMs step = 4096; step > 0; step /= 2) {
    cost.limit_ms = (fits + step) * kMinuteMs;
    if (cost.limit_ms > spec.time_limit_ms) continue;
    if (DrawAtCost(cost, now, taken).stop.code == ReasonCode::kNone) fits += step;
  }
  if (fits > 0) drawn.stop.fields["fits"] = std::to_string(fits * kMinuteMs);
  return drawn;
}

BudgetRef NaiveEngine::Scavenges(const Waiting& job, TimeMs now) const {
  return DrawOf(job, Counted(*job.spec), now, {}).scavenges;
}

}  // namespace kezek::test
