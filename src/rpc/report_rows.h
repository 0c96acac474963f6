// Rows of reports, from what the store has summed up. Pure.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kezek/report.h"
#include "kezek/result.h"
#include "kezek/v1/reports.pb.h"
#include "rpc/caller.h"
#include "rpc/report_groups.h"

namespace kezek::rpc {

// Empty, or one there is. NOT_FOUND NO_SUCH_GPU_TYPE.
Result<void> CheckGpuType(const Directory& directory, const std::string& gpu_type);

// The account a report is about; NOT_FOUND ACCOUNT_NOT_FOUND, unless the caller reaches it.
Result<AccountId> ReachedAccount(const Caller& caller, const std::string& path);

void SetWaits(const WaitSums& waits, v1::WaitFigures* wire);
// Adds; `group` and waits are left alone.
void AddSums(const ReportSums& sums, v1::ReportUsageRow* row);
void AddFigures(const AccountFigures& figures, v1::ReportUsageRow* row);

// Whether rows by these have how the account stood: that is not told apart by user, class or kind.
bool TellsStanding(const std::vector<v1::ReportGroup>& by);

// The rows of a usage report, sorted by group, and their total. How `tops` stood is that of the
// total: what parents are due is not the sum of their children's. `history` has the groups' units
// and `tops`.
void FillUsage(const Directory& directory, const std::vector<v1::ReportGroup>& by,
               const ReportGroups& groups, const std::set<AccountId>& tops,
               const ReportFigures& figures, const std::vector<HistoryRow>& history,
               v1::ReportUsageResponse* response);

// What an equity report compares.
struct EquityBasis {
  v1::ReportGroup by = v1::REPORT_GROUP_SECTOR;
  std::string gpu_type;    // empty: all, each by its rate
  bool anonymous = false;  // groups that are institutions get numbers
};
// `history` has the groups' units and all institutions.
void FillEquity(const Directory& directory, const EquityBasis& basis, const ReportGroups& groups,
                const ReportFigures& figures, const std::vector<HistoryRow>& history,
                v1::ReportEquityResponse* response);

// By kind, of what the caller reaches; what the lead of a project did in it is no override.
std::map<std::string, std::int64_t> OverridesOf(const Caller& caller,
                                                const std::vector<OverrideCount>& counts);

// From due to held.
void FillCauses(const AccountFigures& figures, v1::ExplainShareResponse* response);

}  // namespace kezek::rpc
