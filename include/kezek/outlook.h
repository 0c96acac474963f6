// When a job that waits, or would, is thought to start, and what would help.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kezek/ids.h"
#include "kezek/job.h"
#include "kezek/reason.h"
#include "kezek/resources.h"
#include "kezek/time.h"

namespace kezek {

// About one job, of an array one element.
struct OutlookQuestion {
  JobRef job;  // as it waits; none: it is not in the queue
  UserId user;
  std::shared_ptr<const JobSpec> spec;  // as admitted
  TimeMs submitted_ms = 0;              // 0: now
  TimeMs queued_since_ms = 0;           // likewise
};

struct StartTime {
  TimeMs start_ms = 0;    // 0: not known
  Placement placement;    // not empty: it starts in the next tick, there
  bool earliest = false;  // not an estimate: it starts no earlier
  Reason assumption;      // none if it starts in the next tick, or nothing is known
  bool operator==(const StartTime&) const = default;
};

// What its owner could change, and when the job would start then.
struct OutlookAdvice {
  Reason change;
  StartTime start;
  bool operator==(const OutlookAdvice&) const = default;
};

struct Outlook {
  TimeMs as_of_ms = 0;  // what it is worked out of
  StartTime start;
  Reason reason;                      // why not in the next tick
  std::vector<OutlookAdvice> advice;  // what starts soonest first
  bool operator==(const Outlook&) const = default;
};

// A look ahead from one moment. Immutable; any thread.
class Foresight {
 public:
  virtual ~Foresight() = default;
  virtual TimeMs as_of_ms() const = 0;
  virtual Outlook Of(const OutlookQuestion& question) const = 0;
  // When the rows that it knows are thought to start, those excepted that start in the next tick
  // and those of which nothing is known.
  virtual std::map<JobRef, TimeMs> Starts() const = 0;
};

}  // namespace kezek
