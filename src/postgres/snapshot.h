// Everything a controller needs to begin, read in one transaction. Private to src/postgres.
#pragma once

#include <cstdint>
#include <pqxx/pqxx>

#include "kezek/store.h"

namespace kezek::postgres {

// The numbers that the leader's committer counts on from.
struct Counters {
  std::int64_t next_job = 1;
  std::int64_t last_event_seq = 0;
  std::int64_t last_ledger_seq = 0;
  TimeMs last_time_ms = 0;
};

Counters ReadCounters(pqxx::transaction_base& work);

// All of Snapshot but epoch. Usage whose date is before `usage_since_ms` is left out. Throws as
// rows.h says.
Snapshot ReadSnapshot(pqxx::transaction_base& work, TimeMs usage_since_ms);

}  // namespace kezek::postgres
