// Numbers of the API as people write them: `guarantee_gpus: 1.5` for `guarantee_milli_gpus: 1500`.
// Pure.
#pragma once

#include <google/protobuf/descriptor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "kezek/result.h"

namespace kezek::cli {

// The field of a message that a name without its unit stands for; null if there is none.
const google::protobuf::FieldDescriptor* FieldWithoutUnit(
    const google::protobuf::Descriptor& message, const std::string& name);

// The value of such a field: GPUs, weights and GPU-hours with at most three decimals, `40%`, `12h`,
// `2027-01-01` or `2027-01-01T08:00:00` in UTC. INVALID_ARGUMENT with what was expected.
Result<std::int64_t> ValueWithoutUnit(const google::protobuf::FieldDescriptor& field,
                                      const std::string& text);

// Name and value as a person would write them, such that they are read back as the same; the API's
// own name and number where there is no such form.
std::pair<std::string, std::string> WithoutUnit(const google::protobuf::FieldDescriptor& field,
                                                std::int64_t value);

}  // namespace kezek::cli
