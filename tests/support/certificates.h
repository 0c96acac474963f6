// Certificates made on the spot: an authority and what it signs, as PEM files.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kezek/tls.h"

namespace kezek::test {

// What a certificate says.
struct Subject {
  std::string common_name = "kezek test";
  std::vector<std::string> names;  // "DNS:localhost", "IP:127.0.0.1"
  std::int64_t from_s = -3600;     // it holds from and until then, seconds from now
  std::int64_t until_s = 24 * 3600;
};

// A key pair with a certificate signed by itself, which may sign others.
class Authority {
 public:
  explicit Authority(const std::string& common_name);
  ~Authority();
  Authority(const Authority&) = delete;
  Authority& operator=(const Authority&) = delete;

  const std::string& pem() const { return pem_; }
  // Writes FOLDER/NAME.crt and FOLDER/NAME.key, whole or not at all, over what is there.
  TlsFiles Issue(const std::string& folder, const std::string& name, const Subject& subject) const;

 private:
  struct Parts;
  Parts* parts_;
  std::string pem_;
};

// Writes a file that its owner alone may read, whole or not at all.
void WriteSecretFile(const std::string& path, const std::string& text);

}  // namespace kezek::test
