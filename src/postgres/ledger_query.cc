#include "postgres/ledger_query.h"

#include <limits>

#include "kezek/names.h"
#include "postgres/array_literal.h"

namespace kezek::postgres {
namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

template <class Ids>
std::string NumbersOf(const Ids& ids) {
  ArrayLiteral numbers;
  for (const auto& id : ids) numbers.AddInt(id.value);
  return numbers.Text();
}

template <class Enums>
std::string NamesOf(const Enums& values) {
  ArrayLiteral names;
  for (const auto value : values) names.AddText(NameOf(value));
  return names.Text();
}

std::string NumberOr(std::int64_t value, std::int64_t otherwise) {
  return std::to_string(value == 0 ? otherwise : value);
}

}  // namespace

Sql ChargeTotalsSql(const std::vector<AccountId>& projects) {
  return {
      "select project_id, user_id, gpu_type, amount::bigint from charge_totals"
      " where project_id = any($1::bigint[]) order by project_id, user_id, gpu_type",
      {NumbersOf(projects)}};
}

// In the words of the index ledger_spent_by_time, or it does not serve.
Sql SpentSinceSql(TimeMs since_ms) {
  return {
      "select budget_account_id, budget,"
      " sum(case when pot = 'spent' then amount else -amount end)::bigint from ledger"
      " where book = 'budget' and (pot = 'spent' or contra = 'spent') and time_ms >= $1::bigint"
      " group by 1, 2 having sum(case when pot = 'spent' then amount else -amount end) <> 0",
      {std::to_string(since_ms)}};
}

// Not min and max: they would be looked for from an end of all entries.
Sql LedgerRangeSql(TimeMs since_ms, TimeMs until_ms, std::int64_t last_seq) {
  const std::string end =
      "(select seq from ledger where book = 'charge' and time_ms >= $1::bigint"
      " and time_ms < $2::bigint and seq <= $3::bigint order by ";
  return {"select coalesce(" + end + "time_ms, seq limit 1), 0), coalesce(" + end +
              "time_ms desc, seq desc limit 1), 0)",
          {std::to_string(since_ms), std::to_string(until_ms), NumberOr(last_seq, kMost)}};
}

Sql LedgerListSql(const LedgerQuery& query, const std::string& fields) {
  return {"select " + fields +
              ", coalesce(a.rate_milli, 0), coalesce(a.factor_milli, 0)"
              " from ledger l left join attempts a on a.job_id = l.job_id and a.element = l.element"
              " and a.number = l.attempt"
              " where ($1::bigint[] = '{}' or l.project_id = any($1::bigint[])"
              "        or l.budget_account_id = any($1::bigint[]))"
              " and ($2::bigint = 0 or l.job_id = $2::bigint and $3::integer in (-1, l.element))"
              " and ($4::bigint[] = '{}' or l.user_id = any($4::bigint[]))"
              " and ($5::text[] = '{}' or l.kind = any($5::text[]))"
              " and ($6::text[] = '{}' or l.book = any($6::text[]))"
              " and l.time_ms >= $7::bigint and l.time_ms < $8::bigint and l.seq < $9::bigint"
              " order by l.seq desc limit $10::integer",
          {NumbersOf(query.accounts), query.job ? std::to_string(query.job->id.value) : "0",
           query.job ? std::to_string(query.job->element) : "-1", NumbersOf(query.users),
           NamesOf(query.kinds), NamesOf(query.books), std::to_string(query.since_ms),
           NumberOr(query.until_ms, kMost), NumberOr(query.before_seq, kMost),
           std::to_string(query.limit)}};
}

}  // namespace kezek::postgres
