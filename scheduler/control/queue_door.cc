#include "scheduler/control/queue_door.h"

#include <algorithm>

#include "kezek/index_ranges.h"

namespace kezek::control {
namespace {

std::int64_t JobsOf(const JobSpec& spec) {
  return spec.array ? CountIndices(spec.array->indices) : 1;
}

}  // namespace

void QueueDoor::Show(std::shared_ptr<const Admission> admission, const View& view) {
  admission_ = std::move(admission);
  queued_ = {view.queued_in_account, view.queued_of_user, view.queued_of_class_user};
  for (const auto& [who, jobs] : taken_in_) {
    const auto found = inside_.find(who);
    if (found != inside_.end() && (found->second -= jobs) <= 0) inside_.erase(found);
  }
  taken_in_.clear();
  for (const auto& [who, jobs] : inside_) Count(who, jobs);
}

Result<void> QueueDoor::Enter(UserId owner, const JobSpec& spec) {
  if (admission_ == nullptr) {
    return Error{Code::kUnavailable, "kezekd is starting; try again", {}};
  }
  if (auto room = admission_->CheckQueue(queued_, owner, spec); !room) return room;
  const Who who{spec.project, owner, spec.job_class};
  inside_[who] += JobsOf(spec);
  Count(who, JobsOf(spec));
  return {};
}

void QueueDoor::Leave(UserId owner, const JobSpec& spec) {
  const auto found = inside_.find({spec.project, owner, spec.job_class});
  if (found == inside_.end()) return;
  const std::int64_t jobs = std::min(found->second, JobsOf(spec));
  Count(found->first, -jobs);
  if ((found->second -= jobs) == 0) inside_.erase(found);
}

void QueueDoor::TakeIn(const Job& job) {
  taken_in_[{job.spec->project, job.user, job.spec->job_class}] += JobsOf(*job.spec);
}

// In the class, in the project and in every account above it, as a view does.
void QueueDoor::Count(const Who& who, std::int64_t jobs) {
  queued_.of_class_user[{who.job_class, who.owner}] += jobs;
  const auto& accounts = admission_->directory()->accounts;
  for (auto at = accounts.find(who.project); at != accounts.end();
       at = accounts.find(at->second.parent)) {
    queued_.in_account[at->first] += jobs;
    queued_.of_user[{at->first, who.owner}] += jobs;
  }
}

}  // namespace kezek::control
