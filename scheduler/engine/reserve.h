// What passes share about promises to jobs that wait.
#pragma once

#include <optional>
#include <string>

#include "kezek/reason.h"
#include "kezek/reservation.h"
#include "scheduler/engine/agenda.h"
#include "scheduler/engine/passes.h"
#include "scheduler/engine/world.h"

namespace kezek::engine {

// Into the draft, for the plan. Whatever was noted of it in this tick before: what lies later than
// it did before the tick has been moved, and the reason why stays.
void Note(const World& world, Draft& draft, ReservationChange change);

// What a job with a reservation waits for; with a reclaim under way.
Reason ReservedAt(const Reservation& reservation);
Reason UnderWay(const World& world, const Reservation& claim);

// One that cannot be kept any more, which the agenda does not hold: gets the earliest time there is
// now, or ends where there is none. `why` is what moved it: "guarantee", "node", "grace",
// "foreign", "extension", "late", "admin:" and the name of an admin's reservation.
void MoveLater(const World& world, Draft& draft, Agenda& agenda, Reservation reservation,
               const std::string& why);

// Scavengers whose time has come leave what is promised.
void ClearPromised(const World& world, Draft& draft, Agenda& agenda);

// What is promised and would be kept no more if an attempt had this limit. The world has been
// refreshed for `now`.
std::optional<Reservation> DelayedBy(const World& world, const AttemptRef& attempt,
                                     DurationMs limit_ms, TimeMs now);

// A reclaim under way counts as allocated: in what limits, guarantees and budgets are measured by.
Given AddClaim(const World& world, Draft& draft, const Waiting& job, const Reservation& claim);

}  // namespace kezek::engine
