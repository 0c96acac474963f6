// The gRPC server: the four services, health and reflection.
#pragma once

#include <memory>
#include <string>
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
#include "kezek/tls.h"
#include "kezek/user.h"
#include "rpc/rate_limiter.h"

namespace kezek::rpc {

struct ServerConfig {
  std::string listen;  // "127.0.0.1:7443"; port 0 takes a free one
  TlsFiles tls;        // empty: plain text
  std::int32_t tls_reread_s = 10;
  std::string cluster;
  std::string version;
  std::int64_t script_bytes = 4096 * 1024;
  std::int64_t environment_bytes = 256 * 1024;
  std::int64_t request_bytes = 16 * 1024 * 1024;
  DurationMs token_lifetime_ms = 90 * kDayMs;
  DurationMs half_life_ms = 7 * kDayMs;  // of usage, for display
  std::int64_t min_uid = kDefaultMinUid;
  CallRate rate;                                  // of one user
  std::string installation;                       // id of the database, for sign-in
  DurationMs sign_in_lifetime_ms = 12 * kHourMs;  // of a token from sign-in, default and longest
  std::int64_t leavers_percent = 20;              // of the members, in one sync with a directory
  std::string output_root;                        // absolute; where Kezek's own output folders are
};

// The ports the services stand on. All outlive the server.
struct ServerPorts {
  Desk* desk = nullptr;
  SubmitStore* submit = nullptr;
  ReadStore* read = nullptr;
  Clock* clock = nullptr;
  OutputReader* output = nullptr;
  UnixAccounts* unix_accounts = nullptr;
  Meter* meter = nullptr;         // told of every rpc; null: nobody
  UnixProofs* proofs = nullptr;   // none: Login is refused
  ClusterBooks* books = nullptr;  // none: nothing that is about them is served
  AttemptArchive* attempts = nullptr;
  ClusterNodes* nodes = nullptr;  // none: drained and resumed here alone, with a command
  const std::vector<SiteCheck>* checks = nullptr;  // none: there are none
};

class Server : public CommitObserver {
 public:
  // UNAVAILABLE: the address cannot be listened on. The files of `tls` must be good, and are read
  // again every `tls_reread_s`: connections made from then on see the new ones.
  static Result<std::unique_ptr<Server>> Start(const ServerConfig& config,
                                               const ServerPorts& ports);
  // The port that is listened on.
  virtual int port() const = 0;
  // Ends streams, lets calls that have begun finish for at most `grace_ms`, then returns.
  virtual void Stop(DurationMs grace_ms) = 0;
};

}  // namespace kezek::rpc
