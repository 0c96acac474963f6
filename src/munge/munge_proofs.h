// Proofs of being a Unix user on a host of the cluster, made and opened by munge.
#pragma once

#include <string>

#include "kezek/result.h"
#include "kezek/user.h"

namespace kezek::munge {

// How long a credential may take from who makes it to who opens it.
inline constexpr int kLifetimeS = 60;

// Opens credentials with the munged behind `socket`; empty: munge's own default. munged itself
// refuses a credential that this host has opened before. A credential that came from root's munged
// tells the uid of whoever made it, so all hosts that share the key are trusted.
class MungeProofs final : public UnixProofs {
 public:
  explicit MungeProofs(std::string socket) : socket_(std::move(socket)) {}
  Result<UnixProof> Open(const std::string& credential) override;

 private:
  const std::string socket_;
};

// A credential of this process' user for `payload`, good for kLifetimeS. UNAVAILABLE: no munged
// answers. Blocking.
Result<std::string> MakeCredential(const std::string& payload, const std::string& socket);

}  // namespace kezek::munge
