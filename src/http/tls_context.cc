#include "http/tls_context.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace kezek::http {
namespace {

using Context = std::shared_ptr<ssl_ctx_st>;
using Times = std::vector<std::filesystem::file_time_type>;

Error NotGood(const std::string& path) {
  ERR_clear_error();
  return {Code::kInvalidArgument, path + ": OpenSSL cannot use it", {}};
}

Result<Context> Load(const TlsFiles& files) {
  Context context(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free);
  KEZEK_CHECK(context != nullptr, "SSL_CTX_new");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION);
  if (SSL_CTX_use_certificate_chain_file(context.get(), files.certificate_file.c_str()) != 1) {
    return NotGood(files.certificate_file);
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), files.key_file.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context.get()) != 1) {
    return NotGood(files.key_file);
  }
  if (files.client_ca_file.empty()) return context;
  const char* authorities = files.client_ca_file.c_str();
  if (SSL_CTX_load_verify_locations(context.get(), authorities, nullptr) != 1) {
    return NotGood(files.client_ca_file);
  }
  SSL_CTX_set_client_CA_list(context.get(), SSL_load_client_CA_file(authorities));
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  const unsigned char session[] = "kezek";
  SSL_CTX_set_session_id_context(context.get(), session, sizeof session - 1);
  return context;
}

Times TimesOf(const TlsFiles& files) {
  Times times;
  for (const auto& path : {files.certificate_file, files.key_file, files.client_ca_file}) {
    std::error_code missing;
    times.push_back(std::filesystem::last_write_time(path, missing));
  }
  return times;
}

struct Kept {
  TlsFiles files;
  std::chrono::milliseconds reread;
  Context context;
  Times times;
  std::chrono::steady_clock::time_point looked;

  Context Get() {
    const auto now = std::chrono::steady_clock::now();
    if (now - looked < reread) return context;
    looked = now;
    Times times_now = TimesOf(files);
    if (times_now == times) return context;
    if (auto loaded = Load(files)) {
      context = *std::move(loaded);
      times = std::move(times_now);
    }
    return context;
  }
};

}  // namespace

Result<std::function<std::shared_ptr<ssl_ctx_st>()>> TlsFrom(const TlsFiles& files,
                                                             DurationMs reread_ms) {
  Times times = TimesOf(files);
  auto loaded = Load(files);
  if (!loaded) return loaded.error();
  auto kept =
      std::make_shared<Kept>(Kept{files, std::chrono::milliseconds(reread_ms), *std::move(loaded),
                                  std::move(times), std::chrono::steady_clock::now()});
  return std::function<Context()>([kept] { return kept->Get(); });
}

}  // namespace kezek::http
