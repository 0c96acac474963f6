// Into which groups reports put accounts, and what policy aims at for each. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kezek/desk.h"
#include "kezek/v1/reports.pb.h"
#include "rpc/caller.h"

namespace kezek::rpc {

inline constexpr const char* kOtherGroups = "others";

struct ReportGroups {
  // By number of the group: a text for each group asked for, "" where it is not about accounts.
  std::vector<std::vector<std::string>> labels;
  // Every account, with the group that its jobs belong to.
  std::vector<std::pair<AccountId, std::int32_t>> accounts;
  // Accounts none of which is below another: whose standing makes up the group's.
  std::vector<std::pair<AccountId, std::int32_t>> units;
};

// SECTOR, INSTITUTION, PROJECT, OWNERSHIP, COUNTRY, FUNDING.
bool IsAboutAccounts(v1::ReportGroup by);

// Accounts at and below `tops`. What stands for an account is the highest at or above it of the
// kind that is asked for (an institution, where its attributes are); where there is none the
// account itself; nothing above a top.
ReportGroups GroupAccounts(const Directory& directory, const std::set<AccountId>& tops,
                           const std::vector<v1::ReportGroup>& by);

// Leaves out accounts that the caller does not reach now: a tree of the past had some elsewhere.
void KeepReached(const Caller& caller, ReportGroups* groups);

// Leaves out groups that nothing stands for, such as that of the root alone.
void DropEmpty(ReportGroups* groups);

// Gives groups other labels: those that get the same become one.
void Relabel(ReportGroups* groups,
             const std::function<std::vector<std::string>(std::int32_t group)>& label);

// Puts groups of fewer than `least` institutions together as kOtherGroups, and more, the smallest
// first, until that one has as many.
void MergeSmall(const Directory& directory, std::size_t least, ReportGroups* groups);

// Every institution: the units of a report by institution.
std::vector<AccountId> Institutions(const Directory& directory);

// What policy aims at for every account, millionths of the whole. A target that is set is a part of
// the parent's; accounts without one share, by weight, what their siblings' leave. Closed accounts
// get none.
std::map<AccountId, std::int64_t> TargetsPpm(const Directory& directory,
                                             const std::string& gpu_type);

}  // namespace kezek::rpc
