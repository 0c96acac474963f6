#include "tests/support/certificates.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <cstdio>
#include <fstream>
#include <memory>

#include "kezek/check.h"

namespace kezek::test {
namespace {

template <auto kFree>
struct Freed {
  template <class T>
  void operator()(T* value) const {
    kFree(value);
  }
};
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;

template <class Write>
std::string Pem(const Write& write) {
  const std::unique_ptr<BIO, Freed<BIO_free>> memory(BIO_new(BIO_s_mem()));
  KEZEK_CHECK(write(memory.get()) == 1, "PEM");
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &data);
  return std::string(data, static_cast<std::size_t>(size));
}

std::string PemOf(X509* certificate) {
  return Pem([&](BIO* out) { return PEM_write_bio_X509(out, certificate); });
}

void Extend(X509* certificate, X509* issuer, int what, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION_free>> extension(
      X509V3_EXT_conf_nid(nullptr, &context, what, value.c_str()));
  KEZEK_CHECK(extension && X509_add_ext(certificate, extension.get(), -1) == 1, value);
}

Certificate Draft(EVP_PKEY* key, const Subject& subject) {
  Certificate certificate(X509_new());
  X509* raw = certificate.get();
  X509_set_version(raw, 2);
  std::int64_t serial = 0;
  RAND_bytes(reinterpret_cast<unsigned char*>(&serial), 7);
  ASN1_INTEGER_set_int64(X509_get_serialNumber(raw), serial);
  X509_gmtime_adj(X509_getm_notBefore(raw), subject.from_s);
  X509_gmtime_adj(X509_getm_notAfter(raw), subject.until_s);
  X509_set_pubkey(raw, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(raw), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(subject.common_name.c_str()),
                             -1, -1, 0);
  return certificate;
}

}  // namespace

struct Authority::Parts {
  Key key;
  Certificate certificate;
};

Authority::Authority(const std::string& common_name)
    : parts_(new Parts{Key(EVP_EC_gen("P-256")), {}}) {
  EVP_PKEY* key = parts_->key.get();
  parts_->certificate = Draft(key, {.common_name = common_name, .names = {}});
  X509* raw = parts_->certificate.get();
  X509_set_issuer_name(raw, X509_get_subject_name(raw));
  Extend(raw, raw, NID_basic_constraints, "critical,CA:TRUE");
  Extend(raw, raw, NID_key_usage, "critical,keyCertSign,cRLSign");
  Extend(raw, raw, NID_subject_key_identifier, "hash");
  KEZEK_CHECK(X509_sign(raw, key, EVP_sha256()) > 0, "signing");
  pem_ = PemOf(raw);
}

Authority::~Authority() { delete parts_; }

TlsFiles Authority::Issue(const std::string& folder, const std::string& name,
                          const Subject& subject) const {
  const Key key(EVP_EC_gen("P-256"));
  const Certificate certificate = Draft(key.get(), subject);
  X509* raw = certificate.get();
  X509* issuer = parts_->certificate.get();
  X509_set_issuer_name(raw, X509_get_subject_name(issuer));
  std::string names;
  for (const auto& one : subject.names) names += (names.empty() ? "" : ",") + one;
  if (!names.empty()) Extend(raw, issuer, NID_subject_alt_name, names);
  KEZEK_CHECK(X509_sign(raw, parts_->key.get(), EVP_sha256()) > 0, "signing");
  TlsFiles files{folder + "/" + name + ".crt", folder + "/" + name + ".key", ""};
  WriteSecretFile(files.key_file, Pem([&](BIO* out) {
                    return PEM_write_bio_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr,
                                                    nullptr);
                  }));
  WriteSecretFile(files.certificate_file, PemOf(raw));
  return files;
}

void WriteSecretFile(const std::string& path, const std::string& text) {
  const std::string draft = path + ".new";
  std::ofstream(draft) << text;
  KEZEK_CHECK(chmod(draft.c_str(), 0600) == 0, draft);
  KEZEK_CHECK(std::rename(draft.c_str(), path.c_str()) == 0, path);
}

}  // namespace kezek::test
