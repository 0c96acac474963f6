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
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    if (Find(core, jobs[i]) != Place::kNone) continue;
    return FieldProblem(Code::kNotFound, {At(i),
                                          "NO_SUCH_JOB",
                                          ToText({jobs[i].id, kNoElement}) + " has no element " +
                                              std::to_string(jobs[i].element),
                                          {}});
  }
  return {};
}

Job RowFor(Core& core, const JobRef& ref) {
  const Job* job = core.state.FindJob(ref);
  return job != nullptr ? *job : MakeElement(core, ref);
}

std::string At(std::size_t index) { return "jobs[" + std::to_string(index) + "]"; }

}  // namespace kezek::control
