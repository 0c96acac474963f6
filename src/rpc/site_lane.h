// Work that waits for parts of the site outside, which may hang: on a thread of its own, a piece at
// a time, so that no other call waits for it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "kezek/result.h"

namespace kezek::rpc {

// Thread-safe.
class SiteLane {
 public:
  // Told whether it is to end soon; it must look now and then.
  using Work = std::function<void(const std::atomic<bool>& stopping)>;

  SiteLane() = default;
  ~SiteLane();
  SiteLane(const SiteLane&) = delete;
  SiteLane& operator=(const SiteLane&) = delete;

  // Runs it after what waits already. RESOURCE_EXHAUSTED SITE_BUSY: too much does; UNAVAILABLE
  // STOPPING.
  Result<void> Start(Work work);
  // What waits is run all the same, and told to end soon. Returns at once; the destructor waits.
  void Stop();

 private:
  void Run();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Work> waiting_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;  // from the first piece of work on
};

}  // namespace kezek::rpc
