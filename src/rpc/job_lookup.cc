#include "rpc/job_lookup.h"

#include <limits>
#include <map>
#include <optional>
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

// The rows of these submissions; with `elements` their elements' too.
Result<void> AddRows(Reader& reader, const std::set<JobId>& ids, bool elements,
                     std::map<JobRef, JobRecord>* rows) {
  if (ids.empty()) return {};
  JobQuery query;
  query.elements = elements;
  query.limit = std::numeric_limits<std::int32_t>::max();
  for (const JobId id : ids) query.refs.push_back({id, kNoElement});
  auto found = reader.ListJobs(query);
  if (!found) return found.error();
  for (auto& record : *found) {
    const JobRef ref = record.job.ref;
    rows->insert_or_assign(ref, std::move(record));
  }
  return {};
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
  return ElementOf(*array, job);
}

Result<std::vector<JobRecord>> LoadJobs(Reader& reader, const Caller& caller,
                                        const std::vector<JobRef>& jobs) {
  std::vector<JobRecord> records;
  std::optional<JobRecord> array;  // the last one that elements without a row were made of
  for (const auto& job : jobs) {
    auto record = reader.GetJob(job);
    const bool missing = !record && record.error().code == Code::kNotFound;
    if (missing && job.element != kNoElement) {
      if (!array || array->job.ref.id != job.id) {
        auto row = reader.GetJob({job.id, kNoElement});
        if (!row && row.error().code != Code::kNotFound) return row.error();
        array = row ? std::optional<JobRecord>(std::move(*row)) : std::nullopt;
      }
      if (array) record = ElementOf(*array, job);
    }
    if (!record && record.error().code != Code::kNotFound) return record.error();
    if (!record || !caller.Reaches(record->job.user, record->job.spec->project)) {
      return JobNotFound(job, "jobs");
    }
    records.push_back(std::move(*record));
  }
  return records;
}

Result<std::vector<JobRecord>> LoadJobsAtOnce(Reader& reader, const Caller& caller,
                                              const std::vector<JobRef>& jobs) {
  std::set<JobId> whole;
  std::set<JobId> with_elements;
  for (const auto& job : jobs) {
    (job.element == kNoElement ? whole : with_elements).insert(job.id);
  }
  std::map<JobRef, JobRecord> rows;
  for (const bool elements : {false, true}) {
    const auto added = AddRows(reader, elements ? with_elements : whole, elements, &rows);
    if (!added) return added.error();
  }
  std::vector<JobRecord> records;
  records.reserve(jobs.size());
  for (const auto& job : jobs) {
    const auto found = rows.find(job);
    const auto array = rows.find({job.id, kNoElement});
    Result<JobRecord> record = JobNotFound(job, "jobs");
    if (found != rows.end()) {
      record = found->second;
    } else if (array != rows.end()) {
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
