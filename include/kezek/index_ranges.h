// Sets of array indices as ascending, disjoint ranges with a step: ten thousand pending elements
// are one line. Pure functions.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kezek/job.h"

namespace kezek {

// At least 1.
inline std::int32_t StepOf(const IndexRange& range) { return std::max(range.step, 1); }

inline bool ContainsIndex(const IndexRange& range, std::int32_t index) {
  return index >= range.first && index <= range.last && (index - range.first) % StepOf(range) == 0;
}

inline bool ContainsIndex(const std::vector<IndexRange>& ranges, std::int32_t index) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [index](const IndexRange& range) { return ContainsIndex(range, index); });
}

inline std::int64_t CountIndices(const std::vector<IndexRange>& ranges) {
  std::int64_t count = 0;
  for (const IndexRange& range : ranges) {
    if (range.last < range.first) continue;
    count += (static_cast<std::int64_t>(range.last) - range.first) / StepOf(range) + 1;
  }
  return count;
}

// The first `count` of them, ascending.
inline std::vector<std::int32_t> FirstIndices(const std::vector<IndexRange>& ranges,
                                              std::int64_t count) {
  std::vector<std::int32_t> result;
  for (const IndexRange& range : ranges) {
    for (std::int64_t index = range.first; index <= range.last; index += StepOf(range)) {
      if (std::ssize(result) >= count) return result;
      result.push_back(static_cast<std::int32_t>(index));
    }
  }
  return result;
}

// Without `index`; a range it was in the middle of becomes two. Not there: unchanged.
inline std::vector<IndexRange> WithoutIndex(const std::vector<IndexRange>& ranges,
                                            std::int32_t index) {
  std::vector<IndexRange> result;
  for (const IndexRange& range : ranges) {
    if (!ContainsIndex(range, index)) {
      result.push_back(range);
      continue;
    }
    const std::int32_t step = StepOf(range);
    if (index - step >= range.first) result.push_back({range.first, index - step, range.step});
    // The last index that is in the range: the next one would lie beyond `last`.
    if (range.last - index >= step) result.push_back({index + step, range.last, range.step});
  }
  return result;
}

}  // namespace kezek
