// The thread that looks once a minute, while this daemon leads, at the checkpoint paths of what
// runs, and tells the controller of files of the job's own that are new there and have been quiet
// for a minute. It sees what the daemon's own Unix account may see; where that is nothing, an event
// of the job says so once. Each look has a thread of its own: one that hangs, on a file system that
// does not answer, is left behind.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "kezek/desk.h"
#include "kezek/ids.h"
#include "kezek/store.h"
#include "kezek/time.h"
#include "output/checkpoints.h"

namespace kezek::kezekd {

struct CheckpointLook {
  std::function<Result<TimeMs>(const std::string& path, const output::CheckpointRules& rules)>
      look = output::LastWritten;
  DurationMs wait_ms = 10 * kSecondMs;  // for one
};

class CheckpointWatch {
 public:
  // At most so many looks are left behind: nothing is looked at until one of them is back.
  static constexpr std::size_t kBehindMost = 8;
  static constexpr std::ptrdiff_t kBehindOfOneMost = 2;  // of one user

  // The ports outlive it; what the look needs outlives the process.
  CheckpointWatch(Desk& desk, ReadStore& store, Clock& clock, CheckpointLook look = {})
      : desk_(desk), store_(store), clock_(clock), look_(std::move(look)) {}
  ~CheckpointWatch() { Stop(); }
  CheckpointWatch(const CheckpointWatch&) = delete;
  CheckpointWatch& operator=(const CheckpointWatch&) = delete;

  void Start();
  // Does not wait for a look that is under way. Idempotent.
  void Stop();
  // One look at all of them: by the thread, or by a test without one.
  void Round();

 private:
  struct Watched {
    std::string path;            // absolute; empty: none is watched
    TimeMs start_ms = 0;         // of the attempt
    TimeMs newest_ms = 0;        // told of
    std::set<std::string> said;  // why nothing is seen
  };
  struct OneLook {
    AttemptRef attempt;
    ::uid_t uid = 0;
    std::optional<Result<TimeMs>> answer;
  };
  // With the threads that look, which may outlive the watch. The mutex is the answers', too.
  struct Shared {
    std::mutex mutex;
    std::condition_variable changed;
    bool stopping = false;
    std::set<AttemptRef> untold;  // whose last checkpoint nobody could take
  };

  void Run();
  // False: asked to stop.
  bool Wait(DurationMs wait_ms);
  bool Stopping();
  // How many looks for a user are left behind.
  std::ptrdiff_t BehindOf(::uid_t uid) const;
  // Learns the paths of attempts that are new, forgets those that are over.
  void Follow(const View& view);
  // Tells of those left behind that are back.
  void TakeLate();
  void Look(const AttemptRef& attempt, Watched& watched, ::uid_t uid);
  void Tell(const AttemptRef& attempt, Watched& watched, const Result<TimeMs>& written);

  Desk& desk_;
  ReadStore& store_;
  Clock& clock_;
  const CheckpointLook look_;
  std::map<AttemptRef, Watched> watched_;
  std::map<std::string, std::shared_ptr<OneLook>> behind_;  // by path
  const std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
  std::thread thread_;
};

}  // namespace kezek::kezekd
