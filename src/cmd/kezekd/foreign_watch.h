// The thread that asks slurmdbd every few minutes, while this daemon leads, for jobs that have
// ended and are not Kezek's, and has the controller charge them.
//
// slurmdbd may learn of an end late. What was read is read again: half an hour back each time, and
// kForeignLateMs back at first and then once an hour. The controller knows what it has charged, and
// the database up to when all is. While slurmdbd does not answer, that stands still.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "kezek/cluster_books.h"
#include "kezek/desk.h"
#include "kezek/time.h"
#include "scheduler/control/tag.h"

namespace kezek::kezekd {

struct ForeignWatchConfig {
  DurationMs every_ms = 5 * kMinuteMs;
  std::string installation;
  control::KeyedHash keyed_hash;  // of tags
};

class ForeignWatch {
 public:
  // The ports outlive it.
  ForeignWatch(Desk& desk, ClusterBooks& books, AttemptArchive& attempts, Clock& clock,
               ForeignWatchConfig config);
  ~ForeignWatch() { Stop(); }
  ForeignWatch(const ForeignWatch&) = delete;
  ForeignWatch& operator=(const ForeignWatch&) = delete;

  void Start();
  // Waits for a request to slurmdbd that is under way. Idempotent.
  void Stop();
  // One reading: by the thread, or by a test without one.
  Result<void> Round();

 private:
  void Run();
  // False: asked to stop.
  bool Wait(DurationMs wait_ms);
  // What the controller says; UNAVAILABLE: asked to stop meanwhile.
  Result<CommandOutcome> Book(BookForeign book);
  Result<void> Read(TimeMs since_ms, TimeMs until_ms);
  Result<void> TakeRuns(std::vector<BookedRun> runs, TimeMs until_ms);
  // A change of what is wrong, in the log.
  void Tell(const Result<void>& done);

  Desk& desk_;
  ClusterBooks& books_;
  AttemptArchive& attempts_;
  Clock& clock_;
  const ForeignWatchConfig config_;
  DurationMs stretch_ms_ = kHourMs;  // asked for at once: less where a lot ends
  TimeMs deep_at_ms_ = 0;            // all is read again then
  std::string said_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace kezek::kezekd
