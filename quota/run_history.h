// What the ended runs of a project tell, for ProjectRule::kShortest: how long a job will run, and
// since when a project has been running for so long.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "kezek/ids.h"
#include "kezek/job.h"
#include "kezek/time.h"

namespace kezek::quota {

// Lengths of runs by (project, user, name) and by (project, user, shape): nodes, GPUs on each and
// their type. Of each key the last kSamples are kept; of all keys the last kKeys that something was
// learned about.
class RunLengths {
 public:
  static constexpr std::size_t kSamples = 8;
  static constexpr std::size_t kKeys = 20'000;

  // Nothing, if the run is not typical of its job.
  void Learn(const EndedRun& run);
  // The mean of what is kept of jobs with this name; else of those of this shape. None: nothing is
  // known.
  std::optional<DurationMs> Predict(AccountId project, UserId user, const std::string& name,
                                    const Shape& shape) const;
  std::size_t size() const { return kept_.size(); }

 private:
  struct Key {
    AccountId project;
    UserId user;
    std::string name;  // empty: by shape
    std::string gpu_type;
    std::int32_t nodes = 0;
    std::int32_t gpus_per_node = 0;
    auto operator<=>(const Key&) const = default;
  };
  struct Kept {
    std::array<DurationMs, kSamples> lengths{};
    std::size_t count = 0;     // ever
    std::int64_t learned = 0;  // when last, in the order of learning
  };
  static Key OfName(AccountId project, UserId user, const std::string& name);
  static Key OfShape(AccountId project, UserId user, const Shape& shape);
  void Learn(const Key& key, DurationMs length);

  std::map<Key, Kept> kept_;
  std::map<std::int64_t, Key> by_age_;
  std::int64_t next_ = 1;
};

// When one project ran anything at all: disjoint intervals, as many of the last as come to
// `keep_ms`, and kIntervals at most.
class RunClock {
 public:
  static constexpr std::size_t kIntervals = 10'000;

  explicit RunClock(DurationMs keep_ms = 0) : keep_ms_(keep_ms) {}

  // It ran from `from` until `to`.
  void Add(TimeMs from, TimeMs to);
  // The latest moment since which it has run for `length` (0 < length <= keep_ms) until `now`;
  // none: it has not yet. Besides what was added it runs since `running_since`, if that is given.
  std::optional<TimeMs> RanSince(DurationMs length, TimeMs now,
                                 std::optional<TimeMs> running_since) const;
  std::size_t size() const { return intervals_.size(); }

 private:
  DurationMs keep_ms_ = 0;
  DurationMs total_ms_ = 0;
  std::map<TimeMs, TimeMs> intervals_;  // end by start
};

}  // namespace kezek::quota
