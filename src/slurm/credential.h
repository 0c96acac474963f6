// The token with which slurmrestd takes Kezek for SlurmUser or root, and so for anybody.
#pragma once

#include <mutex>
#include <string>

#include "kezek/result.h"
#include "kezek/time.h"

namespace kezek::slurm {

// A JWT signed with HS256 as Slurm's auth/jwt reads it: claims exp, iat, sun.
std::string SignToken(const std::string& key, const std::string& user, TimeMs now,
                      DurationMs lifetime);

struct CredentialOptions {
  std::string token_file;    // a token, read again when the file changes; or, if empty,
  std::string jwt_key_file;  // the key; tokens for ten minutes are signed with it
  std::string user;          // whose tokens these are, for signing
};

// Thread-safe.
class Credential {
 public:
  Credential(CredentialOptions options, Clock& clock);
  // A token valid for at least five more minutes if it is signed here. UNAUTHENTICATED: the file
  // is not readable, empty, or open to others, with its path; never with its content.
  Result<std::string> Token();

 private:
  Result<std::string> FromFile();
  Result<std::string> Signed();

  CredentialOptions options_;
  Clock& clock_;
  std::mutex mutex_;
  std::string token_;
  TimeMs expires_ms_ = 0;
  std::int64_t file_stamp_ = 0;
};

}  // namespace kezek::slurm
