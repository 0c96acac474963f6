#include "cmd/kezekd/keyed_hash.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/stat.h>

#include <array>
#include <fstream>
#include <sstream>

#include "kezek/secret_file.h"

namespace kezek::kezekd {
namespace {

std::string Hex(const unsigned char* bytes, unsigned length) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (unsigned i = 0; i < length; ++i) {
    text += kDigits[bytes[i] >> 4U];
    text += kDigits[bytes[i] & 15U];
  }
  return text;
}

}  // namespace

Result<std::function<std::string(std::string_view)>> LoadKeyedHash(const std::string& key_file) {
  std::ifstream file(key_file, std::ios::binary);
  std::stringstream bytes;
  bytes << file.rdbuf();
  const std::string key = bytes.str();
  struct stat info {};
  if (!file || stat(key_file.c_str(), &info) != 0) {
    return Error{Code::kNotFound, "tag_key_file: " + key_file + " cannot be read", {}};
  }
  if (key.size() < 32) {
    return Error{Code::kInvalidArgument,
                 "tag_key_file: " + key_file + " must hold at least 32 random bytes",
                 {}};
  }
  const auto secret = CheckSecretMode("tag_key_file: " + key_file, info.st_mode);
  if (!secret) return secret.error();
  return std::function<std::string(std::string_view)>([key](std::string_view text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> hash{};
    unsigned length = 0;
    HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
         reinterpret_cast<const unsigned char*>(text.data()), text.size(), hash.data(), &length);
    return Hex(hash.data(), length);
  });
}

}  // namespace kezek::kezekd
