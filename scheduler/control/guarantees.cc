// Guarantees that the machine cannot keep: an event when they begin to be scaled, and one when they
// have counted in full for a while.
#include <algorithm>
#include <string>
#include <utility>

#include "kezek/reason_text.h"
#include "scheduler/control/core.h"

namespace kezek::control {
namespace {

// Demand about the brink is no news each time.
constexpr DurationMs kWholeFor = 10 * kMinuteMs;

struct Scaled {
  std::int64_t accounts = 0;
  MilliGpus due = 0;
  MilliGpus kept = 0;
};

// Of one GPU type: the highest accounts whose guarantees in demand are scaled for want of GPUs, not
// for a limit that was set above them.
Scaled ScaledNow(const Core& core, const std::string& type) {
  const quota::AccountTree& tree = core.state.tree();
  const auto standing = [&](quota::AccountIndex i) -> const Standing* {
    const auto found = core.plan.standings.find({tree.id(i), type});
    return found == core.plan.standings.end() ? nullptr : &found->second;
  };
  Scaled scaled;
  for (quota::AccountIndex i = 1; i < tree.size();) {
    const Standing* own = standing(i);
    const Standing* above = standing(tree.parent(i));
    if (own == nullptr || above == nullptr || own->entitled_by != EntitledBy::kScaled) {
      ++i;
      continue;
    }
    const bool limited = above->entitled_by == EntitledBy::kRunningLimit ||
                         above->entitled_by == EntitledBy::kBorrowMax;
    const MilliGpus due = std::min(own->guarantee_milli, own->demand_milli);
    if (!limited && due > 0) {
      ++scaled.accounts;
      scaled.due += due;
      scaled.kept += own->guarantee_now_milli;
    }
    i = tree.subtree_end(i);
  }
  return scaled;
}

}  // namespace

void SayWhatIsScaled(Core& core) {
  if (!core.cluster_answers || !core.nodes_seen) return;  // what serves is not known
  std::set<std::string> types;
  for (const auto& [key, standing] : core.plan.standings) types.insert(key.second);
  for (const auto& [type, last] : core.scaled) types.insert(type);
  for (const std::string& type : types) {
    const Scaled scaled = ScaledNow(core, type);
    const auto known = core.scaled.find(type);
    if (scaled.accounts > 0) {
      if (known == core.scaled.end()) {
        core.Say(ClusterNote(core, {ReasonCode::kGuaranteesScaled,
                                    {{"gpu_type", type},
                                     {"accounts", std::to_string(scaled.accounts)},
                                     {"due", GpuText(scaled.due)},
                                     {"kept", GpuText(scaled.kept)}}}));
      }
      core.scaled[type] = core.now;
    } else if (known != core.scaled.end() && core.now - known->second >= kWholeFor) {
      core.Say(ClusterNote(core, {ReasonCode::kGuaranteesWhole, {{"gpu_type", type}}}));
      core.scaled.erase(known);
    }
  }
}

}  // namespace kezek::control
