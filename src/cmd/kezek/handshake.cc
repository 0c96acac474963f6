#include "cmd/kezek/handshake.h"

#include <grpcpp/security/credentials.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace kezek::cli {
namespace {

// Where Debian and its relatives keep the authorities of the system.
constexpr const char* kSystemAuthorities = "/etc/ssl/certs/ca-certificates.crt";

Result<std::string> ReadPem(const char* key, const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) {
    return Error{Code::kInvalidArgument,
                 std::string(key) + ": " + path + " cannot be read: " + std::strerror(errno),
                 {}};
  }
  if (text.str().find("-----BEGIN ") == std::string::npos) {
    return Error{Code::kInvalidArgument, std::string(key) + ": " + path + " is not PEM", {}};
  }
  return text.str();
}

}  // namespace

Result<std::string> Authorities(const Context& context) {
  if (!context.ca_file.empty()) return ReadPem("ca_file", context.ca_file);
  auto system = ReadPem("ca_file", kSystemAuthorities);
  if (system) return system;
  return Error{Code::kInvalidArgument,
               "this host has no list of authorities (" + std::string(kSystemAuthorities) +
                   ")\nGive the one of your site: kezek login --ca-file FILE",
               {}};
}

Result<std::shared_ptr<grpc::ChannelCredentials>> CredentialsOf(const Context& context) {
  if (!UsesTls(context)) return grpc::InsecureChannelCredentials();
  if (context.client_certificate.empty() != context.client_key.empty()) {
    return Error{
        Code::kInvalidArgument, "client_certificate and client_key belong together: give both", {}};
  }
  grpc::SslCredentialsOptions options;
  auto authorities = Authorities(context);
  if (!authorities) return authorities.error();
  options.pem_root_certs = std::move(*authorities);
  if (!context.client_certificate.empty()) {
    auto certificate = ReadPem("client_certificate", context.client_certificate);
    if (!certificate) return certificate.error();
    auto key = ReadPem("client_key", context.client_key);
    if (!key) return key.error();
    options.pem_cert_chain = std::move(*certificate);
    options.pem_private_key = std::move(*key);
  }
  return grpc::SslCredentials(options);
}

}  // namespace kezek::cli
