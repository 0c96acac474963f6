// Everything the daemon measures, and its text for Prometheus.
//
// Counters and histograms are kept here, by what the parts tell; gauges of accounts, nodes and the
// daemon are made from the last View when they are asked for, so nothing of the past lingers.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kezek/desk.h"
#include "kezek/event.h"
#include "kezek/meter.h"
#include "kezek/time.h"

namespace kezek::metrics {

// What a round of the controller has to tell. References hold for the call only.
struct RoundMeasure {
  bool ticked = false;
  bool reloaded = false;
  bool stopped = false;
  DurationUs took_us = 0;
  const std::vector<std::pair<std::string_view, DurationUs>>& phases;
  const std::vector<Event>& events;
  const std::vector<FirstRun>& first_runs;
  const std::vector<ChargedTime>& charged;
  const std::vector<PreemptedRun>& preempted;
  const PromiseMeasure& promises;
  const Directory* directory = nullptr;  // of the accounts that were charged; null: not known
};

// The state of the daemon when it is asked.
struct DaemonState {
  std::shared_ptr<const View> view;  // null: not loaded yet
  bool leads = false;
  std::int64_t schema_version = 0;
  std::int64_t http_connections = 0;
};

class Metrics final : public Meter {
 public:
  Metrics(const std::string& version, TimeMs started_ms);
  ~Metrics() override;
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // Meter
  void Begins(Worker worker) override;
  void Rests(Worker worker) override;
  void OnCommit(const CommitMeasure& measure) override;
  void OnClusterCall(const ClusterCallMeasure& measure) override;
  void OnRpc(const RpcMeasure& measure) override;
  void OnEstimateTested(DurationMs late_ms) override;

  // Thread-safe too.
  void OnRound(const RoundMeasure& measure);
  void OnHttp(std::string_view route, unsigned status);
  void SetQueue(QueueTally tally);

  // Workers that are at a piece of work now, and for how long.
  std::vector<std::pair<Worker, DurationMs>> Busy() const;

  // Prometheus' text format, version 0.0.4. Any thread; takes a moment with many accounts.
  std::string Expose(const DaemonState& state) const;

 private:
  void TellPromises(const RoundMeasure& measure);

  using Steady = std::chrono::steady_clock;
  struct Instruments;

  static constexpr std::size_t kWorkers = 3;
  const TimeMs started_ms_;
  const std::string version_;
  // Steady time in microseconds; 0: rests, or never.
  std::array<std::atomic<std::int64_t>, kWorkers> busy_since_us_{};
  std::atomic<std::int64_t> jobs_listed_us_{0};
  std::unique_ptr<Instruments> instruments_;
};

// Label of an account: its path, "/" for the root.
std::string AccountLabel(const Directory& directory, AccountId account);

}  // namespace kezek::metrics
