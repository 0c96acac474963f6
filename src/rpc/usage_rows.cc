#include "rpc/usage_rows.h"

#include <algorithm>
#include <map>
#include <utility>

#include "kezek/node_owners.h"
#include "rpc/entitlement_convert.h"

namespace kezek::rpc {
namespace {

std::int64_t MilliGpuMsOf(double gpu_hours) {
  return static_cast<std::int64_t>(gpu_hours * 1000.0 * static_cast<double>(kHourMs));
}

Share ShareOf(const Account& account, const std::string& type) {
  const auto found = account.settings.shares.find(type);
  return found == account.settings.shares.end() ? Share{} : found->second;
}

Standing StandingOf(const View& view, AccountId account, const std::string& type) {
  const auto found = view.standings.find({account, type});
  return found == view.standings.end() ? Standing{} : found->second;
}

void AddJobCounts(const View& view, AccountId account, const std::string& type, v1::UsageRow* row) {
  std::int64_t running = 0;
  if (view.alive) {
    for (const auto& attempt : *view.alive) {
      const bool here = IsWithin(*view.directory, attempt.project, account);
      running += here && attempt.shape.gpu_type == type ? 1 : 0;
    }
  }
  row->set_jobs_running(running);
  const auto queued = view.queued_in_account.find(account);
  row->set_jobs_queued(queued == view.queued_in_account.end() ? 0 : queued->second);
}

// Whether the caller may know how its members share a project.
bool SeesUsersOf(const Caller& caller, AccountId project) {
  if (caller.everywhere) return true;
  const Directory& directory = caller.directory();
  const auto& roles = directory.users.at(caller.user).roles;
  return caller.ReachesAccount(project) &&
         std::any_of(roles.begin(), roles.end(), [&](const RoleGrant& grant) {
           return grant.role != Role::kResearcher && grant.role != Role::kMetricsReader &&
                  IsWithin(directory, project, grant.account);
         });
}

// The users of a project that have anything in a GPU type, by their usage.
std::vector<v1::UsageRow> UsersOf(const Caller& caller, AccountId project, const std::string& type,
                                  const std::vector<ChargeTotal>& charged) {
  const View& view = *caller.view;
  const Directory& directory = *view.directory;
  std::map<UserId, v1::UsageRow> rows;
  std::int64_t all = 0;
  if (view.user_usage != nullptr) {
    for (auto at = view.user_usage->lower_bound({project, UserId{}, ""});
         at != view.user_usage->end() && at->first.project == project; ++at) {
      if (at->first.gpu_type != type) continue;
      const std::int64_t usage = MilliGpuMsOf(at->second);
      rows[at->first.user].set_usage_milli_gpu_ms(usage);
      all += usage;
    }
  }
  for (const ChargeTotal& charge : charged) {
    if (charge.project != project || charge.gpu_type != type) continue;
    v1::UsageRow& row = rows[charge.user];
    row.set_charged_milli_gpu_ms(row.charged_milli_gpu_ms() + charge.charged);
  }
  if (view.alive != nullptr) {
    for (const Alive& attempt : *view.alive) {
      if (attempt.project != project || attempt.shape.gpu_type != type) continue;
      v1::UsageRow& row = rows[attempt.user];
      row.set_jobs_running(row.jobs_running() + 1);
      if (IsApart(attempt.placement, directory.owners)) {
        row.set_apart_milli_gpus(row.apart_milli_gpus() + attempt.counted_milli);
      } else {
        row.set_running_milli_gpus(row.running_milli_gpus() + attempt.counted_milli);
      }
    }
  }
  for (auto at = view.queued_of_user.lower_bound({project, UserId{}});
       at != view.queued_of_user.end() && at->first.first == project; ++at) {
    if (at->second > 0) rows[at->first.second].set_jobs_queued(at->second);
  }
  std::vector<v1::UsageRow> sorted;
  for (auto& [user, row] : rows) {
    const auto known = directory.users.find(user);
    if (known == directory.users.end()) continue;
    if (user != caller.user && !SeesUsersOf(caller, project)) continue;
    row.set_account(PathOf(directory, project));
    row.set_user(known->second.name);
    row.set_gpu_type(type);
    if (all > 0) {
      row.set_usage_ppm(static_cast<std::int64_t>(
          1e6 * static_cast<double>(row.usage_milli_gpu_ms()) / static_cast<double>(all)));
    }
    sorted.push_back(std::move(row));
  }
  std::sort(sorted.begin(), sorted.end(), [](const v1::UsageRow& a, const v1::UsageRow& b) {
    return std::pair{a.usage_milli_gpu_ms(), a.user()} <
           std::pair{b.usage_milli_gpu_ms(), b.user()};
  });
  return sorted;
}

}  // namespace

v1::UsageRow UsageOf(const View& view, AccountId id, const std::string& type,
                     const std::vector<ChargeTotal>& charged) {
  const Directory& directory = *view.directory;
  const Standing standing = StandingOf(view, id, type);
  double siblings_usage = 0;
  std::int64_t siblings_weight = 0;
  MilliGpus siblings_entitled = 0;
  for (const auto& [other, account] : directory.accounts) {
    if (account.parent != directory.accounts.at(id).parent || account.closed) continue;
    siblings_usage += StandingOf(view, other, type).usage_gpu_hours;
    siblings_weight += ShareOf(account, type).weight_milli;
    siblings_entitled += StandingOf(view, other, type).entitled_milli;
  }
  v1::UsageRow row;
  row.set_account(PathOf(directory, id));
  row.set_gpu_type(type);
  row.set_usage_milli_gpu_ms(MilliGpuMsOf(standing.usage_gpu_hours));
  for (const auto& charge : charged) {
    if (charge.gpu_type == type && IsWithin(directory, charge.project, id)) {
      row.set_charged_milli_gpu_ms(row.charged_milli_gpu_ms() + charge.charged);
    }
  }
  row.set_running_milli_gpus(standing.allocated_milli);
  row.set_apart_milli_gpus(standing.apart_milli);
  if (siblings_usage > 0) {
    row.set_usage_ppm(static_cast<std::int64_t>(1e6 * standing.usage_gpu_hours / siblings_usage));
  }
  const Share share = ShareOf(directory.accounts.at(id), type);
  if (siblings_weight > 0) {
    row.set_weight_ppm(share.weight_milli * 1'000'000 / siblings_weight);
  }
  if (siblings_entitled > 0) {
    row.set_entitled_ppm(standing.entitled_milli * 1'000'000 / siblings_entitled);
  }
  if (share.target_ppm) row.set_target_ppm(*share.target_ppm);
  AddJobCounts(view, id, type, &row);
  *row.mutable_entitlement() = ToEntitlementRow(view, id, type);
  row.mutable_entitlement()->clear_account();
  row.mutable_entitlement()->clear_gpu_type();
  return row;
}

void AddUsers(const Caller& caller, const std::vector<AccountId>& accounts,
              const std::vector<std::string>& types, const std::vector<ChargeTotal>& charged,
              v1::GetUsageResponse* response) {
  for (const AccountId id : accounts) {
    if (caller.directory().accounts.at(id).kind != "project") continue;
    for (const std::string& type : types) {
      for (v1::UsageRow& row : UsersOf(caller, id, type, charged)) {
        *response->add_rows() = std::move(row);
      }
    }
  }
}

}  // namespace kezek::rpc
