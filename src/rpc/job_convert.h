// Jobs, attempts and events as the API shows them, to one caller. Pure but for the desk's count.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "kezek/desk.h"
#include "kezek/event.h"
#include "kezek/job.h"
#include "kezek/store.h"
#include "kezek/v1/jobs.pb.h"
#include "rpc/caller.h"
#include "rpc/unary.h"

namespace kezek::rpc {

// What an answer about jobs is made with; all outlive it.
struct JobWriter {
  const Caller& caller;  // decides what is shown
  const Desk& desk;
  const Settings& settings;
  TimeMs now_ms = 0;

  const View& view() const { return *caller.view; }

  // A job, an array or an element in full, or redacted if the caller does not reach it.
  void Fill(const JobRecord& record, v1::Job* wire) const;

 private:
  void FillRedacted(const JobRecord& record, v1::Job* wire) const;
  void FillState(const JobRecord& record, v1::Job* wire) const;
  void FillResolved(const JobRecord& record, v1::ResolvedSpec* wire) const;
  void FillAttempt(const JobRecord& record, const Attempt& attempt, v1::Attempt* wire) const;
  MilliGpus CountedOf(const JobRecord& record) const;
  // Once it has ended, what the ledger holds.
  MilliGpuMs ChargeOf(const JobRecord& record, const Attempt& attempt) const;
};

void FillPlacement(const std::map<std::string, Node>& nodes, const Placement& placement,
                   v1::Placement* wire);
void FillReservation(const std::map<std::string, Node>& nodes, const Promised& promised,
                     v1::JobReservation* wire);

// What kind of event it is, for filters.
v1::EventKind KindOf(const Event& event);
void FillEvent(const Event& event, const std::string& cluster, v1::Event* wire);

// State of the row; of an array, of its elements together.
JobState StateOf(const JobRecord& record);

// Why it waits by the last tick, or why it is in its state.
Reason ReasonOf(const View& view, const Job& job);

// An element of an array that has no row of its own: it waits with the others, or was cancelled
// before it got one. None: the array has no such element.
std::optional<JobRecord> ElementWithoutRow(const JobRecord& array, std::int32_t element);

}  // namespace kezek::rpc
