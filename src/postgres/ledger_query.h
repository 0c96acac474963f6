// What people look up in the ledger, as SQL. Its indexes and totals serve all but the list of
// entries: that one goes back from the last entry, so an account with few entries costs a walk.
// Private to src/postgres; pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kezek/ids.h"
#include "kezek/store.h"
#include "kezek/time.h"
#include "postgres/job_query.h"

namespace kezek::postgres {

// Project, user, GPU type, charged: of the totals that a trigger keeps.
Sql ChargeTotalsSql(const std::vector<AccountId>& projects);
// Account, name, spent.
Sql SpentSinceSql(TimeMs since_ms);
// First and last number of the book of charges in [since, until), not after `last_seq` (0: all);
// 0: there are none. Times never fall with numbers, so the ends by time are the ends by number.
Sql LedgerRangeSql(TimeMs since_ms, TimeMs until_ms, std::int64_t last_seq);
// Selects `fields` of the entries l, and rate and factor of their attempts.
Sql LedgerListSql(const LedgerQuery& query, const std::string& fields);

}  // namespace kezek::postgres
