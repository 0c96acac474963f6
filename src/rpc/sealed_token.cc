#include "rpc/sealed_token.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <memory>

#include "kezek/base64url.h"
#include "kezek/check.h"

namespace kezek::rpc {
namespace {

constexpr std::size_t kNonce = 12;
constexpr std::size_t kTag = 16;
constexpr std::size_t kLongest = 4096;
using Context = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* Bytes(std::string* text) { return reinterpret_cast<unsigned char*>(text->data()); }

}  // namespace

TokenSealer::TokenSealer() {
  KEZEK_CHECK(RAND_bytes(key_.data(), static_cast<int>(key_.size())) == 1,
              "the system's random generator failed");
}

std::string TokenSealer::Seal(std::string_view content, const Sha256& request) const {
  std::string sealed(kNonce + content.size() + kTag, '\0');
  int length = 0;
  const Context context(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  const bool done =
      context != nullptr && RAND_bytes(Bytes(&sealed), static_cast<int>(kNonce)) == 1 &&
      EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, key_.data(), Bytes(sealed)) ==
          1 &&
      EVP_EncryptUpdate(context.get(), nullptr, &length, request.data(),
                        static_cast<int>(request.size())) == 1 &&
      EVP_EncryptUpdate(context.get(), Bytes(&sealed) + kNonce, &length, Bytes(content),
                        static_cast<int>(content.size())) == 1 &&
      EVP_EncryptFinal_ex(context.get(), Bytes(&sealed) + kNonce + content.size(), &length) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, static_cast<int>(kTag),
                          Bytes(&sealed) + kNonce + content.size()) == 1;
  KEZEK_CHECK(done, "sealing a page token failed");
  return ToBase64Url(sealed);
}

std::optional<std::string> TokenSealer::Open(std::string_view token, const Sha256& request) const {
  if (token.size() > kLongest) return std::nullopt;
  auto sealed = FromBase64Url(token);
  if (!sealed || sealed->size() < kNonce + kTag) return std::nullopt;
  std::string content(sealed->size() - kNonce - kTag, '\0');
  unsigned char rest[kTag] = {};
  int length = 0;
  const Context context(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  const bool done =
      context != nullptr &&
      EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, key_.data(), Bytes(*sealed)) ==
          1 &&
      EVP_DecryptUpdate(context.get(), nullptr, &length, request.data(),
                        static_cast<int>(request.size())) == 1 &&
      EVP_DecryptUpdate(context.get(), Bytes(&content), &length, Bytes(*sealed) + kNonce,
                        static_cast<int>(content.size())) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, static_cast<int>(kTag),
                          Bytes(&*sealed) + kNonce + content.size()) == 1 &&
      EVP_DecryptFinal_ex(context.get(), rest, &length) == 1;
  if (!done) return std::nullopt;
  return content;
}

}  // namespace kezek::rpc
