// Values that are stored as JSON, in jsonb columns.
//
// A member that is empty, zero, false or its enumeration's first is left out, and what is missing
// is read as that, never as the struct's default: a default that changes later must not change
// what an old row means. Pure; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kezek/account.h"
#include "kezek/job.h"
#include "kezek/reason.h"
#include "kezek/resources.h"
#include "kezek/result.h"
#include "kezek/user.h"

namespace kezek::postgres {

using TextMap = std::map<std::string, std::string>;
using TextList = std::vector<std::string>;
using IndexRanges = std::vector<IndexRange>;
using AttemptRefs = std::vector<AttemptRef>;

// For JobSpec, Shape, Reason, Placement, AttemptRefs, IndexRanges, AccountSettings, TokenLimits,
// TextMap, TextList.

// As storable (array_literal.h) as the texts in the value: a byte of theirs that cannot be stored
// stands in it as it is.
template <class T>
std::string Encode(const T& value);

// DATA_LOSS: not what Encode writes (wrong type, unknown name, unknown member).
template <class T>
Result<T> Decode(std::string_view json);

}  // namespace kezek::postgres
