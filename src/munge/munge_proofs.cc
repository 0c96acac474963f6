#include "munge/munge_proofs.h"

#include <munge.h>

#include <cstdlib>
#include <memory>

namespace kezek::munge {
namespace {

using Context = std::unique_ptr<munge_ctx, decltype(&munge_ctx_destroy)>;
using Text = std::unique_ptr<char, decltype(&std::free)>;
using Bytes = std::unique_ptr<void, decltype(&std::free)>;

Result<Context> ContextOf(const std::string& socket) {
  Context context(munge_ctx_create(), munge_ctx_destroy);
  if (!context) return Error{Code::kInternal, "munge: no memory", {}};
  if (!socket.empty() &&
      munge_ctx_set(context.get(), MUNGE_OPT_SOCKET, socket.c_str()) != EMUNGE_SUCCESS) {
    return Error{Code::kInternal, "munge: the socket " + socket + " is not accepted", {}};
  }
  return context;
}

Error Failed(munge_ctx_t context, munge_err_t code) {
  const char* more = munge_ctx_strerror(context);
  return Error{Code::kUnavailable,
               std::string("munge: ") + (more == nullptr ? munge_strerror(code) : more),
               {}};
}

Error Refused(const std::string& reason, const std::string& message) {
  return FieldProblem(Code::kUnauthenticated, {"munge_credential", reason, message, {}});
}

}  // namespace

Result<UnixProof> MungeProofs::Open(const std::string& credential) {
  const auto context = ContextOf(socket_);
  if (!context) return context.error();
  void* payload = nullptr;
  int size = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  const munge_err_t code =
      munge_decode(credential.c_str(), context->get(), &payload, &size, &uid, &gid);
  const Bytes owned(payload, std::free);
  switch (static_cast<int>(code)) {
    case EMUNGE_SUCCESS:
      return UnixProof{
          static_cast<std::int64_t>(uid),
          std::string(static_cast<const char*>(payload), static_cast<std::size_t>(size))};
    case EMUNGE_CRED_REPLAYED:
      return Refused("CREDENTIAL_USED", "this credential has been used: make a new one");
    case EMUNGE_CRED_EXPIRED:
    case EMUNGE_CRED_REWOUND:
      return Refused("CREDENTIAL_EXPIRED",
                     "this credential has expired, or the clocks of the two hosts differ");
    case EMUNGE_SNAFU:
    case EMUNGE_NO_MEMORY:
    case EMUNGE_SOCKET:
    case EMUNGE_TIMEOUT:
      return Failed(context->get(), code);
    default:
      return Refused("CREDENTIAL_INVALID", "this is no credential of this cluster's munge");
  }
}

Result<std::string> MakeCredential(const std::string& payload, const std::string& socket) {
  const auto context = ContextOf(socket);
  if (!context) return context.error();
  munge_ctx_set(context->get(), MUNGE_OPT_TTL, kLifetimeS);
  char* made = nullptr;
  const munge_err_t code =
      munge_encode(&made, context->get(), payload.data(), static_cast<int>(payload.size()));
  const Text owned(made, std::free);
  if (code != EMUNGE_SUCCESS) return Failed(context->get(), code);
  return std::string(made);
}

}  // namespace kezek::munge
