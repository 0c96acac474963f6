// Files that hold secrets: keys and tokens. Kezek's own Unix user alone may read them.
#pragma once

#include <cstdint>
#include <string>

#include "kezek/result.h"

namespace kezek {

// INVALID_ARGUMENT, beginning with the path: this mode lets others at the file.
inline Result<void> CheckSecretMode(const std::string& path, std::uint32_t mode) {
  if ((mode & 077U) == 0) return {};
  return Error{Code::kInvalidArgument, path + " can be read by others: chmod 600 it", {}};
}

}  // namespace kezek
