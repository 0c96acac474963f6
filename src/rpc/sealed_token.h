// Page tokens that say nothing to who holds them: sealed with a key of this process, and bound to
// the request they came from.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kezek/user.h"

namespace kezek::rpc {

// AES-256-GCM; thread-safe. After a restart of the process its tokens open no more.
class TokenSealer {
 public:
  TokenSealer();
  // Text of base64url's alphabet. `request` is what the token belongs to.
  std::string Seal(std::string_view content, const Sha256& request) const;
  // None: not sealed here, or for another request.
  std::optional<std::string> Open(std::string_view token, const Sha256& request) const;

 private:
  std::array<unsigned char, 32> key_{};
};

}  // namespace kezek::rpc
