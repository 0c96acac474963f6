#include "secrets/key_ring.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <optional>
#include <sstream>
#include <utility>

#include "kezek/check.h"
#include "kezek/secret_file.h"

namespace kezek::secrets {
namespace {

constexpr std::size_t kNonce = 12;
constexpr std::size_t kTag = 16;

using Context = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* Bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

int Size(std::string_view text) { return static_cast<int>(text.size()); }

// What the tag covers besides the ciphertext: with lengths, so that no two say the same.
std::string Covered(const std::string& key, std::string_view context) {
  return std::to_string(key.size()) + ":" + key + std::string(context);
}

std::optional<unsigned> Digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10;
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A') + 10;
  return std::nullopt;
}

bool IsName(std::string_view name) {
  return !name.empty() && name.size() <= 63 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
  });
}

template <typename Key>
std::optional<Key> ReadKey(std::string_view hex) {
  Key key{};
  if (hex.size() != 2 * key.size()) return std::nullopt;
  for (std::size_t i = 0; i < key.size(); ++i) {
    const auto high = Digit(hex[2 * i]);
    const auto low = Digit(hex[2 * i + 1]);
    if (!high || !low) return std::nullopt;
    key.at(i) = static_cast<std::uint8_t>(*high << 4U | *low);
  }
  return key;
}

template <typename Key>
std::string Fingerprint(const Key& key) {
  constexpr std::string_view kText = "kezek fingerprint of a key";
  constexpr std::string_view kHex = "0123456789abcdef";
  std::array<unsigned char, EVP_MAX_MD_SIZE> hash{};
  unsigned length = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), Bytes(kText), kText.size(),
       hash.data(), &length);
  std::string text;
  for (std::size_t i = 0; i < 16; ++i) {
    text += kHex[hash.at(i) >> 4U];
    text += kHex[hash.at(i) & 15U];
  }
  return text;
}

}  // namespace

Result<std::shared_ptr<const KeyRing>> KeyRing::Load(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  struct stat info {};
  if (!file || stat(path.c_str(), &info) != 0) {
    return Error{Code::kNotFound, path + " cannot be read", {}};
  }
  const auto secret = CheckSecretMode(path, info.st_mode);
  if (!secret) return secret.error();
  return Parse(text.str(), path);
}

Result<std::shared_ptr<const KeyRing>> KeyRing::Parse(std::string_view text,
                                                      const std::string& path) {
  const std::shared_ptr<KeyRing> ring(new KeyRing());
  std::istringstream lines{std::string(text)};
  int number = 0;
  const auto bad = [&](const std::string& what) {
    return Error{
        Code::kInvalidArgument, path + " line " + std::to_string(number) + ": " + what, {}};
  };
  for (std::string line; std::getline(lines, line);) {
    ++number;
    std::istringstream words(line);
    std::string name;
    std::string hex;
    std::string more;
    words >> name >> hex >> more;
    if (name.empty() || name.starts_with('#')) continue;
    const auto key = ReadKey<Key>(hex);
    if (!IsName(name) || !key || !more.empty()) {
      return bad(
          "expected a key's name and 64 hexadecimal digits, such as "
          "`k1 $(openssl rand -hex 32)` gives");
    }
    if (!ring->keys_.emplace(name, *key).second) return bad("the key's name is there twice");
    ring->fingerprints_[name] = Fingerprint(*key);
    ring->newest_ = name;
  }
  if (ring->keys_.empty()) return Error{Code::kInvalidArgument, path + " holds no key", {}};
  return std::shared_ptr<const KeyRing>(ring);
}

Sealed KeyRing::Seal(std::string_view plain, std::string_view context) const {
  const std::string covered = Covered(newest_, context);
  std::string sealed(kNonce + plain.size() + kTag, '\0');
  unsigned char* nonce = Bytes(sealed);
  unsigned char* body = nonce + kNonce;
  const Context work(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  int written = 0;
  const bool done =
      work != nullptr && RAND_bytes(nonce, kNonce) == 1 &&
      EVP_EncryptInit_ex(work.get(), EVP_aes_256_gcm(), nullptr, keys_.at(newest_).data(), nonce) ==
          1 &&
      EVP_EncryptUpdate(work.get(), nullptr, &written, Bytes(covered), Size(covered)) == 1 &&
      EVP_EncryptUpdate(work.get(), body, &written, Bytes(plain), Size(plain)) == 1 &&
      EVP_EncryptFinal_ex(work.get(), body + written, &written) == 1 &&
      EVP_CIPHER_CTX_ctrl(work.get(), EVP_CTRL_GCM_GET_TAG, kTag, body + plain.size()) == 1;
  KEZEK_CHECK(done, "OpenSSL encrypts");
  return {newest_, std::move(sealed)};
}

Result<std::string> KeyRing::Open(const Sealed& sealed, std::string_view context) const {
  const auto key = keys_.find(sealed.key);
  if (key == keys_.end()) return Error{Code::kNotFound, "no key '" + sealed.key + "'", {}};
  const Error damaged{Code::kDataLoss, "cannot be opened with key '" + sealed.key + "'", {}};
  if (sealed.bytes.size() < kNonce + kTag) return damaged;
  const std::string covered = Covered(sealed.key, context);
  const unsigned char* nonce = Bytes(sealed.bytes);
  const std::size_t length = sealed.bytes.size() - kNonce - kTag;
  std::string tag = sealed.bytes.substr(kNonce + length);
  std::string plain(length, '\0');
  const Context work(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  int written = 0;
  const bool opened =
      work != nullptr &&
      EVP_DecryptInit_ex(work.get(), EVP_aes_256_gcm(), nullptr, key->second.data(), nonce) == 1 &&
      EVP_DecryptUpdate(work.get(), nullptr, &written, Bytes(covered), Size(covered)) == 1 &&
      EVP_DecryptUpdate(work.get(), Bytes(plain), &written, nonce + kNonce,
                        static_cast<int>(length)) == 1 &&
      EVP_CIPHER_CTX_ctrl(work.get(), EVP_CTRL_GCM_SET_TAG, kTag, Bytes(tag)) == 1 &&
      EVP_DecryptFinal_ex(work.get(), Bytes(plain) + written, &written) == 1;
  if (!opened) return damaged;
  return plain;
}

}  // namespace kezek::secrets
