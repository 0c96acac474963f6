// What a server proves itself with, and whom it asks to do so too. One value for every address
// that is listened on.
#pragma once

#include <string>

namespace kezek {

// Paths of PEM files. Whoever listens reads them again when they change; a certificate and its key
// are replaced together, best as a folder behind a symbolic link.
struct TlsFiles {
  std::string certificate_file;  // the server's own, then what leads to its authority
  std::string key_file;          // of the certificate
  std::string client_ca_file;    // not empty: clients must show a certificate of these authorities
  bool empty() const { return certificate_file.empty(); }
  bool operator==(const TlsFiles&) const = default;
};

}  // namespace kezek
