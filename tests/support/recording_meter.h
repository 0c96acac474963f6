// A meter that keeps what it is told, for tests to look at. Thread-safe.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <vector>

#include "kezek/meter.h"

namespace kezek::test {

class RecordingMeter final : public Meter {
 public:
  struct Call {
    std::string name;  // of an rpc or of a request to the cluster
    int outcome = 0;   // code or outcome
    bool operator==(const Call&) const = default;
  };

  void Begins(Worker worker) override {
    const std::lock_guard lock(mutex_);
    works_.push_back(worker);
  }
  void Rests(Worker worker) override {
    const std::lock_guard lock(mutex_);
    rests_.push_back(worker);
  }
  void OnCommit(const CommitMeasure& measure) override {
    const std::lock_guard lock(mutex_);
    commits_.push_back(measure);
  }
  void OnClusterCall(const ClusterCallMeasure& measure) override {
    const std::lock_guard lock(mutex_);
    cluster_calls_.push_back({std::string(measure.call), static_cast<int>(measure.outcome)});
  }
  void OnRpc(const RpcMeasure& measure) override {
    const std::lock_guard lock(mutex_);
    rpcs_.push_back({std::string(measure.method), static_cast<int>(measure.code)});
    told_.notify_all();
  }

  void OnEstimateTested(DurationMs late_ms) override {
    const std::lock_guard lock(mutex_);
    estimates_.push_back(late_ms);
  }

  std::vector<DurationMs> estimates() const { return Copy(estimates_); }
  std::vector<Worker> works() const { return Copy(works_); }
  std::vector<Worker> rests() const { return Copy(rests_); }
  std::vector<CommitMeasure> commits() const { return Copy(commits_); }
  std::vector<Call> cluster_calls() const { return Copy(cluster_calls_); }
  // Waits until so many have been told.
  std::vector<Call> rpcs(std::size_t enough) const {
    std::unique_lock lock(mutex_);
    told_.wait(lock, [&] { return rpcs_.size() >= enough; });
    return rpcs_;
  }

 private:
  template <class Values>
  Values Copy(const Values& values) const {
    const std::lock_guard lock(mutex_);
    return values;
  }

  mutable std::mutex mutex_;
  mutable std::condition_variable told_;
  std::vector<Worker> works_;
  std::vector<Worker> rests_;
  std::vector<DurationMs> estimates_;
  std::vector<CommitMeasure> commits_;
  std::vector<Call> cluster_calls_;
  std::vector<Call> rpcs_;
};

}  // namespace kezek::test
