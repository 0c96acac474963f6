// One shape for all unary handlers: authorise, run, finish. A handler never blocks; it answers at
// once, or keeps the Reply and answers from another thread.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kezek/cluster_books.h"
#include "kezek/cluster_nodes.h"
#include "kezek/desk.h"
#include "kezek/meter.h"
#include "kezek/output.h"
#include "kezek/result.h"
#include "kezek/site_check.h"
#include "kezek/store.h"
#include "kezek/time.h"
#include "kezek/user.h"
#include "rpc/caller.h"
#include "rpc/rate_limiter.h"
#include "rpc/request_text.h"
#include "rpc/status.h"

namespace kezek::rpc {

// What every service needs. Owned by whoever makes the server; outlives it.
struct Parts {
  Desk* desk = nullptr;
  SubmitStore* submit = nullptr;
  ReadStore* read = nullptr;
  Clock* clock = nullptr;
  OutputReader* output = nullptr;
  UnixAccounts* unix_accounts = nullptr;
  UnixProofs* proofs = nullptr;   // none: nobody signs in without a token
  RateLimiter* rate = nullptr;    // none: nobody is limited
  Meter* meter = nullptr;         // none: nobody is told
  ClusterBooks* books = nullptr;  // none: the cluster's are not looked at
  AttemptArchive* attempts = nullptr;
  ClusterNodes* nodes = nullptr;  // none: the cluster is told nothing of nodes
  const std::vector<SiteCheck>* checks = nullptr;
};

// Limits and names that answers depend on.
struct Settings {
  std::string cluster;
  std::string version;
  std::int64_t script_bytes = 4096 * 1024;
  std::int64_t environment_bytes = 256 * 1024;
  DurationMs token_lifetime_ms = 90 * kDayMs;
  DurationMs half_life_ms = 7 * kDayMs;
  std::int64_t min_uid = kDefaultMinUid;
  std::string installation;
  DurationMs sign_in_lifetime_ms = 12 * kHourMs;
  std::int64_t leavers_percent = 20;
  std::string output_root;  // absolute; where Kezek's own output folders are
};

// Finishes a call once, from any thread. Copies share the call.
class Reply {
 public:
  explicit Reply(grpc::ServerUnaryReactor* reactor) : reactor_(reactor) {}
  void Ok() const { reactor_->Finish(grpc::Status::OK); }
  void Fail(const Error& error) const { reactor_->Finish(ToGrpc(error)); }
  void Finish(const Result<void>& result) const {
    if (result) {
      Ok();
    } else {
      Fail(result.error());
    }
  }

 private:
  grpc::ServerUnaryReactor* reactor_;
};

inline std::string Authorization(const grpc::CallbackServerContext& context) {
  const auto& metadata = context.client_metadata();
  const auto found = metadata.find("authorization");
  return found == metadata.end() ? "" : std::string(found->second.data(), found->second.size());
}

// The way to every rpc: who calls, whether they may (Authorise), and not too often. `peer` is the
// address of a caller who need not be signed in.
inline Result<Caller> Identify(const Parts& parts, std::string_view method,
                               std::string_view authorization, std::string_view peer = "") {
  const TimeMs now = parts.clock->Now();
  auto caller = Authorise(method, authorization, parts.desk->view(), now);
  if (!caller || parts.rate == nullptr) return caller;
  const auto counted = caller->user == UserId{} ? parts.rate->TakeOfPeer(peer, now)
                                                : parts.rate->Take(caller->user, now);
  if (!counted) return counted.error();
  return caller;
}

// The way into every rpc that is there: Identify, and a request whose texts are some.
inline Result<Caller> Enter(const Parts& parts, std::string_view method,
                            std::string_view authorization,
                            const google::protobuf::Message& request, std::string_view peer = "") {
  auto caller = Identify(parts, method, authorization, peer);
  if (!caller) return caller;
  if (const auto texts = CheckTexts(request); !texts) return texts.error();
  return caller;
}

// Runs `handle(caller, reply)` for a caller who may; `handle` must see to it that the reply is
// finished exactly once.
template <class Handle>
grpc::ServerUnaryReactor* Serve(grpc::CallbackServerContext* context, const Parts& parts,
                                std::string_view method, const google::protobuf::Message& request,
                                Handle handle) {
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();  // once for each call
  const Reply reply(reactor);
  auto caller = Enter(parts, method, Authorization(*context), request, context->peer());
  if (!caller) {
    reply.Fail(caller.error());
  } else {
    handle(std::make_shared<const Caller>(std::move(*caller)), reply);
  }
  return reactor;
}

// Checks the `cluster` field that every request has. NOT_FOUND CLUSTER_NOT_FOUND.
inline Result<void> CheckCluster(const Settings& settings, const std::string& cluster) {
  if (cluster.empty() || cluster == settings.cluster) return {};
  return NotFound("CLUSTER_NOT_FOUND", "cluster",
                  "this is cluster '" + settings.cluster + "', not '" + cluster + "'");
}

// Fails with CLUSTER_NOT_FOUND before `handle` sees a request for another cluster.
template <class Request, class Handle>
auto ForThisCluster(const Settings& settings, const Request* request, Handle handle) {
  return [&settings, request, handle](const std::shared_ptr<const Caller>& caller,
                                      const Reply& reply) {
    const auto here = CheckCluster(settings, request->cluster());
    if (!here) return reply.Fail(here.error());
    handle(caller, reply);
  };
}

}  // namespace kezek::rpc
