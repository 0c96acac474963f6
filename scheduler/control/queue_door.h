// Limits on queued jobs, held exactly: a view counts what the controller knew at its last tick, the
// door counts besides what has been let in since. Pure; one thread at a time.
//
//   Enter   places for the jobs of a submission, or a refusal
//   Leave   it was not stored: its places are free again
//   TakeIn  it was, and the controller has got it: the next view counts it
//   Show    that view
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "kezek/desk.h"
#include "kezek/job.h"
#include "kezek/result.h"
#include "scheduler/control/admission.h"

namespace kezek::control {

class QueueDoor {
 public:
  // From now on: these limits, and this view, which counts all that was taken in.
  void Show(std::shared_ptr<const Admission> admission, const View& view);
  // RESOURCE_EXHAUSTED as Admission::CheckQueue; UNAVAILABLE before the first view.
  Result<void> Enter(UserId owner, const JobSpec& spec);
  void Leave(UserId owner, const JobSpec& spec);
  // Jobs that did not come through the door are none of its business.
  void TakeIn(const Job& job);

 private:
  struct Who {
    AccountId project;
    UserId owner;
    std::string job_class;
    auto operator<=>(const Who&) const = default;
  };
  using Counts = std::map<Who, std::int64_t>;
  void Count(const Who& who, std::int64_t jobs);

  std::shared_ptr<const Admission> admission_;
  QueuedJobs queued_;  // of the view, with all that is inside
  Counts inside_;      // has places, and no view counts it
  Counts taken_in_;    // of these, what the next view counts
};

}  // namespace kezek::control
