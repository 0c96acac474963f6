// The thread that looks once a minute, while this daemon leads, at the checkpoint paths of what
// runs, and tells the controller of files that are new there. It sees what the daemon's own Unix
// account may see; where that is nothing, an event of the job says so once.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "kezek/desk.h"
#include "kezek/ids.h"
#include "kezek/store.h"
#include "kezek/time.h"

namespace kezek::kezekd {

class CheckpointWatch {
 public:
  // Both ports outlive it.
  CheckpointWatch(Desk& desk, ReadStore& store) : desk_(desk), store_(store) {}
  ~CheckpointWatch() { Stop(); }
  CheckpointWatch(const CheckpointWatch&) = delete;
  CheckpointWatch& operator=(const CheckpointWatch&) = delete;

  void Start();
  // Returns when the look under way is done. Idempotent.
  void Stop();
  // One look at all of them: by the thread, or by a test without one.
  void Round();

 private:
  struct Watched {
    std::string path;      // absolute; empty: none is watched
    TimeMs newest_ms = 0;  // told of
    bool unseen = false;   // told of, too
  };

  void Run();
  // False: asked to stop.
  bool Wait(DurationMs wait_ms);
  bool Stopping();
  // Learns the paths of attempts that are new, forgets those that are over.
  void Follow(const View& view);
  void Look(const Alive& alive, Watched& watched);

  Desk& desk_;
  ReadStore& store_;
  std::map<AttemptRef, Watched> watched_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace kezek::kezekd
