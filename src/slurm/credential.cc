#include "slurm/credential.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/stat.h>

#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>

#include "kezek/base64url.h"
#include "kezek/secret_file.h"

namespace kezek::slurm {
namespace {

constexpr DurationMs kLifetime = 10 * kMinuteMs;
constexpr DurationMs kRenewBefore = 5 * kMinuteMs;

// Changes whenever the file does; 0 if it is not there.
std::int64_t FileStamp(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return 0;
  return info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec + info.st_size +
         static_cast<std::int64_t>(info.st_ino % 1'000'000);
}

Result<std::string> ReadSecret(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  std::string text = std::move(content).str();
  struct stat info {};
  if (!file.is_open() || text.empty() || stat(path.c_str(), &info) != 0) {
    return Error{Code::kUnauthenticated, path + ": cannot be read, or is empty", {}};
  }
  const auto secret = CheckSecretMode(path, info.st_mode);
  if (!secret) return Error{Code::kUnauthenticated, secret.error().message, {}};
  return text;
}

}  // namespace

std::string SignToken(const std::string& key, const std::string& user, TimeMs now,
                      DurationMs lifetime) {
  const nlohmann::json header = {{"alg", "HS256"}, {"typ", "JWT"}};
  const nlohmann::json claims = {
      {"exp", (now + lifetime) / kSecondMs}, {"iat", now / kSecondMs}, {"sun", user}};
  const std::string signed_part = ToBase64Url(header.dump()) + "." + ToBase64Url(claims.dump());
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(signed_part.data()), signed_part.size(),
       digest.data(), &size);
  return signed_part + "." + ToBase64Url({reinterpret_cast<const char*>(digest.data()), size});
}

Credential::Credential(CredentialOptions options, Clock& clock)
    : options_(std::move(options)), clock_(clock) {}

Result<std::string> Credential::Token() {
  const std::scoped_lock lock(mutex_);
  return options_.token_file.empty() ? Signed() : FromFile();
}

Result<std::string> Credential::FromFile() {
  const std::int64_t stamp = FileStamp(options_.token_file);
  if (stamp != 0 && stamp == file_stamp_) return token_;
  auto text = ReadSecret(options_.token_file);
  if (!text) return text.error();
  while (!text->empty() && (text->back() == '\n' || text->back() == '\r' || text->back() == ' ')) {
    text->pop_back();
  }
  if (text->starts_with("SLURM_JWT=")) text->erase(0, 10);
  if (text->empty()) return Error{Code::kUnauthenticated, options_.token_file + ": is empty", {}};
  token_ = *text;
  file_stamp_ = stamp;
  return token_;
}

Result<std::string> Credential::Signed() {
  const TimeMs now = clock_.Now();
  const std::int64_t stamp = FileStamp(options_.jwt_key_file);
  const bool same = stamp != 0 && stamp == file_stamp_;
  if (same && now + kRenewBefore < expires_ms_ && now + kLifetime >= expires_ms_) return token_;
  const auto key = ReadSecret(options_.jwt_key_file);
  if (!key) return key.error();
  token_ = SignToken(*key, options_.user, now, kLifetime);
  expires_ms_ = now + kLifetime;
  file_stamp_ = stamp;
  return token_;
}

}  // namespace kezek::slurm
