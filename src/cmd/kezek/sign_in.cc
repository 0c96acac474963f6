#include "cmd/kezek/sign_in.h"

#include <fcntl.h>
#include <kezek/v1/access.pb.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "cmd/kezek/client.h"

namespace kezek::cli {
namespace {

constexpr std::int64_t kMarginMs = 60'000;
// What a server may have signed with this user's name: nothing that other services take.
constexpr std::string_view kChallenge = "kezek-sign-in/1 ";

// Where the token of an endpoint is kept; "" without a home.
std::string KeptPath(const Context& context, const Host& host) {
  std::string base = host.Variable("XDG_CACHE_HOME");
  if (base.empty() && !host.Variable("HOME").empty()) base = host.Variable("HOME") + "/.cache";
  if (base.empty()) return "";
  std::string name = context.endpoint;
  std::replace(name.begin(), name.end(), '/', '_');
  return base + "/kezek/sign-in/" + name;
}

// Without it, the next command signs in again: no error.
void Keep(const std::string& path, const std::string& secret, std::int64_t expires_ms) {
  if (path.empty()) return;
  std::error_code ignored;
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  std::filesystem::create_directories(folder, ignored);
  std::filesystem::permissions(folder, std::filesystem::perms::owner_all, ignored);
  const std::string draft = path + ".new";
  const int file = open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) return;
  const std::string text = secret + " " + std::to_string(expires_ms) + "\n";
  const bool written = fchmod(file, 0600) == 0 &&
                       write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  close(file);
  if (written) std::filesystem::rename(draft, path, ignored);
}

std::string Kept(const std::string& path, std::int64_t now_ms) {
  std::ifstream file(path);
  std::string secret;
  std::int64_t expires_ms = 0;
  if (!(file >> secret >> expires_ms) || expires_ms < now_ms + kMarginMs) return "";
  return secret;
}

bool TakesNone(const Error& error) {
  if (error.code == Code::kUnavailable || error.code == Code::kUnimplemented) return true;
  return std::any_of(error.details.begin(), error.details.end(),
                     [](const FieldError& detail) { return detail.reason == "SIGN_IN_OFF"; });
}

}  // namespace

Result<std::string> SignInByMunge(const Context& context, const Host& host) {
  if (!host.munge) {
    return Error{
        Code::kFailedPrecondition, "this host has no munge\nSign in with a token: kezek login", {}};
  }
  const std::string kept = KeptPath(context, host);
  std::error_code ignored;
  std::filesystem::remove(kept, ignored);
  Context nobody = context;
  nobody.token.clear();
  Client client(nobody, host);
  const auto challenge = client.Call<v1::LoginResponse>(v1::LoginRequest());
  if (!challenge) return challenge.error();
  if (!challenge->challenge().starts_with(kChallenge)) {
    return Error{Code::kInternal, "the server's challenge is not one for signing in", {}};
  }
  const Result<std::string> credential = host.munge(challenge->challenge());
  if (!credential) return credential.error();
  v1::LoginRequest request;
  request.set_munge_credential(*credential);
  const auto answer = client.Call<v1::LoginResponse>(request, Repeat::kNo);
  if (!answer) return answer.error();
  Keep(kept, answer->secret(), answer->token().expires_ms());
  return answer->secret();
}

Result<std::string> TokenOfThisUser(const Context& context, const Host& host) {
  if (!host.munge) return std::string();
  if (const std::string path = KeptPath(context, host); !path.empty()) {
    std::string secret = Kept(path, host.now_ms());
    if (!secret.empty()) return secret;
  }
  Result<std::string> secret = SignInByMunge(context, host);
  if (secret || !TakesNone(secret.error())) return secret;
  return std::string();
}

}  // namespace kezek::cli
