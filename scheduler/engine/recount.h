// Totals counted anew from single holdings and starts: what verify measures by. Shares no code with
// the totals that the passes keep.
//
// Counted is what is asked for, when it is first asked for: a node from what is on it, a project
// from what it runs, a user likewise, by the world's lists of single holdings. The world must stay
// as it is while this is used.
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

  void Add(const Start& start) { Apply(start, 1); }
  void Remove(const Start& start) { Apply(start, -1); }
  // What is being made room for counts as allocated, but has no nodes yet.
  void Add(const quota::JobCount& job) { Count(job, 1); }
  NodeUse UseOf(const std::string& node) const;
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
    void Add(MilliGpus counted, std::int64_t count) {
      counted_milli += count * counted;
      jobs += count;
    }
  };
  // A start or claim that was added, or what was taken out again.
  struct Change {
    quota::JobCount job;
    int sign = 1;
  };
  void Apply(const Start& start, int sign);
  void Count(const quota::JobCount& job, int sign);
  NodeUse& Use(const std::string& node) const;
  void CountProject(quota::AccountIndex project) const;
  void CountAll() const;
  Total AllOf(quota::AccountIndex account) const;
  Total UserOf(quota::AccountIndex account, UserId user) const;
  Total ClassUserOf(const std::string& job_class, UserId user) const;
  std::optional<std::string> ForbidsAt(quota::AccountIndex account,
                                       const quota::JobCount& job) const;

  const World& world_;
  const Entitled* entitled_;
  std::vector<Change> changes_;
  // By node; by index, of projects that were counted, and of all once all were.
  mutable std::map<std::string, NodeUse> used_;
  mutable std::vector<char> counted_;
  mutable bool all_counted_ = false;
  mutable std::vector<Total> accounts_;
  mutable std::map<std::string, std::vector<MilliGpus>> allocated_;
};

}  // namespace kezek::engine
