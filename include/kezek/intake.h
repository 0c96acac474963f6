// What a submission becomes when it is taken: the row of the queue and its events. Every store
// stores the same. Pure functions.
#pragma once

#include <string>
#include <vector>

#include "kezek/event.h"
#include "kezek/job.h"
#include "kezek/names.h"
#include "kezek/store.h"

namespace kezek {

// Reads no payload, key or hash.
inline Job JobOf(const Submission& submission, JobId id, TimeMs now_ms) {
  Job job;
  job.ref = {id, kNoElement};
  job.user = submission.user;
  job.spec = submission.spec;
  job.hold = submission.hold;
  job.hold_reason = HoldReason(submission.hold);
  if (job.spec->array) job.pending = job.spec->array->indices;
  job.submitted_ms = now_ms;
  job.queued_since_ms = now_ms;
  job.reason = {ReasonCode::kSubmitted, {}};
  return job;
}

// The event of submitting and one for each warning, numbered from `first_seq`.
inline std::vector<Event> EventsOf(const Submission& submission, JobId id, TimeMs now_ms,
                                   std::int64_t first_seq) {
  Event event;
  event.seq = first_seq;
  event.time_ms = now_ms;
  event.subject = Subject::kJob;
  event.job = {id, kNoElement};
  event.project = submission.spec->project;
  event.user = submission.user;
  event.to = NameOf(JobState::kQueued);
  event.reason = {ReasonCode::kSubmitted, {}};
  event.actor = submission.user_name;
  std::vector<Event> events = {event};
  event.to.clear();
  for (const Reason& warning : submission.warnings) {
    ++event.seq;
    event.reason = warning;
    events.push_back(event);
  }
  return events;
}

}  // namespace kezek
