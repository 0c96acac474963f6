// What must hold of admins' reservations at every moment of a simulation, judged from outside: by
// what admins asked for, what is committed and what the cluster's nodes run. Occurrences are
// counted up one by one; nothing of the engine's calendar is used.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kezek/admin_reservation.h"
#include "kezek/desk.h"
#include "kezek/store.h"
#include "scheduler/sim/fake_slurm.h"
#include "scheduler/sim/memory_store.h"

namespace kezek::sim {

struct WindowFigures {
  std::int64_t put = 0;  // made or changed
  std::int64_t ended = 0;
  std::int64_t inside = 0;        // attempts that were planned in one
  std::int64_t drained = 0;       // occurrences that began with empty nodes
  std::int64_t over_running = 0;  // made over what runs, on purpose
};

class WindowChecker {
 public:
  // `margin_ms`: for so long a job may stay beyond its limit; `late_ms`: may start late.
  WindowChecker(DurationMs margin_ms, DurationMs late_ms)
      : margin_ms_(margin_ms), late_ms_(late_ms) {}

  // An admin, or the owner of a job, sends a command.
  void OnAsked(const CommandBody& body);
  // Its answer was heard: it is stored.
  void OnDone(const MemoryStore& store, const CommandBody& body, const CommandOutcome& outcome);
  // Before the changes are stored. Only what was asked for changes; no two reservations have a node
  // at one time; without leave none is put over what runs or is promised. Nothing is planned,
  // prolonged or promised into a reservation that it does not ask for; what asks for one may use
  // it, is on its nodes alone, and from now on until its end inside one occurrence.
  void OnCommit(const MemoryStore& store, const Changes& changes, TimeMs now);
  // Whenever time has passed: on nodes of an occurrence runs nothing but its own, and what was
  // there before it was put.
  void OnTime(const MemoryStore& store, const FakeSlurm& slurm, TimeMs now);
  // After a round: a job that may run in an occurrence now, and for which enough of its nodes have
  // been empty for a while, is not said to wait for them; reasons name what there is.
  void OnView(const MemoryStore& store, const FakeSlurm& slurm, const View& view, TimeMs now);
  // Nobody leads, or knows the cluster: who waits does so with reason.
  void Interrupted() { idle_since_.clear(); }
  // Whether a job that asks for a reservation has any chance left of it.
  bool MayRunYet(const MemoryStore& store, const Job& job, TimeMs now) const;
  // A copy of the database leads, see Checker.
  void Restored(std::int64_t last_shared_epoch) { shared_epochs_ = last_shared_epoch; }

  const WindowFigures& figures() const { return figures_; }
  const std::vector<std::string>& breaches() const { return breaches_; }

 private:
  using Windows = std::map<std::string, AdminReservation>;
  // Of a reservation as it stands.
  struct Since {
    TimeMs put_ms = 0;    // whatever of it was changed
    TimeMs times_ms = 0;  // its times or nodes
    bool forced = false;  // then, over what ran
  };
  void Breach(std::string text) { breaches_.push_back(std::move(text)); }
  DurationMs Stays(DurationMs limit_ms) const;
  void CheckPut(const MemoryStore& store, const Changes& changes, const Windows& after,
                const AdminReservation& one, TimeMs now);
  void CheckRunning(const MemoryStore& store, const Changes& changes, const AdminReservation& one,
                    TimeMs now);
  void CheckPromised(const MemoryStore& store, const Changes& changes, const AdminReservation& one,
                     TimeMs now);
  void CheckAttempts(const MemoryStore& store, const Changes& changes, const Windows& after,
                     TimeMs now);
  void CheckStay(const MemoryStore& store, const Windows& after, const Job& job,
                 const Attempt& attempt, TimeMs now);
  bool BelongsThere(const MemoryStore& store, const FakeJob& job, const AdminReservation& one,
                    TimeMs now) const;
  bool HasRoom(const MemoryStore& store, const FakeSlurm& slurm, const View& view,
               const AdminReservation& one, const JobSpec& spec) const;
  std::string WrongReason(const MemoryStore& store, const FakeSlurm& slurm, const View& view,
                          const Job& job, const Reason& reason, TimeMs now) const;

  DurationMs margin_ms_;
  DurationMs late_ms_;
  std::vector<PutReservation> puts_;  // asked for, and not yet seen
  std::set<std::string> deletes_;     // asked for, ever
  std::set<JobRef> may_delay_;        // an admin asked for a longer limit, whatever it delays
  std::map<std::string, Since> since_;
  std::set<AttemptRef> prolonged_;  // into a reservation, on purpose
  std::set<std::pair<std::string, TimeMs>> begun_;
  std::map<std::pair<JobRef, std::string>, TimeMs> idle_since_;
  std::int64_t shared_epochs_ = 0;
  WindowFigures figures_;
  std::vector<std::string> breaches_;
};

}  // namespace kezek::sim
