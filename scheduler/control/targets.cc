#include "scheduler/control/targets.h"

#include "kezek/index_ranges.h"

namespace kezek::control {

Place Find(const Core& core, const JobRef& ref) {
  if (core.state.FindJob(ref) != nullptr) return Place::kRow;
  if (ref.element == kNoElement) return Place::kGone;
  const Job* row = core.state.FindJob({ref.id, kNoElement});
  if (row == nullptr) return Place::kGone;
  if (!IsArrayRow(*row)) return Place::kNone;
  if (ContainsIndex(row->pending, ref.element)) return Place::kPending;
  return ContainsIndex(row->spec->array->indices, ref.element) ? Place::kGone : Place::kNone;
}

bool IsOver(const Core& core, const JobRef& ref) {
  const Place place = Find(core, ref);
  return place == Place::kGone || (place == Place::kRow && IsFinal(core.JobOf(ref).state));
}

Result<void> CheckAll(const Core& core, const std::vector<JobRef>& jobs) {
  for (const JobRef& job : jobs) {
    if (Find(core, job) != Place::kNone) continue;
    return FieldProblem(Code::kNotFound, {"jobs",
                                          "NO_SUCH_JOB",
                                          ToText({job.id, kNoElement}) + " has no element " +
                                              std::to_string(job.element),
                                          {}});
  }
  return {};
}

Job RowFor(Core& core, const JobRef& ref) {
  const Job* job = core.state.FindJob(ref);
  return job != nullptr ? *job : MakeElement(core, ref);
}

}  // namespace kezek::control
