// The ledger, for people.
#include <limits>
#include <utility>

#include "kezek/names.h"
#include "postgres/array_literal.h"
#include "postgres/database_reader.h"
#include "postgres/rows.h"

namespace kezek::postgres {
namespace {

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

Result<std::vector<LedgerRow>> DatabaseReader::ListLedger(const LedgerQuery& query) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  const std::vector<std::string> params = {NumbersOf(query.accounts),
                                           query.job ? std::to_string(query.job->id.value) : "0",
                                           query.job ? std::to_string(query.job->element) : "-1",
                                           NumbersOf(query.users),
                                           NamesOf(query.kinds),
                                           NamesOf(query.books),
                                           std::to_string(query.since_ms),
                                           NumberOr(query.until_ms, kMost),
                                           NumberOr(query.before_seq, kMost),
                                           std::to_string(query.limit)};
  const std::string sql =
      std::string("select ") + kLedgerFields +
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
      " order by l.seq desc limit $10::integer";
  return With<std::vector<LedgerRow>>([&](pqxx::transaction_base& work) {
    std::vector<LedgerRow> rows;
    for (const auto& row : work.exec_params(sql, pqxx::prepare::make_dynamic_params(params))) {
      RowCursor cursor(row);
      LedgerRow& one = rows.emplace_back();
      one.entry = ReadLedgerEntry(cursor);
      one.rate_milli = cursor.Int();
      one.factor_milli = cursor.Int();
    }
    return rows;
  });
}

Result<std::map<BudgetRef, MilliGpuMs>> DatabaseReader::SpentSince(TimeMs since_ms) {
  return With<std::map<BudgetRef, MilliGpuMs>>([&](pqxx::transaction_base& work) {
    std::map<BudgetRef, MilliGpuMs> spent;
    for (const auto& row : work.exec_params(
             "select budget_account_id, budget, sum(amount)::bigint from budget_postings"
             " where pot = 'spent' and time_ms >= $1::bigint group by 1, 2"
             " having sum(amount) <> 0",
             since_ms)) {
      RowCursor cursor(row);
      const AccountId account{cursor.Int()};
      std::string name = cursor.String();
      spent[{account, std::move(name)}] = cursor.Int();
    }
    return spent;
  });
}

Result<std::vector<Correction>> DatabaseReader::ListCorrections(const CorrectionQuery& query) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  return With<std::vector<Correction>>([&](pqxx::transaction_base& work) {
    std::vector<Correction> rows;
    for (const auto& row : work.exec_params(
             std::string("select ") + kCorrectionFields +
                 " from corrections c where ($1::boolean or c.state = 'proposed')"
                 " and c.id < $2::bigint order by c.id desc limit $3::integer",
             query.decided, query.before_id == 0 ? kMost : query.before_id, query.limit)) {
      RowCursor cursor(row);
      rows.push_back(ReadCorrection(cursor));
    }
    return rows;
  });
}

Result<Correction> DatabaseReader::GetCorrection(std::int64_t id) {
  const auto found = With<std::vector<Correction>>([&](pqxx::transaction_base& work) {
    std::vector<Correction> rows;
    for (const auto& row : work.exec_params(
             std::string("select ") + kCorrectionFields + " from corrections c where c.id = $1",
             id)) {
      RowCursor cursor(row);
      rows.push_back(ReadCorrection(cursor));
    }
    return rows;
  });
  if (!found) return found.error();
  if (!found->empty()) return found->front();
  return FieldProblem(Code::kNotFound,
                      {"id", "CORRECTION_NOT_FOUND", "there is no such correction", {}});
}

}  // namespace kezek::postgres
