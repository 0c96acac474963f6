// Retention: removes the folders of jobs whose output has been kept for its time, step by step.
// Only folders that Kezek made for a job and whose job the store knows as ended are touched.
#pragma once

#include <dirent.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kezek/ids.h"
#include "kezek/result.h"
#include "kezek/store.h"
#include "kezek/time.h"

namespace kezek::output {

struct SweepRules {
  DurationMs keep_ms = 0;           // after a job's end
  std::int32_t folders_max = 100;   // looked at in one step
  std::int64_t entries_max = 2000;  // removed in one step
};

struct Swept {
  struct Output {
    JobRef job;
    TimeMs ended_ms = 0;
    std::int64_t entries = 0;
    std::int64_t bytes = 0;
  };
  std::vector<Output> removed;        // whole
  std::vector<std::string> problems;  // folders that cannot be removed, said once a round
  bool round_over = false;            // every folder has been looked at
};

// One thread.
class Sweeper {
 public:
  using Find = std::function<Result<std::vector<JobRecord>>(const JobQuery&)>;

  // `root` as OutputRoot has it. FAILED_PRECONDITION: it cannot be opened.
  static Result<std::unique_ptr<Sweeper>> Open(const std::string& root, const SweepRules& rules);
  ~Sweeper();
  Sweeper(const Sweeper&) = delete;
  Sweeper& operator=(const Sweeper&) = delete;

  // The next folders, or more of one that is too big for a step. `find` answers from the store; a
  // failure of its is passed on, and the same folders come next.
  Result<Swept> Step(const Find& find, TimeMs now);

 private:
  Sweeper(int fd, const SweepRules& rules) : fd_(fd), rules_(rules) {}
  // False: no more in this round.
  bool NextFolders();
  Result<void> KeepDue(const Find& find, TimeMs now);

  struct Due {
    JobRef job;
    TimeMs ended_ms = 0;
    std::int64_t entries = 0;
    std::int64_t bytes = 0;
  };

  const int fd_;
  const SweepRules rules_;
  DIR* list_ = nullptr;        // null: the next step begins a round
  std::vector<JobRef> found_;  // not yet asked about
  std::vector<Due> due_;       // last comes first
};

}  // namespace kezek::output
