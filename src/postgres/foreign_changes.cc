#include "postgres/foreign_changes.h"

#include "kezek/foreign.h"
#include "postgres/bulk.h"
#include "postgres/rows.h"

namespace kezek::postgres {
namespace {

constexpr auto kForeignColumns = std::to_array<Column>({{"cluster_job_id", "bigint"},
                                                        {"start_ms", "bigint"},
                                                        {"gpu_type", "text"},
                                                        {"end_ms", "bigint"},
                                                        {"unix_account", "text"},
                                                        {"nodes", "text[]"},
                                                        {"counted_milli", "bigint"},
                                                        {"rate_milli", "bigint"},
                                                        {"project_id", "bigint"},
                                                        {"settings_version", "bigint"}});

}  // namespace

std::vector<Call> ForeignCalls(const Changes& changes) {
  Bulk rows(kForeignColumns.size());
  for (const ForeignCharge& charge : changes.foreign) {
    ArrayLiteral nodes;
    for (const std::string& node : charge.nodes) nodes.AddText(node);
    rows.Int(charge.run.cluster_job_id).Int(charge.run.start_ms).Text(charge.gpu_type);
    rows.Int(charge.end_ms).Text(MakeStorable(charge.unix_account)).Text(nodes.Text());
    rows.Int(charge.counted_milli).Int(charge.rate_milli).Int(charge.project.value);
    rows.Int(charge.settings_version);
  }
  Bulk read(2);
  if (changes.foreign_read) {
    read.Int(changes.foreign_read->since_ms).Int(changes.foreign_read->until_ms);
  }
  std::vector<Call> calls;
  AddIfAny("add_foreign_runs", rows, calls);
  AddIfAny("set_foreign_read", read, calls);
  return calls;
}

// A row that is there already fails on its key, and all that came with it.
void ForEachForeignStatement(
    const std::function<void(const char* name, const std::string& sql)>& take) {
  take("add_foreign_runs", InsertSql("foreign_runs", kForeignColumns, ""));
  take("set_foreign_read",
       "update leader set foreign_since_ms = ($1::bigint[])[1],"
       " foreign_until_ms = ($2::bigint[])[1]");
}

void ReadForeign(pqxx::transaction_base& work, Snapshot& snapshot) {
  const pqxx::row read = work.exec1("select foreign_since_ms, foreign_until_ms from leader");
  snapshot.foreign_read = {read[0].as<std::int64_t>(), read[1].as<std::int64_t>()};
  const auto since = std::to_string(snapshot.foreign_read.until_ms - kForeignLateMs);
  for (const auto& row : work.exec(
           "select cluster_job_id, start_ms, end_ms from foreign_runs where end_ms >= " + since)) {
    RowCursor cursor(row);
    const std::int64_t job = cursor.Int();
    const TimeMs start_ms = cursor.Int();
    snapshot.foreign[{job, start_ms}] = cursor.Int();
  }
}

}  // namespace kezek::postgres
