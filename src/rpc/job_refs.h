// Jobs named in text, `48211`, `48211_7`, `48211_[3-9,12]`, and indices of arrays, `1,3,8-20:4`.
// Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kezek/bounds.h"
#include "kezek/ids.h"
#include "kezek/job.h"
#include "kezek/result.h"

namespace kezek::rpc {

inline constexpr std::int32_t kIndexMax = 4'000'000;  // of an element
inline constexpr std::size_t kRefsMax = 1000;         // of one request

// A job, an array or one element. INVALID_ARGUMENT FIELD_INVALID.
Result<JobRef> ParseJob(std::string_view text, const std::string& field);

// Appends what one text names: an element for each index of a range, in order. INVALID_ARGUMENT
// FIELD_INVALID; TOO_MANY if `refs` would hold more than kElementsMost.
Result<void> ParseJobs(std::string_view text, const std::string& field, std::vector<JobRef>* refs);

// Indices as Slurm writes them, as ascending disjoint ranges, each index once. INVALID_ARGUMENT
// FIELD_INVALID: empty, not numbers, above kIndexMax, more than kElementsMost.
Result<std::vector<IndexRange>> ParseIndices(std::string_view text, const std::string& field);

// The way back: `0-99`, `1,3,8-20:4`.
std::string FormatIndices(const std::vector<IndexRange>& ranges);

}  // namespace kezek::rpc
