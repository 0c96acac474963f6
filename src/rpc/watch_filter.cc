#include <algorithm>

#include "rpc/field_checks.h"
#include "rpc/job_convert.h"
#include "rpc/job_lookup.h"
#include "rpc/job_refs.h"
#include "rpc/watch.h"

namespace kezek::rpc {

Result<WatchFilter> ReadWatchFilter(const v1::WatchRequest& request, const Caller& caller) {
  WatchFilter filter;
  FieldChecks checks;
  if (request.has_after_seq()) checks.Range("after_seq", request.after_seq(), 0, INT64_MAX);
  checks.Require(!request.until_final() || request.jobs_size() > 0, "jobs",
                 "must name the jobs that until_final waits for");
  for (int i = 0; i < request.kinds_size(); ++i) {
    checks.Range("kinds[" + std::to_string(i) + "]", request.kinds(i), 0, v1::EVENT_KIND_OTHER);
    if (request.kinds(i) != v1::EVENT_KIND_UNSPECIFIED) filter.kinds.insert(request.kinds(i));
  }
  if (!checks.ok()) return checks.error();
  if (request.jobs_size() > 0) {
    const auto refs = ReadJobs(request.jobs(), kRefsMax);
    if (!refs) return refs.error();
    filter.jobs.insert(refs->begin(), refs->end());
  }
  const Directory& directory = caller.directory();
  for (int i = 0; i < request.accounts_size(); ++i) {
    const std::string field = "accounts[" + std::to_string(i) + "]";
    const auto account = FindVisibleAccount(caller, request.accounts(i), field);
    if (!account) return account.error();
    for (const auto& [id, other] : directory.accounts) {
      if (IsWithin(directory, id, *account)) filter.accounts.insert(id);
    }
  }
  filter.by_users = request.users_size() > 0;
  for (const auto& name : request.users()) {
    const auto found = directory.user_by_name.find(name);
    if (found != directory.user_by_name.end()) filter.users.insert(found->second);
  }
  return filter;
}

bool Passes(const WatchFilter& filter, const Caller& caller, const Event& event) {
  if (event.subject != Subject::kJob) return false;
  if (!filter.jobs.empty() && !filter.jobs.contains(event.job) &&
      !filter.jobs.contains({event.job.id, kNoElement})) {
    return false;
  }
  if (!filter.accounts.empty() && !filter.accounts.contains(event.project)) return false;
  if (filter.by_users && !filter.users.contains(event.user)) return false;
  if (!filter.kinds.empty() && !filter.kinds.contains(KindOf(event))) return false;
  return caller.Reaches(event.user, event.project);
}

}  // namespace kezek::rpc
