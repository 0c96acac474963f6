// The ledger, for people.
#include <limits>
#include <utility>

#include "postgres/database_reader.h"
#include "postgres/ledger_query.h"
#include "postgres/rows.h"

namespace kezek::postgres {
namespace {

pqxx::result Run(pqxx::transaction_base& work, const Sql& sql) {
  return work.exec_params(sql.text, pqxx::prepare::make_dynamic_params(sql.params));
}

}  // namespace

Result<std::vector<LedgerRow>> DatabaseReader::ListLedger(const LedgerQuery& query) {
  return With<std::vector<LedgerRow>>([&](pqxx::transaction_base& work) {
    std::vector<LedgerRow> rows;
    for (const auto& row : Run(work, LedgerListSql(query, kLedgerFields))) {
      RowCursor cursor(row);
      LedgerRow& one = rows.emplace_back();
      one.entry = ReadLedgerEntry(cursor);
      one.rate_milli = cursor.Int();
      one.factor_milli = cursor.Int();
      one.foreign_unix_account = cursor.String();
    }
    return rows;
  });
}

Result<std::vector<ChargeTotal>> DatabaseReader::ChargeTotals(
    const std::vector<AccountId>& projects) {
  return With<std::vector<ChargeTotal>>([&](pqxx::transaction_base& work) {
    std::vector<ChargeTotal> totals;
    for (const auto& row : Run(work, ChargeTotalsSql(projects))) {
      RowCursor cursor(row);
      ChargeTotal& one = totals.emplace_back();
      one.project.value = cursor.Int();
      one.user.value = cursor.Int();
      one.gpu_type = cursor.String();
      one.charged = cursor.Int();
    }
    return totals;
  });
}

Result<std::map<BudgetRef, MilliGpuMs>> DatabaseReader::SpentSince(
    const std::vector<BudgetRef>& budgets, TimeMs since_ms) {
  return With<std::map<BudgetRef, MilliGpuMs>>([&](pqxx::transaction_base& work) {
    std::map<BudgetRef, MilliGpuMs> spent;
    for (const auto& row : Run(work, SpentSinceSql(budgets, since_ms))) {
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
