// TLS: what a server proves itself with, and where plain text is nobody else's to read.
#pragma once

#include <string>

namespace kezek {

// What a server shows, and whom it asks to do so too: one value for every address that is listened
// on. Paths of PEM files. Whoever listens reads them again when they change; a certificate and its
// key are replaced together, best as a folder behind a symbolic link.
struct TlsFiles {
  std::string certificate_file;  // the server's own, then what leads to its authority
  std::string key_file;          // of the certificate
  std::string client_ca_file;    // not empty: clients must show a certificate of these authorities
  bool empty() const { return certificate_file.empty(); }
  bool operator==(const TlsFiles&) const = default;
};

// Whether only this host can reach what listens there, or reaches no further when it connects:
// "127.0.0.1:7443", "[::1]:7443", "localhost:7443", "unix:/run/kezek.sock".
inline bool IsLoopback(const std::string& address) {
  if (address.starts_with("unix:")) return true;
  const std::string host = address.substr(0, address.rfind(':'));
  if (host == "localhost" || host == "[::1]") return true;
  // 127.0.0.0/8 written out; anything else that begins so is a name, and may be anybody's.
  return host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string::npos;
}

}  // namespace kezek
