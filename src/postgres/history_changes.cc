#include "postgres/history_changes.h"

#include <array>
#include <utility>

#include "postgres/bulk.h"

namespace kezek::postgres {
namespace {

// Figures in the order of kAccountFigures.
constexpr auto kHourColumns = std::to_array<Column>({{"from_ms", "bigint"},
                                                     {"account_id", "bigint"},
                                                     {"gpu_type", "text"},
                                                     {"due", "bigint"},
                                                     {"entitled", "bigint"},
                                                     {"held", "bigint"},
                                                     {"demanded", "bigint"},
                                                     {"borrowed", "bigint"},
                                                     {"lent", "bigint"},
                                                     {"no_demand", "bigint"},
                                                     {"by_limits", "bigint"},
                                                     {"by_budgets", "bigint"},
                                                     {"unfit", "bigint"},
                                                     {"taken", "bigint"},
                                                     {"away", "bigint"},
                                                     {"apart", "bigint"},
                                                     {"first_version", "bigint"},
                                                     {"last_version", "bigint"}});
constexpr std::size_t kHourKeys = 3;
constexpr std::size_t kHourSums = kHourKeys + kAccountFigures.size();  // then the versions
static_assert(kHourColumns.size() == kHourSums + 2);

// What is there already grows.
std::string AddHoursSql() {
  std::string sql = InsertSql("account_hours", kHourColumns, "") +
                    " on conflict (from_ms, account_id, gpu_type) do update set ";
  for (std::size_t i = kHourKeys; i < kHourSums; ++i) {
    const std::string name(kHourColumns[i].name);
    sql += name + " = account_hours." + name + " + excluded." + name + ", ";
  }
  return sql +
         "first_version = least(account_hours.first_version, excluded.first_version),"
         " last_version = greatest(account_hours.last_version, excluded.last_version)";
}

// What has been put together stays as it is.
std::string PutHoursTogetherSql() {
  std::string names = "from_ms, account_id, gpu_type";
  std::string sums;
  for (std::size_t i = kHourKeys; i < kHourSums; ++i) {
    const std::string name(kHourColumns[i].name);
    names += ", " + name;
    sums += ", sum(" + name + ")::bigint";
  }
  names += ", first_version, last_version";
  sums += ", min(first_version), max(last_version)";
  return "with until as (select ($1::bigint[])[1] as ms),"
         " hours as (delete from account_hours h using leader l, until u"
         "   where h.from_ms >= l.history_days_before_ms and h.from_ms < u.ms returning h.*),"
         " noted as (update leader set history_days_before_ms = u.ms from until u"
         "   where history_days_before_ms < u.ms)"
         " insert into account_hours (" +
         names + ") select from_ms / 86400000 * 86400000, account_id, gpu_type" + sums +
         " from hours group by 1, 2, 3";
}

}  // namespace

std::vector<Call> HistoryCalls(const HistoryChange& history) {
  Bulk rows(kHourColumns.size());
  for (const AccountHour& hour : history.hours) {
    rows.Int(hour.from_ms).Int(hour.account.value).Text(hour.gpu_type);
    for (const auto member : kAccountFigures) rows.Int(hour.figures.*member);
    rows.Int(hour.versions.first).Int(hour.versions.last);
  }
  Bulk until(1);
  if (history.until_ms > 0) until.Int(history.until_ms);
  Bulk days(1);
  if (history.to_days_before_ms > 0) days.Int(history.to_days_before_ms);
  std::vector<Call> calls;
  AddIfAny("add_hours", rows, calls);
  AddIfAny("set_history_until", until, calls);
  AddIfAny("put_hours_together", days, calls);
  return calls;
}

void ForEachHistoryStatement(
    const std::function<void(const char* name, const std::string& sql)>& take) {
  take("add_hours", AddHoursSql());
  take("set_history_until", "update leader set history_until_ms = ($1::bigint[])[1]");
  take("put_hours_together", PutHoursTogetherSql());
}

}  // namespace kezek::postgres
