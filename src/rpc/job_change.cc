#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <variant>
#include <vector>

#include "kezek/bounds.h"
#include "rpc/field_checks.h"
#include "rpc/job_convert.h"
#include "rpc/job_lookup.h"
#include "rpc/job_refs.h"
#include "rpc/job_service.h"
#include "rpc/node_convert.h"
#include "rpc/spec_convert.h"
#include "rpc/update_plan.h"

namespace kezek::rpc {
namespace {

constexpr std::string_view kCheckpoint = "/kezek.v1.JobService/ReportCheckpoint";

// A change on its way: who asks, and of which jobs.
template <class Response>
struct Change {
  std::shared_ptr<const Caller> caller;  // what may be changed
  std::shared_ptr<const Caller> viewer;  // what may be seen
  std::vector<JobRef> refs;
  Response* response = nullptr;
  Reply reply;
};

Error NotOwner(const JobRef& job, const std::string& field) {
  const std::string name = ToText(job);
  return FieldProblem(Code::kPermissionDenied,
                      {field,
                       "NOT_OWNER",
                       "job " + name +
                           " is another's, and you lead neither its project nor an "
                           "account above it",
                       {{"job", name}}});
}

// The jobs, all of which the caller may change. NOT_FOUND JOB_NOT_FOUND; PERMISSION_DENIED
// NOT_OWNER.
Result<std::vector<JobRecord>> LoadToChange(Reader& reader, const Caller& caller,
                                            const Caller& viewer, const std::vector<JobRef>& refs) {
  auto records = LoadJobs(reader, viewer, refs);
  if (!records) return records;
  for (const auto& record : *records) {
    if (caller.Reaches(record.job.user, record.job.spec->project)) continue;
    return NotOwner(record.job.ref, "jobs");
  }
  return records;
}

// The jobs to answer with: of an array with more than a hundred elements among them its row.
std::vector<JobRef> ToAnswer(const std::vector<JobRef>& refs) {
  constexpr int kElementsAnswered = 100;
  std::map<JobId, int> elements;
  for (const JobRef& ref : refs) elements[ref.id] += ref.element == kNoElement ? 0 : 1;
  std::vector<JobRef> answered;
  std::set<JobRef> seen;
  for (JobRef ref : refs) {
    if (elements[ref.id] > kElementsAnswered) ref.element = kNoElement;
    if (seen.insert(ref).second) answered.push_back(ref);
  }
  return answered;
}

// Answers with the jobs as they are.
template <class Response>
void AnswerJobs(const Parts& parts, const Settings& settings,
                const std::shared_ptr<Change<Response>>& change) {
  parts.read->Read([parts, settings, change](Reader& reader) {
    const auto records = LoadJobs(reader, *change->viewer, ToAnswer(change->refs));
    if (!records) return change->reply.Fail(records.error());
    const JobWriter writer{*change->viewer, *parts.desk, settings, parts.clock->Now()};
    for (const auto& record : *records) writer.Fill(record, change->response->add_jobs());
    change->reply.Ok();
  });
}

// What is wrong with the request by itself; or what it notes, of which job is not known to be.
Result<NoteCheckpoint> ReadCheckpoint(const Settings& settings,
                                      const v1::ReportCheckpointRequest& request) {
  const auto cluster = CheckCluster(settings, request.cluster());
  if (!cluster) return cluster.error();
  FieldChecks checks;
  checks.Range("attempt", request.attempt(), 0, std::numeric_limits<std::int32_t>::max());
  checks.Path("path", request.path());
  if (!checks.ok()) return checks.error();
  const auto job = ParseJob(request.job(), "job");
  if (!job) return job.error();
  return NoteCheckpoint{*job, request.attempt(), request.path()};
}

// Whether the caller may say so of the job; an array has no attempts of its own.
Result<void> CheckMayNote(Reader& reader, const Caller& caller, const Caller& viewer,
                          const JobRef& ref) {
  const auto record = LoadJob(reader, ref);
  if (!record && record.error().code != Code::kNotFound) return record.error();
  if (!record || !viewer.Reaches(record->job.user, record->job.spec->project)) {
    return JobNotFound(ref, "job");
  }
  const Job& job = record->job;
  if (!caller.Reaches(job.user, job.spec->project)) return NotOwner(ref, "job");
  if (!IsArrayRow(job)) return {};
  return FieldProblem(Code::kInvalidArgument,
                      {"job",
                       "ELEMENT_NEEDED",
                       ToText(ref) + " is an array: name one element, such as " +
                           ToText({ref.id, job.spec->array->indices.front().first}),
                       {}});
}

// Says which elements an update of their array left as they were, in part.
void AddWarnings(const CommandOutcome& outcome, v1::UpdateResponse* response) {
  std::map<JobId, std::vector<IndexRange>> spared;
  for (const JobRef& ref : outcome.spared) {
    std::vector<IndexRange>& ranges = spared[ref.id];
    if (!ranges.empty() && ranges.back().last + 1 == ref.element) {
      ranges.back().last = ref.element;
    } else {
      ranges.push_back({ref.element, ref.element, 1});
    }
  }
  for (const auto& [id, ranges] : spared) {
    const std::string jobs = ToText({id, kNoElement}) + "_[" + FormatIndices(ranges) + "]";
    *response->add_warnings() =
        ToWire({ReasonCode::kWarning,
                {{"field", jobs}, {"text", "what has started keeps its class and begin time"}}});
  }
}
void AddWarnings(const CommandOutcome&, v1::CancelResponse*) {}
void AddWarnings(const CommandOutcome&, v1::RequeueResponse*) {}

Result<void> CheckCancel(const v1::CancelRequest& request) {
  FieldChecks checks;
  checks.Require(request.signal().empty() || !SignalName(request.signal()).empty(), "signal",
                 "is no signal's name without SIG, such as USR1, nor a number from 1 to 64");
  checks.Text("comment", request.comment(), 4096);
  return checks.ok() ? Result<void>() : checks.error();
}

Result<void> CheckRequeue(const v1::RequeueRequest& request) {
  FieldChecks checks;
  checks.Text("comment", request.comment(), 4096);
  return checks.ok() ? Result<void>() : checks.error();
}

// Reads the jobs, lets `plan` turn the request and them into one command, gives it.
template <class Request, class Response, class Plan>
void Decide(const Parts& parts, const Settings& settings, const Request* request,
            const std::shared_ptr<Change<Response>>& change, Plan plan) {
  parts.read->Read([parts, settings, request, change, plan](Reader& reader) {
    const auto records = LoadToChange(reader, *change->caller, *change->viewer, change->refs);
    if (!records) return change->reply.Fail(records.error());
    auto command = plan(*change->caller, *request, *records);
    if (!command) return change->reply.Fail(command.error());
    if (command->changes.empty()) return AnswerJobs(parts, settings, change);
    parts.desk->Do({change->caller->user, change->caller->name, std::move(*command)},
                   [parts, settings, change](const Result<CommandOutcome>& outcome) {
                     if (!outcome) return change->reply.Fail(outcome.error());
                     AddWarnings(*outcome, change->response);
                     AnswerJobs(parts, settings, change);
                   });
  });
}

// What the rpcs have in common that change jobs: `check` looks at what else the request says.
template <class Request, class Response, class Check, class Plan>
grpc::ServerUnaryReactor* ServeChange(const Parts& parts, const Settings& settings,
                                      std::string_view method, grpc::CallbackServerContext* context,
                                      const Request* request, Response* response, Check check,
                                      Plan plan) {
  return rpc::Serve(context, parts, method, *request, [&](const auto& caller, const Reply& reply) {
    const auto cluster = CheckCluster(settings, request->cluster());
    if (!cluster) return reply.Fail(cluster.error());
    const auto checked = check(*request);
    if (!checked) return reply.Fail(checked.error());
    auto refs = ReadJobs(request->jobs(), static_cast<std::size_t>(kElementsMost));
    if (!refs) return reply.Fail(refs.error());
    auto viewer = Authorise(kGetJobs, Authorization(*context), caller->view, parts.clock->Now());
    if (!viewer) return reply.Fail(viewer.error());
    const auto change = std::make_shared<Change<Response>>(
        Change<Response>{.caller = caller,
                         .viewer = std::make_shared<const Caller>(std::move(*viewer)),
                         .refs = std::move(*refs),
                         .response = response,
                         .reply = reply});
    Decide(parts, settings, request, change, plan);
  });
}

}  // namespace

grpc::ServerUnaryReactor* JobServiceImpl::Cancel(grpc::CallbackServerContext* context,
                                                 const v1::CancelRequest* request,
                                                 v1::CancelResponse* response) {
  return ServeChange(parts_, settings_, kCancelJobs, context, request, response, CheckCancel,
                     PlanCancel);
}

grpc::ServerUnaryReactor* JobServiceImpl::Update(grpc::CallbackServerContext* context,
                                                 const v1::UpdateRequest* request,
                                                 v1::UpdateResponse* response) {
  return ServeChange(parts_, settings_, kUpdateJobs, context, request, response, CheckUpdate,
                     PlanUpdate);
}

grpc::ServerUnaryReactor* JobServiceImpl::Requeue(grpc::CallbackServerContext* context,
                                                  const v1::RequeueRequest* request,
                                                  v1::RequeueResponse* response) {
  return ServeChange(parts_, settings_, kRequeueJobs, context, request, response, CheckRequeue,
                     PlanRequeue);
}

grpc::ServerUnaryReactor* JobServiceImpl::ReportCheckpoint(
    grpc::CallbackServerContext* context, const v1::ReportCheckpointRequest* request,
    v1::ReportCheckpointResponse* response) {
  return rpc::Serve(
      context, parts_, kCheckpoint, *request, [&](const auto& caller, const Reply& reply) {
        auto note = ReadCheckpoint(settings_, *request);
        if (!note) return reply.Fail(note.error());
        auto viewer =
            Authorise(kGetJobs, Authorization(*context), caller->view, parts_.clock->Now());
        if (!viewer) return reply.Fail(viewer.error());
        const auto sees = std::make_shared<const Caller>(std::move(*viewer));
        parts_.read->Read([parts = parts_, caller, sees, note = std::move(*note), response,
                           reply](Reader& reader) {
          const auto may = CheckMayNote(reader, *caller, *sees, note.job);
          if (!may) return reply.Fail(may.error());
          parts.desk->Do({caller->user, caller->name, note},
                         [response, reply](const Result<CommandOutcome>& outcome) {
                           if (!outcome) return reply.Fail(outcome.error());
                           response->set_recorded_ms(outcome->recorded_ms);
                           reply.Ok();
                         });
        });
      });
}

}  // namespace kezek::rpc
