#include "scheduler/engine/stops.h"

#include <algorithm>
#include <iterator>

namespace kezek::engine {
Reason StopOf(const World& world, const quota::RunningTable& running,
              const std::vector<MilliGpus>& allocated, const quota::JobCount& job,
              const std::vector<MilliGpus>& guarantees) {
  const quota::AccountTree& tree = world.tree();
  const ClassRules& rules = world.ClassOf(job.job_class);
  Reason reason = FirstLimit(tree, running, rules, job);
  if (reason.code == ReasonCode::kNone) {
    reason = OutsideGuarantee(tree, rules, job, allocated, guarantees);
  }
  return reason;
}

Reason StopOf(const World& world, const quota::Draw& draw) {
  if (!draw.scavenges) return draw.stop;
  const quota::AccountIndex account = world.tree().IndexOf(draw.scavenges.account);
  return {ReasonCode::kBudgetExhausted,
          {{"account", world.tree().path(account)}, {"budget", draw.scavenges.name}}};
}

bool IsStop(const Reason& reason) {
  constexpr ReasonCode kStops[] = {ReasonCode::kLimitAccountGpus, ReasonCode::kLimitAccountJobs,
                                   ReasonCode::kLimitUserGpus,    ReasonCode::kLimitUserJobs,
                                   ReasonCode::kLimitBorrow,      ReasonCode::kBudgetExhausted,
                                   ReasonCode::kBudgetPeriodEnds, ReasonCode::kClassNotPreemptible};
  return quota::IsBar(reason.code) ||
         std::find(std::begin(kStops), std::end(kStops), reason.code) != std::end(kStops);
}

bool IsOfBudget(const Reason& reason) {
  return reason.code == ReasonCode::kBudgetExhausted ||
         reason.code == ReasonCode::kBudgetPeriodEnds;
}

void Take(const quota::Draw& draw, quota::Taken& taken) {
  for (const quota::BudgetHold& hold : draw.holds) taken[hold.budget] += hold.amount;
}

}  // namespace kezek::engine
