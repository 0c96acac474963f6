// What people look up in the ledger, as SQL. Its indexes and totals serve all of it: who asks for
// some accounts, some users or a job reads no other's entries. A listing goes back from their last
// entry, so one of a kind that they seldom have, or of long ago, costs a walk through theirs.
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
// Account, name, spent, of those of these budgets that have any.
Sql SpentSinceSql(const std::vector<BudgetRef>& budgets, TimeMs since_ms);
// First and last number of the book of charges in [since, until), not after `last_seq` (0: all);
// 0: there are none. Times never fall with numbers, so the ends by time are the ends by number.
Sql LedgerRangeSql(TimeMs since_ms, TimeMs until_ms, std::int64_t last_seq);
// Selects `fields` of the entries l, rate and factor of their attempts or of what ran beside Kezek,
// and the Unix account of the latter.
Sql LedgerListSql(const LedgerQuery& query, const std::string& fields);

}  // namespace kezek::postgres
