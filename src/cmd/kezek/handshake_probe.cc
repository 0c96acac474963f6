// A handshake of its own that looks at what gRPC keeps to itself.
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>

#include <chrono>
#include <ctime>
#include <memory>
#include <string>

#include "cmd/kezek/handshake.h"

namespace kezek::cli {
namespace {

using Steady = std::chrono::steady_clock;
constexpr auto kProbePatience = std::chrono::seconds(3);

template <auto kFree>
struct Freed {
  template <class T>
  void operator()(T* value) const {
    kFree(value);
  }
};
using Settings = std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>>;
using Connection = std::unique_ptr<SSL, Freed<SSL_free>>;
using OwnedBio = std::unique_ptr<BIO, Freed<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;

void Trust(SSL_CTX* settings, const std::string& pem) {
  const OwnedBio memory(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  for (;;) {
    const Certificate one(PEM_read_bio_X509(memory.get(), nullptr, nullptr, nullptr));
    if (!one) break;
    X509_STORE_add_cert(SSL_CTX_get_cert_store(settings), one.get());
  }
  ERR_clear_error();
}

// Waits until the connection can go on; false: not in time.
bool Await(BIO* connection, bool to_write, Steady::time_point until) {
  int descriptor = -1;
  if (BIO_get_fd(connection, &descriptor) < 0) return false;
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Steady::now());
  if (left.count() <= 0) return false;
  pollfd waits{descriptor, static_cast<short>(to_write ? POLLOUT : POLLIN), 0};
  return poll(&waits, 1, static_cast<int>(left.count())) > 0;
}

// Repeats one operation of TLS until it is done or fails; SSL_ERROR_NONE once it is done.
template <class Operation>
int Finish(SSL* tls, BIO* connection, Steady::time_point until, const Operation& operation) {
  for (;;) {
    ERR_clear_error();
    const int result = operation();
    const int error = result > 0 ? SSL_ERROR_NONE : SSL_get_error(tls, result);
    const bool waits = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
    if (!waits || !Await(connection, error == SSL_ERROR_WANT_WRITE, until)) return error;
  }
}

std::string Day(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return "an unknown day";
  std::string text(16, '\0');
  text.resize(std::strftime(text.data(), text.size(), "%Y-%m-%d", &parts));
  return text;
}

std::string Text(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<std::size_t>(ASN1_STRING_length(text))};
}

std::string CommonName(const X509_NAME* name) {
  const int place = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (place < 0) return "somebody without a name";
  return Text(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, place)));
}

// "gpu.example.kz, 10.0.0.5": what the certificate is for.
std::string NamesOf(const X509* certificate) {
  std::string names;
  auto* all = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; all != nullptr && i < sk_GENERAL_NAME_num(all); ++i) {
    int kind = 0;
    const auto* value = static_cast<const ASN1_STRING*>(
        GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(all, i), &kind));
    std::string name;
    if (kind == GEN_DNS) name = Text(value);
    if (kind == GEN_IPADD && ASN1_STRING_length(value) == 4) {
      for (const char byte : Text(value)) {
        name += (name.empty() ? "" : ".") + std::to_string(static_cast<unsigned char>(byte));
      }
    }
    if (!name.empty()) names += (names.empty() ? "" : ", ") + name;
  }
  GENERAL_NAMES_free(all);
  return names.empty() ? CommonName(X509_get_subject_name(certificate)) : names;
}

std::string OfCertificate(const Context& context, const std::string& name, X509* certificate,
                          long verdict) {
  switch (verdict) {
    case X509_V_OK:
      return "";
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "its certificate expired on " + Day(X509_get0_notAfter(certificate)) +
             "\nTell an administrator. If it has not, this host's clock is wrong";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "its certificate holds only from " + Day(X509_get0_notBefore(certificate)) +
             " on: is this host's clock right?";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return "its certificate is for " + NamesOf(certificate) + ", not for " + name +
             "\nConnect to a name it is for, or say which to expect: kezek login --server-name "
             "NAME";
    default:
      return "its certificate is signed by " + CommonName(X509_get_issuer_name(certificate)) +
             ", whom " + (context.ca_file.empty() ? "this host" : context.ca_file) +
             " does not know\nAsk an administrator for the authority's file: kezek login " +
             "--ca-file FILE";
  }
}

// Noted when the server asks for a certificate.
int NoteAsked(SSL*, void* asked) {
  *static_cast<bool*>(asked) = true;
  return 1;
}

// A server that asked for a certificate and then hung up, with an alert or without.
std::string OfClientCertificate(const Context& context) {
  if (context.client_certificate.empty()) {
    return "it asks for a client certificate\nkezek login --client-certificate FILE --client-key "
           "FILE";
  }
  return "it does not accept the client certificate " + context.client_certificate;
}

// Host of the endpoint, without brackets.
std::string HostOf(const std::string& endpoint) {
  std::string host = endpoint.substr(0, endpoint.rfind(':'));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return host;
}

Settings SettingsOf(const Context& context, bool secure, bool* asked) {
  Settings settings(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_verify(settings.get(), SSL_VERIFY_NONE, nullptr);  // judged afterwards
  constexpr unsigned char kHttp2[] = {2, 'h', '2'};
  SSL_CTX_set_alpn_protos(settings.get(), kHttp2, sizeof kHttp2);
  SSL_CTX_set_cert_cb(settings.get(), NoteAsked, asked);
  if (!secure) return settings;
  if (const auto pem = Authorities(context)) Trust(settings.get(), *pem);
  if (!context.client_certificate.empty()) {
    SSL_CTX_use_certificate_chain_file(settings.get(), context.client_certificate.c_str());
    SSL_CTX_use_PrivateKey_file(settings.get(), context.client_key.c_str(), SSL_FILETYPE_PEM);
  }
  return settings;
}

}  // namespace

std::string WhyNoHandshake(const Context& context) {
  if (context.endpoint.starts_with("unix:")) return "";
  const bool secure = UsesTls(context);
  const auto until = Steady::now() + kProbePatience;
  bool asked = false;
  const Settings settings = SettingsOf(context, secure, &asked);
  std::string name = context.server_name.empty() ? HostOf(context.endpoint) : context.server_name;
  BIO* connection = BIO_new_connect(context.endpoint.c_str());
  OwnedBio owned(connection);
  BIO_set_nbio(connection, 1);
  while (BIO_do_connect(connection) <= 0) {
    if (!BIO_should_retry(connection) || !Await(connection, true, until)) return "";
  }
  const Connection tls(SSL_new(settings.get()));
  SSL_set_bio(tls.get(), owned.get(), owned.get());
  (void)owned.release();
  if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls.get()), name.c_str()) != 1) {
    SSL_ctrl(tls.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name.data());
    SSL_set1_host(tls.get(), name.c_str());
  }
  const int ended = Finish(tls.get(), connection, until, [&] { return SSL_connect(tls.get()); });
  if (!secure) {
    return ended == SSL_ERROR_NONE ? "it speaks TLS, and this context has tls off\n"
                                     "kezek login --tls on, or --ca-file FILE"
                                   : "";
  }
  if (ended != SSL_ERROR_NONE) {
    if (asked) return OfClientCertificate(context);
    if (ended != SSL_ERROR_SSL) return "";
    return "it does not speak TLS there\nIs this the right port? If nobody else can listen to the "
           "network in between: kezek login --tls off";
  }
  const Certificate certificate(SSL_get1_peer_certificate(tls.get()));
  std::string said =
      OfCertificate(context, name, certificate.get(), SSL_get_verify_result(tls.get()));
  if (!said.empty() || !asked) return said;
  char byte = 0;
  const int read =
      Finish(tls.get(), connection, until, [&] { return SSL_read(tls.get(), &byte, 1); });
  return read == SSL_ERROR_NONE || read == SSL_ERROR_WANT_READ ? "" : OfClientCertificate(context);
}

}  // namespace kezek::cli
