// Whether what an error calls a field is one.
#pragma once

#include <google/protobuf/descriptor.h>

#include <string_view>

namespace kezek {

// `spec.shape.nodes`, `tokens[3].label`, `shares[h200].weight_milli`: a path of fields from a
// message downwards, every step one of that message's own names; an index only behind a repeated
// field, a key only behind a map. An empty path is none.
bool IsFieldPath(const google::protobuf::Descriptor& message, std::string_view path);

}  // namespace kezek
