// The last events, in memory, for all that watch. Filled by the store's thread, read by any.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "kezek/event.h"
#include "kezek/store.h"

namespace kezek::rpc {

class Ring : public CommitObserver {
 public:
  // `capacity` events are kept. `defer` runs a function soon on a thread that is not the store's.
  Ring(std::size_t capacity, std::function<void(std::function<void()>)> defer);

  void OnCommitted(const Committed& committed) override;

  enum class Place {
    kThere,   // `events` has what follows, or nothing has happened since
    kBehind,  // the ring no longer has what follows, or never had
  };
  struct Piece {
    Place place = Place::kThere;
    std::vector<std::shared_ptr<const Event>> events;  // in order, at most `limit`
    std::int64_t last_seq = 0;                         // of the newest in the ring; 0: none yet
  };
  Piece After(std::int64_t seq, std::size_t limit) const;

  // Newest event the ring has seen; 0: none since the process began.
  std::int64_t last_seq() const;

  // Calls `wake` once, soon after an event behind `seq` comes; true. False: there is one already.
  bool Wait(std::int64_t seq, std::function<void()> wake);

 private:
  void WakeAll();

  const std::size_t capacity_;
  const std::function<void(std::function<void()>)> defer_;
  mutable std::mutex mutex_;
  std::deque<std::shared_ptr<const Event>> events_;  // gapless
  std::int64_t last_seq_ = 0;
  std::vector<std::function<void()>> waiting_;
  bool waking_ = false;  // WakeAll has been deferred and has not begun
};

}  // namespace kezek::rpc
