#include "rpc/tokens.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <array>

#include "kezek/base64url.h"

namespace kezek::rpc {

Result<std::string> MakeSecret() {
  std::array<unsigned char, 32> random{};
  if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1) {
    return Error{Code::kInternal, "the system's random generator failed", {}};
  }
  return "kzk_" + ToBase64Url({reinterpret_cast<const char*>(random.data()), random.size()});
}

Sha256 HashBytes(std::string_view bytes) {
  // Kept for the process: to find it costs OpenSSL more than to hash a token with it.
  static EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  Sha256 hash{};
  unsigned length = 0;
  const int done = EVP_Digest(bytes.data(), bytes.size(), hash.data(), &length, sha256, nullptr);
  KEZEK_CHECK(done == 1 && length == hash.size(), "SHA-256 is not available");
  return hash;
}

Sha256 HashToken(std::string_view secret) { return HashBytes(secret); }

}  // namespace kezek::rpc
