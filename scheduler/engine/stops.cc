#include "scheduler/engine/stops.h"

#include <string>

namespace kezek::engine {
namespace {

Reason TooLarge(const Limits& limits, const std::string& field, const std::string& whose,
                MilliGpus counted_milli) {
  if (!limits.job_milli || counted_milli <= *limits.job_milli) return {};
  return {ReasonCode::kNeverFitsLimit,
          {{field, whose},
           {"limit", quota::GpusText(*limits.job_milli)},
           {"asked", quota::GpusText(counted_milli)}}};
}

}  // namespace

Reason StopOf(const World& world, const quota::RunningTable& running,
              const std::vector<MilliGpus>& allocated, const quota::JobCount& job,
              const std::vector<MilliGpus>& guarantees) {
  const quota::AccountTree& tree = world.tree();
  const ClassRules& rules = world.ClassOf(job.job_class);
  for (auto i = tree.IndexOf(job.project); i != quota::kNoAccount; i = tree.parent(i)) {
    const AccountSettings& settings = tree.account(i).settings;
    for (const Limits* limits : {&settings.account_limits, &settings.user_limits}) {
      Reason reason = TooLarge(*limits, "account", tree.path(i), job.counted_milli);
      if (reason.code != ReasonCode::kNone) return reason;
    }
  }
  Reason reason = TooLarge(rules.user_limits, "class", job.job_class, job.counted_milli);
  if (reason.code == ReasonCode::kNone) reason = FirstLimit(tree, running, rules, job);
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

void Take(const quota::Draw& draw, quota::Taken& taken) {
  for (const quota::BudgetHold& hold : draw.holds) taken[hold.budget] += hold.amount;
}

}  // namespace kezek::engine
