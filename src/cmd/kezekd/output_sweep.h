// The thread that removes output whose time is over, while this daemon leads: a small step a
// second, and a rest between rounds over all folders. What it does is in the log.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "kezek/store.h"
#include "kezek/time.h"
#include "output/sweeper.h"

namespace kezek::kezekd {

class OutputSweep {
 public:
  // Both ports outlive it.
  OutputSweep(ReadStore& store, Clock& clock) : store_(store), clock_(clock) {}
  ~OutputSweep() { Stop(); }
  OutputSweep(const OutputSweep&) = delete;
  OutputSweep& operator=(const OutputSweep&) = delete;

  // Does nothing if `keep_ms` is 0: output is kept for ever. Called once.
  void Start(const std::string& root, DurationMs keep_ms);
  // Returns when the step under way is done. Idempotent.
  void Stop();

 private:
  void Run(DurationMs rest_ms);
  bool Step();  // false: the round is over
  // False: asked to stop.
  bool Wait(DurationMs wait_ms);

  ReadStore& store_;
  Clock& clock_;
  std::unique_ptr<output::Sweeper> sweeper_;
  std::string said_;  // the last failure, said once
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace kezek::kezekd
