// One thread that calls functions soon, or after a time: heartbeats, polls, wake-ups of streams.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "kezek/time.h"

namespace kezek::rpc {

class Wakeups {
 public:
  Wakeups();
  ~Wakeups();  // Stop()
  Wakeups(const Wakeups&) = delete;
  Wakeups& operator=(const Wakeups&) = delete;

  // Calls `wake` on the thread, `delay_ms` from now by the steady clock, or never if stopped
  // before. Must be quick and must not wait. Thread-safe.
  void After(DurationMs delay_ms, std::function<void()> wake);

  // What has not been called is dropped. Idempotent; not from the thread itself.
  void Stop();

 private:
  using Time = std::chrono::steady_clock::time_point;
  void Run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::multimap<Time, std::function<void()>> due_;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace kezek::rpc
