#include "rpc/report_ground.h"

#include <algorithm>
#include <string>
#include <utility>

#include "rpc/account_past.h"
#include "rpc/status.h"

namespace kezek::rpc {
namespace {

constexpr TimeMs kEndOfTime = 32'503'680'000'000;     // the year 3000
constexpr std::int64_t kHighestRate = 1'000'000'000;  // thousandths

Result<void> SetRates(const std::map<std::string, std::int64_t>& rates, Directory* directory) {
  for (const auto& [type, rate] : rates) {
    const std::string field = "rates_milli[" + type + "]";
    const auto known = directory->rate_milli.find(type);
    if (known == directory->rate_milli.end()) {
      return NotFound("NO_SUCH_GPU_TYPE", field, "this cluster has no '" + type + "'");
    }
    if (rate < 0 || rate > kHighestRate) return Invalid(field, "is not a rate in thousandths");
    known->second = rate;
  }
  return {};
}

Result<void> CheckDay(const HistoryKept& kept, TimeMs time_ms) {
  if (time_ms >= kept.days_before_ms || time_ms % kDayMs == 0) return {};
  const TimeMs day = time_ms / kDayMs * kDayMs;
  return FieldProblem(
      Code::kInvalidArgument,
      {"time",
       "CUTS_A_DAY",
       "hours so long ago are kept by the day: begin and end with days, UTC",
       {{"since_ms", std::to_string(day)}, {"until_ms", std::to_string(day + kDayMs)}}});
}

}  // namespace

Result<ReportGround> LayGround(const Caller& caller, Reader& reader, const GroundAsked& asked,
                               TimeMs now) {
  if (asked.settings_version < 0) return Invalid("settings_version", "must not be negative");
  if (asked.last_ledger_seq < 0) return Invalid("last_ledger_seq", "must not be negative");
  const auto kept = reader.Kept();
  if (!kept) return kept.error();
  auto directory = std::make_shared<Directory>(caller.directory());
  if (const auto set = SetRates(asked.rates_milli, directory.get()); !set) return set.error();
  if (asked.settings_version > 0) {
    const auto history = reader.AccountHistory();
    if (!history) return history.error();
    auto accounts = AccountsAt(*history, asked.settings_version, "settings_version");
    if (!accounts) return accounts.error();
    directory->accounts = std::move(*accounts);
    directory->settings_version = asked.settings_version;
    directory->account_by_path.clear();
    for (const auto& [id, account] : directory->accounts) {
      directory->account_by_path[PathOf(*directory, id)] = id;
    }
  }
  return ReportGround{std::move(directory), now, *kept};
}

Result<ReportTime> ReadTime(const v1::TimeRange& wire, const ReportGround& ground,
                            bool full_hours) {
  ReportTime time{wire.since_ms(), wire.until_ms() == 0 ? ground.now_ms : wire.until_ms()};
  if (time.since_ms < 0 || time.until_ms < 0 || time.until_ms > kEndOfTime) {
    return Invalid("time", "is not a time there is");
  }
  if (full_hours) {
    const TimeMs known = std::min(ground.now_ms, ground.kept.until_ms);
    time.until_ms = std::min(time.until_ms, known) / kHourMs * kHourMs;
  }
  if (time.since_ms >= time.until_ms) {
    return Invalid("time", full_hours ? "has no full hour that is over" : "ends before it begins");
  }
  for (const TimeMs end : {time.since_ms, time.until_ms}) {
    if (const auto whole = CheckDay(ground.kept, end); !whole) return whole.error();
  }
  return time;
}

v1::ReportBasis BasisOf(const ReportFigures& figures, const std::vector<HistoryRow>& history,
                        const ReportGround& ground, const ReportTime& time) {
  v1::ReportBasis basis;
  basis.set_first_ledger_seq(figures.first_ledger_seq);
  basis.set_last_ledger_seq(figures.last_ledger_seq);
  basis.set_settings_version(ground.directory->settings_version);
  basis.mutable_time()->set_since_ms(time.since_ms);
  basis.mutable_time()->set_until_ms(time.until_ms);
  basis.set_made_ms(ground.now_ms);
  if (!history.empty()) {
    VersionRange versions = history.front().versions;
    for (const HistoryRow& row : history) versions += row.versions;
    basis.set_first_tick_settings_version(versions.first);
    basis.set_last_tick_settings_version(versions.last);
  }
  const auto& rates = ground.directory->rate_milli;
  basis.mutable_rates_milli()->insert(rates.begin(), rates.end());
  return basis;
}

}  // namespace kezek::rpc
