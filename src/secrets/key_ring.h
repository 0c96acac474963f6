// Keys of a file, and AES-256-GCM with them.
//
// The file has one key a line, `NAME HEX`: a name of up to 63 letters, digits, dots, dashes and
// underscores, and 64 hexadecimal digits. Blank lines and lines with # in front are comments. The
// last key is the newest: it seals, all of them open.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "kezek/cipher.h"
#include "kezek/result.h"

namespace kezek::secrets {

class KeyRing final : public Cipher {
 public:
  // NOT_FOUND: unreadable. INVALID_ARGUMENT: others than the owner may read it, a line is no key, a
  // name is there twice, or there is none. Messages begin with the path and never hold a key.
  static Result<std::shared_ptr<const KeyRing>> Load(const std::string& path);
  // The same of the file's text; `path` is for messages.
  static Result<std::shared_ptr<const KeyRing>> Parse(std::string_view text,
                                                      const std::string& path);

  // The bytes are a random nonce of 96 bits, the ciphertext, and a tag of 128 bits over it, the
  // context and the key's name.
  Sealed Seal(std::string_view plain, std::string_view context) const override;
  Result<std::string> Open(const Sealed& sealed, std::string_view context) const override;
  const std::string& newest() const override { return newest_; }
  const std::map<std::string, std::string>& fingerprints() const override { return fingerprints_; }

 private:
  using Key = std::array<std::uint8_t, 32>;
  KeyRing() = default;
  std::map<std::string, Key> keys_;
  std::map<std::string, std::string> fingerprints_;
  std::string newest_;
};

}  // namespace kezek::secrets
