// Totals counted anew from single holdings and starts: what verify measures by. Shares no code with
// the totals that the passes keep.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "quota/entitlement.h"
#include "quota/limits.h"
#include "scheduler/engine/engine.h"
#include "scheduler/engine/machine.h"
#include "scheduler/engine/world.h"

namespace kezek::engine {

class Recount {
 public:
  // Entitlements by GPU type, by index.
  using Entitled = std::map<std::string, std::vector<quota::Entitlement>>;
  // Of all that holds resources now. Guarantees are those that count by `entitled`, which must
  // outlive this; of a type it lacks, or null: as they are set.
  explicit Recount(const World& world, const Entitled* entitled = nullptr);

  void Add(const Start& start) { Change(start, 1); }
  void Remove(const Start& start) { Change(start, -1); }
  // What is being made room for counts as allocated, but has no nodes yet.
  void Add(const quota::JobCount& job) { Count(job, 1); }
  // One of what holds resources and counts.
  void Remove(const Holding& attempt);

  const std::map<std::string, NodeUse>& used() const { return used_; }
  MilliGpus Allocated(quota::AccountIndex account, const std::string& gpu_type) const;
  // The guarantee that counts now.
  MilliGpus Guarantee(quota::AccountIndex account, const std::string& gpu_type) const;
  // Whether the job would stay inside the guarantee of this account.
  bool Inside(quota::AccountIndex account, const quota::JobCount& job) const;

  // Where these totals of the same world differ from what was counted: one of `parts` of all nodes
  // and accounts. More GPUs of a node in use than it has is a difference too.
  std::vector<std::string> Differences(const std::map<std::string, NodeUse>& used,
                                       const quota::RunningTable& running, std::int32_t part,
                                       std::int32_t parts) const;
  // Likewise of what is free of nodes at a time.
  std::vector<std::string> FreeDifferences(const Machine& free, TimeMs now, std::int32_t part,
                                           std::int32_t parts) const;

  // What besides room forbids the job now; none: nothing.
  std::optional<std::string> Forbids(const quota::JobCount& job) const;

 private:
  struct Total {
    MilliGpus counted_milli = 0;
    std::int64_t jobs = 0;
  };
  void Change(const Start& start, int sign);
  void Count(const quota::JobCount& job, int sign);
  std::optional<std::string> ForbidsAt(quota::AccountIndex account,
                                       const quota::JobCount& job) const;

  const World& world_;
  const Entitled* entitled_;
  std::map<std::string, NodeUse> used_;
  std::vector<Total> accounts_;  // by index
  std::map<std::string, std::vector<MilliGpus>> allocated_;
  std::map<std::pair<quota::AccountIndex, UserId>, Total> users_;  // where users have limits
  std::map<std::pair<std::string, UserId>, Total> class_users_;
};

}  // namespace kezek::engine
