// What accounts keep idle for themselves (lend_max).
#pragma once

#include <cstddef>
#include <vector>

#include "kezek/resources.h"
#include "quota/account_tree.h"
#include "quota/entitlement.h"

namespace kezek::engine {

// GPUs each account keeps idle that a job of `project` must leave free: those of accounts that the
// project is not in.
class Kept {
 public:
  Kept(const quota::AccountTree& tree, const std::vector<quota::Entitlement>& entitled)
      : tree_(tree), entitled_(entitled) {
    for (const quota::Entitlement& account : entitled_) all_milli_ += account.idle_milli;
  }
  MilliGpus From(quota::AccountIndex project) const {
    MilliGpus kept = all_milli_;
    if (kept == 0) return 0;
    for (auto i = project; i != quota::kNoAccount; i = tree_.parent(i)) {
      kept -= entitled_[static_cast<std::size_t>(i)].idle_milli;
    }
    return kept;
  }

 private:
  const quota::AccountTree& tree_;
  const std::vector<quota::Entitlement>& entitled_;
  MilliGpus all_milli_ = 0;
};

}  // namespace kezek::engine
