// The installation's key, and the keyed hash that tags of attempts are made with.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "kezek/result.h"

namespace kezek::kezekd {

// HMAC-SHA-256 with the key in the file, as hex. NOT_FOUND: unreadable; INVALID_ARGUMENT: shorter
// than 32 bytes, or readable by others than its owner.
Result<std::function<std::string(std::string_view)>> LoadKeyedHash(const std::string& key_file);

}  // namespace kezek::kezekd
