#include "postgres/ledger_query.h"

#include <limits>

#include "kezek/names.h"
#include "postgres/array_literal.h"

namespace kezek::postgres {
namespace {

constexpr std::int64_t kNoEnd = std::numeric_limits<std::int64_t>::max();

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

// What entries `l` of a listing have to be, whoever's they are.
constexpr const char* kListed =
    " ($2::bigint = 0 or l.job_id = $2::bigint and $3::integer in (-1, l.element))"
    " and ($4::bigint[] = '{}' or l.user_id = any($4::bigint[]))"
    " and ($5::text[] = '{}' or l.kind = any($5::text[]))"
    " and ($6::text[] = '{}' or l.book = any($6::text[]))"
    " and l.time_ms >= $7::bigint and l.time_ms < $8::bigint and l.seq < $9::bigint";

// The last entries of each of `ids`, by an index that has its numbers in order.
std::string LastOfEach(const std::string& ids, const std::string& theirs) {
  return "select e.* from unnest(" + ids +
         ") as w(id) cross join lateral (select l.* from ledger l" + " where " + theirs + " and" +
         kListed + " order by l.seq desc limit $10::integer) e";
}

// Entries that a page is taken from: each once. An account's are those of its jobs, and those of
// its budgets that others' jobs draw on. A job has few: they are found by the job, whosever it is.
std::string PageSql(const LedgerQuery& query) {
  if (query.job || (query.accounts.empty() && query.users.empty())) {
    return std::string(
               "select l.* from ledger l where ($1::bigint[] = '{}'"
               " or l.project_id = any($1::bigint[])"
               " or l.budget_account_id = any($1::bigint[])) and") +
           kListed;
  }
  if (query.accounts.empty())
    return LastOfEach("$4::bigint[]", "l.user_id = w.id and $1::bigint[] = '{}'");
  return LastOfEach("$1::bigint[]", "l.project_id = w.id") + " union all " +
         LastOfEach("$1::bigint[]",
                    "l.book = 'budget' and l.budget_account_id = w.id"
                    " and l.project_id <> all($1::bigint[])");
}

}  // namespace

Sql ChargeTotalsSql(const std::vector<AccountId>& projects) {
  return {
      "select project_id, user_id, gpu_type, amount::bigint from charge_totals"
      " where project_id = any($1::bigint[]) order by project_id, user_id, gpu_type",
      {NumbersOf(projects)}};
}

// In the words of the index ledger_spent_of_budget, or it does not serve.
Sql SpentSinceSql(const std::vector<BudgetRef>& budgets, TimeMs since_ms) {
  ArrayLiteral accounts;
  ArrayLiteral names;
  for (const BudgetRef& budget : budgets) {
    accounts.AddInt(budget.account.value);
    names.AddText(budget.name);
  }
  return {
      "select b.account, b.name, s.amount"
      " from unnest($1::bigint[], $2::text[]) as b(account, name) cross join lateral"
      " (select sum(case when l.pot = 'spent' then l.amount else -l.amount end)::bigint as amount"
      "  from ledger l where l.book = 'budget' and (l.pot = 'spent' or l.contra = 'spent')"
      "  and l.budget_account_id = b.account and l.budget = b.name and l.time_ms >= $3::bigint) s"
      " where s.amount <> 0",
      {accounts.Text(), names.Text(), std::to_string(since_ms)}};
}

// Not min and max: they would be looked for from an end of all entries.
Sql LedgerRangeSql(TimeMs since_ms, TimeMs until_ms, std::int64_t last_seq) {
  const std::string end =
      "(select seq from ledger where book = 'charge' and time_ms >= $1::bigint"
      " and time_ms < $2::bigint and seq <= $3::bigint order by ";
  return {"select coalesce(" + end + "time_ms, seq limit 1), 0), coalesce(" + end +
              "time_ms desc, seq desc limit 1), 0)",
          {std::to_string(since_ms), std::to_string(until_ms), NumberOr(last_seq, kNoEnd)}};
}

Sql LedgerListSql(const LedgerQuery& query, const std::string& fields) {
  return {"select " + fields +
              ", coalesce(a.rate_milli, f.rate_milli, 0),"
              " coalesce(a.factor_milli, case when f.rate_milli is null then 0 else 1000 end),"
              " coalesce(f.unix_account, '') from (" +
              PageSql(query) +
              " order by seq desc limit $10::integer) l"
              " left join attempts a on a.job_id = l.job_id and a.element = l.element"
              " and a.number = l.attempt"
              " left join foreign_runs f on l.kind = 'foreign'"
              " and f.cluster_job_id = l.foreign_job and f.gpu_type = l.gpu_type"
              " and f.start_ms <= l.date_ms and l.date_ms < f.end_ms order by l.seq desc",
          {NumbersOf(query.accounts), query.job ? std::to_string(query.job->id.value) : "0",
           query.job ? std::to_string(query.job->element) : "-1", NumbersOf(query.users),
           NamesOf(query.kinds), NamesOf(query.books), std::to_string(query.since_ms),
           NumberOr(query.until_ms, kNoEnd), NumberOr(query.before_seq, kNoEnd),
           std::to_string(query.limit)}};
}

}  // namespace kezek::postgres
