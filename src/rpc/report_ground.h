// What a report stands on: the tree under a version of the settings, the time, how far the history
// goes. The same ground gives the same figures.
#pragma once

#include <memory>

#include "kezek/report.h"
#include "kezek/result.h"
#include "kezek/store.h"
#include "kezek/v1/reports.pb.h"
#include "rpc/caller.h"

namespace kezek::rpc {

struct ReportGround {
  std::shared_ptr<const Directory> directory;  // with the accounts and rates asked for
  TimeMs now_ms = 0;
  HistoryKept kept;
};

// What a request may ask for: nothing of it is what there is now.
struct GroundAsked {
  std::int64_t settings_version = 0;
  std::int64_t last_ledger_seq = 0;
  std::map<std::string, std::int64_t> rates_milli;
};

template <class Request>
GroundAsked GroundOf(const Request& request) {
  return {request.settings_version(),
          request.last_ledger_seq(),
          {request.rates_milli().begin(), request.rates_milli().end()}};
}

// NOT_FOUND VERSION_NOT_FOUND, NO_SUCH_GPU_TYPE; INVALID_ARGUMENT FIELD_INVALID.
Result<ReportGround> LayGround(const Caller& caller, Reader& reader, const GroundAsked& asked,
                               TimeMs now);

// [since, until); until is never 0.
struct ReportTime {
  TimeMs since_ms = 0;
  TimeMs until_ms = 0;
};

// INVALID_ARGUMENT FIELD_INVALID; CUTS_A_DAY where hours are kept by the day. Without an end until
// now; with `full_hours` at most until the end of the last full hour that the history has.
Result<ReportTime> ReadTime(const v1::TimeRange& wire, const ReportGround& ground, bool full_hours);

v1::ReportBasis BasisOf(const ReportFigures& figures, const std::vector<HistoryRow>& history,
                        const ReportGround& ground, const ReportTime& time);

}  // namespace kezek::rpc
