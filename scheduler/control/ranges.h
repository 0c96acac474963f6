// Sets of array indices as ascending, disjoint ranges with a step: ten thousand pending elements
// are one line. Pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "kezek/job.h"

namespace kezek::control {

std::int64_t CountIndices(const std::vector<IndexRange>& ranges);
bool ContainsIndex(const std::vector<IndexRange>& ranges, std::int32_t index);
// The first `count` of them, ascending.
std::vector<std::int32_t> FirstIndices(const std::vector<IndexRange>& ranges, std::int64_t count);
// Without `index`; a range it was in the middle of becomes two. Not there: unchanged.
std::vector<IndexRange> WithoutIndex(const std::vector<IndexRange>& ranges, std::int32_t index);

}  // namespace kezek::control
