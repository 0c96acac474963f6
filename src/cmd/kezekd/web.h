// The daemon's HTTP side: GET /metrics, /livez and /readyz.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "cmd/kezekd/controller_thread.h"
#include "cmd/kezekd/readiness.h"
#include "config/config.h"
#include "http/server.h"
#include "kezek/desk.h"
#include "kezek/result.h"
#include "kezek/store.h"
#include "kezek/time.h"
#include "kezek/tls.h"
#include "metrics/metrics.h"
#include "scheduler/control/report.h"

namespace kezek::kezekd {

class Web {
 public:
  // All outlive this object.
  struct Parts {
    metrics::Metrics* metrics = nullptr;
    Desk* desk = nullptr;
    ReadStore* read = nullptr;
    Clock* clock = nullptr;
    std::int64_t schema_version = 0;
  };

  // Serves from now on, before anybody leads; nothing if `config.listen` is empty. UNAVAILABLE: the
  // address cannot be listened on. INVALID_ARGUMENT: the files of `tls` are not good.
  static Result<std::unique_ptr<Web>> Start(const config::HttpConfig& config, const TlsFiles& tls,
                                            const Parts& parts);
  ~Web();
  Web(const Web&) = delete;
  Web& operator=(const Web&) = delete;

  void SetLeads(bool leads) { readiness_.SetLeads(leads); }
  int port() const;  // 0: nothing is served

 private:
  explicit Web(const Parts& parts);
  http::Response Metrics(const http::Request& request, bool token) const;

  const Parts parts_;
  Readiness readiness_;
  std::atomic<const http::Server*> serving_{nullptr};
  std::unique_ptr<http::Server> server_;
};

// What a round of the controller has to tell to the metrics; `view` as after it.
void MeasureRound(metrics::Metrics& metrics, const control::RoundReport& report,
                  const RoundTimes& times, const View* view);

}  // namespace kezek::kezekd
