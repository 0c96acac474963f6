// Bearer tokens: 256 random bits, shown once, kept as a hash.
#pragma once

#include <string>
#include <string_view>

#include "kezek/ids.h"
#include "kezek/result.h"
#include "kezek/user.h"

namespace kezek::rpc {

// A new secret, "kzk_" and 43 characters of base64url: 256 bits of the system's generator.
// INTERNAL: the generator failed.
Result<std::string> MakeSecret();

// SHA-256 of the secret as text.
Sha256 HashToken(std::string_view secret);

// SHA-256 of any bytes.
Sha256 HashBytes(std::string_view bytes);

}  // namespace kezek::rpc
