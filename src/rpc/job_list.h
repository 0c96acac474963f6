// Listings of jobs: what a filter means for one caller, and pages in any order. Runs on the read
// pool; knows no gRPC.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kezek/result.h"
#include "kezek/store.h"
#include "kezek/v1/job_service.pb.h"
#include "rpc/caller.h"
#include "rpc/sealed_token.h"

namespace kezek::rpc {

// Rows that one call looks at, at most; then the page ends and the next goes on from there.
inline constexpr std::int64_t kScanMax = 20'000;

enum class ListKey : std::uint8_t { kId, kStarted, kEnded, kGpus, kUser, kProject, kState };

// A request, understood and checked. What the store cannot tell apart is looked at row by row.
struct ListPlan {
  const Caller* caller = nullptr;
  v1::JobScope scope = v1::JOB_SCOPE_MINE;
  JobQuery query;  // never narrower than the filter
  bool redacted_rows = false;
  ListKey key = ListKey::kId;
  bool descending = true;
  bool expand_arrays = false;
  std::set<JobState> states;
  bool by_users = false;
  std::set<UserId> users;
  std::set<AccountId> projects;
  std::vector<std::string> names;
  std::set<std::string> nodes;
  std::set<ReasonCode> reasons;
  TimeMs active_since_ms = 0;
  TimeMs active_until_ms = 0;  // both 0: no condition
  std::map<std::string, std::string> labels;
  Sha256 request_hash{};
};

// INVALID_ARGUMENT FIELD_INVALID, ORDER_INVALID; NOT_FOUND ACCOUNT_NOT_FOUND.
Result<ListPlan> PlanList(const v1::ListJobsRequest& request, const Caller& caller);

struct ListedPage {
  std::vector<JobRecord> rows;
  std::string next_token;
};

// INVALID_ARGUMENT PAGE_TOKEN_INVALID, ORDER_INVALID (too many rows match for this order).
Result<ListedPage> ReadPageOfJobs(const ListPlan& plan, const v1::PageRequest& page,
                                  const TokenSealer& sealer, Reader& reader, const Desk& desk);

// The whole filter for one row. `reader` for what the row itself does not say.
Result<bool> Matches(const ListPlan& plan, const JobRecord& record, Reader& reader);

}  // namespace kezek::rpc
