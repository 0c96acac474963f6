#include "cmd/kezekd/tls_check.h"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>

namespace kezek::kezekd {
namespace {

template <auto kFree>
struct Freed {
  template <class T>
  void operator()(T* value) const {
    kFree(value);
  }
};
using File = std::unique_ptr<std::FILE, Freed<std::fclose>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;

Error Wrong(const char* field, const std::string& message) {
  return FieldProblem(Code::kInvalidArgument, {field, "FIELD_INVALID", message, {}});
}

// No prompt: a key with a passphrase is refused.
int NoPassphrase(char*, int, int, void*) { return -1; }

Result<File> Open(const char* field, const std::string& path) {
  File file(std::fopen(path.c_str(), "re"));
  if (!file) return Wrong(field, path + " cannot be read: " + std::strerror(errno));
  return file;
}

Result<Certificate> ReadCertificate(const char* field, const std::string& path) {
  auto file = Open(field, path);
  if (!file) return file.error();
  Certificate certificate(PEM_read_X509(file->get(), nullptr, NoPassphrase, nullptr));
  if (!certificate) return Wrong(field, path + " has no certificate in PEM form");
  return certificate;
}

Result<Key> ReadKey(const char* field, const std::string& path) {
  auto file = Open(field, path);
  if (!file) return file.error();
  struct stat status {};
  if (fstat(fileno(file->get()), &status) == 0 && (status.st_mode & S_IRWXO) != 0) {
    return Wrong(field, path + " is a private key that every user of this host may read: chmod o=");
  }
  Key key(PEM_read_PrivateKey(file->get(), nullptr, NoPassphrase, nullptr));
  if (!key) return Wrong(field, path + " has no private key in PEM form without a passphrase");
  return key;
}

std::string Day(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return "a day that cannot be read";
  std::string text(16, '\0');
  text.resize(std::strftime(text.data(), text.size(), "%Y-%m-%d", &parts));
  return text;
}

}  // namespace

Result<void> CheckTls(const TlsFiles& files, TimeMs now) {
  if (files.empty()) return {};
  const auto certificate = ReadCertificate("tls.certificate", files.certificate_file);
  if (!certificate) return certificate.error();
  const auto key = ReadKey("tls.key", files.key_file);
  if (!key) return key.error();
  if (X509_check_private_key(certificate->get(), key->get()) != 1) {
    return Wrong("tls.key",
                 files.key_file + " is not the key of the certificate " + files.certificate_file);
  }
  std::time_t seconds = now / 1000;
  const ASN1_TIME* from = X509_get0_notBefore(certificate->get());
  const ASN1_TIME* until = X509_get0_notAfter(certificate->get());
  if (X509_cmp_time(from, &seconds) > 0) {
    return Wrong("tls.certificate", files.certificate_file + " holds only from " + Day(from) +
                                        " on: is this host's clock right?");
  }
  if (X509_cmp_time(until, &seconds) < 0) {
    return Wrong("tls.certificate", files.certificate_file + " expired on " + Day(until));
  }
  if (files.client_ca_file.empty()) return {};
  const auto authority = ReadCertificate("tls.client_ca", files.client_ca_file);
  if (!authority) return authority.error();
  return {};
}

}  // namespace kezek::kezekd
