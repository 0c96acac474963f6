// What is promised to jobs that wait, and what admins have reserved, as statements and as rows.
// Private to src/postgres.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "kezek/admin_reservation.h"
#include "kezek/reservation.h"
#include "kezek/store.h"
#include "postgres/changes.h"
#include "postgres/rows.h"

namespace kezek::postgres {

// None if nothing of it changes. Behind those of the jobs.
std::vector<Call> ReservationCalls(const Changes& changes);

void ForEachReservationStatement(
    const std::function<void(const char* name, const std::string& sql)>& take);

extern const char* const kReservationsSql;  // all of them, by row
Reservation ReadReservation(RowCursor& row);

extern const char* const kAdminReservationsSql;  // all of them, by name
AdminReservation ReadAdminReservation(RowCursor& row);

}  // namespace kezek::postgres
