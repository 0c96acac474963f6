#include "rpc/job_lookup.h"

#include <limits>
#include <map>
#include <set>
#include <utility>

#include "rpc/job_convert.h"
#include "rpc/job_refs.h"
#include "rpc/status.h"

namespace kezek::rpc {
namespace {

Result<JobRecord> ElementOf(const JobRecord& array, const JobRef& job) {
  auto element = ElementWithoutRow(array, job.element);
  if (!element) return JobNotFound(job, "jobs");
  return std::move(*element);
}

// Adds the rows there are of these.
Result<void> AddRows(Reader& reader, std::vector<JobRef> refs, bool elements,
                     std::map<JobRef, JobRecord>* rows) {
  if (refs.empty()) return {};
  JobQuery query;
  query.refs = std::move(refs);
  query.elements = elements;
  query.all_attempts = true;
  query.limit = std::numeric_limits<std::int32_t>::max();
  auto found = reader.ListJobs(query);
  if (!found) return found.error();
  for (auto& record : *found) {
    const JobRef ref = record.job.ref;
    rows->insert_or_assign(ref, std::move(record));
  }
  return {};
}

// The rows of these, and of the arrays of elements: those first, since an element that gets its row
// meanwhile is then found, and one that has none is still as its array said.
Result<std::map<JobRef, JobRecord>> RowsOf(Reader& reader, const std::vector<JobRef>& jobs) {
  std::set<JobRef> whole;
  std::vector<JobRef> elements;
  for (const auto& job : jobs) {
    whole.insert({job.id, kNoElement});
    if (job.element != kNoElement) elements.push_back(job);
  }
  std::map<JobRef, JobRecord> rows;
  const auto first = AddRows(reader, {whole.begin(), whole.end()}, false, &rows);
  if (!first) return first.error();
  const auto second = AddRows(reader, std::move(elements), true, &rows);
  if (!second) return second.error();
  return rows;
}

}  // namespace

Error JobNotFound(const JobRef& job, const std::string& field) {
  const std::string name = ToText(job);
  return FieldProblem(
      Code::kNotFound,
      {field, "JOB_NOT_FOUND", "there is no job " + name + " that you may see", {{"job", name}}});
}

Result<JobRecord> LoadJob(Reader& reader, const JobRef& job) {
  auto record = reader.GetJob(job);
  if (record || record.error().code != Code::kNotFound || job.element == kNoElement) return record;
  const auto array = reader.GetJob({job.id, kNoElement});
  if (!array) return array.error();
  record = reader.GetJob(job);  // it may have got its row meanwhile
  if (record || record.error().code != Code::kNotFound) return record;
  return ElementOf(*array, job);
}

Result<std::vector<JobRecord>> LoadJobs(Reader& reader, const Caller& caller,
                                        const std::vector<JobRef>& jobs) {
  const auto rows = RowsOf(reader, jobs);
  if (!rows) return rows.error();
  std::vector<JobRecord> records;
  records.reserve(jobs.size());
  for (const auto& job : jobs) {
    const auto found = rows->find(job);
    const auto array = rows->find({job.id, kNoElement});
    Result<JobRecord> record = JobNotFound(job, "jobs");
    if (found != rows->end()) {
      record = found->second;
    } else if (array != rows->end()) {
      record = ElementOf(array->second, job);
    }
    if (!record) return record.error();
    if (!caller.Reaches(record->job.user, record->job.spec->project)) {
      return JobNotFound(job, "jobs");
    }
    records.push_back(std::move(*record));
  }
  return records;
}

Result<std::vector<JobRef>> ReadJobs(const google::protobuf::RepeatedPtrField<std::string>& texts,
                                     std::size_t max) {
  if (texts.empty()) return Invalid("jobs", "must name at least one job");
  std::vector<JobRef> named;
  for (int i = 0; i < texts.size(); ++i) {
    const auto parsed = ParseJobs(texts.at(i), "jobs[" + std::to_string(i) + "]", &named);
    if (!parsed) return parsed.error();
  }
  std::vector<JobRef> refs;
  std::set<JobRef> seen;
  for (const auto& ref : named) {
    if (seen.insert(ref).second) refs.push_back(ref);
  }
  if (refs.size() > max) {
    return FieldProblem(
        Code::kInvalidArgument,
        {"jobs",
         "TOO_MANY",
         "are " + std::to_string(refs.size()) + "; at most " + std::to_string(max) + " at once",
         {{"limit", std::to_string(max)}}});
  }
  return refs;
}

}  // namespace kezek::rpc
