// Port to what keeps users' environments from whoever reads only the database.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "kezek/result.h"

namespace kezek {

// Bytes, and the name of the key that opens them.
struct Sealed {
  std::string key;
  std::string bytes;
};

// Immutable; any thread.
class Cipher {
 public:
  virtual ~Cipher() = default;
  // With the newest key. `context` says what the bytes belong to and has to be given again, the
  // same, to open them.
  virtual Sealed Seal(std::string_view plain, std::string_view context) const = 0;
  // NOT_FOUND: no such key. DATA_LOSS: sealed with another key or context, or changed since.
  virtual Result<std::string> Open(const Sealed& sealed, std::string_view context) const = 0;
  // The name of the key that Seal uses.
  virtual const std::string& newest() const = 0;
  // All keys by name, each with a text that is another for another key and does not tell it.
  virtual const std::map<std::string, std::string>& fingerprints() const = 0;
};

}  // namespace kezek
