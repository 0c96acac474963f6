#include <algorithm>
#include <memory>
#include <utility>

#include "rpc/job_convert.h"
#include "rpc/job_list.h"
#include "rpc/job_lookup.h"
#include "rpc/job_refs.h"
#include "rpc/job_service.h"
#include "rpc/node_convert.h"
#include "rpc/outlook_convert.h"
#include "rpc/outlooks.h"

namespace kezek::rpc {
namespace {

constexpr std::string_view kExplain = "/kezek.v1.JobService/Explain";

Error ScriptDenied(const JobRef& job) {
  return FieldProblem(Code::kPermissionDenied,
                      {"script",
                       "NOT_OWNER",
                       "the script of job " + ToText(job) +
                           " is for its owner, the leads of its project and admins",
                       {{"job", ToText(job)}}});
}

Result<void> FillEvents(Reader& reader, const std::vector<JobRef>& refs, const std::string& cluster,
                        v1::GetJobsResponse* response) {
  const auto events = reader.JobEvents(refs);
  if (!events) return events.error();
  for (const auto& event : *events) FillEvent(event, cluster, response->add_events());
  return {};
}

// Where an account of the job's path stands.
void FillPlace(const View& view, const JobRecord& record, MilliGpus counted, AccountId account,
               v1::AccountPlace* wire) {
  wire->set_account(PathOf(*view.directory, account));
  const auto found = view.standings.find({account, record.job.spec->shape.gpu_type});
  if (found == view.standings.end()) return;
  const Standing& standing = found->second;
  wire->set_place(static_cast<std::int32_t>(standing.place));
  wire->set_siblings(static_cast<std::int32_t>(standing.siblings));
  wire->set_guarantee_milli_gpus(standing.guarantee_milli);
  wire->set_running_milli_gpus(standing.allocated_milli);
  wire->set_guarantee_now_milli_gpus(standing.guarantee_now_milli);
  wire->set_borrowed_milli_gpus(standing.Borrowed());
  wire->set_entitlement_milli_gpus(standing.entitled_milli);
  wire->set_inside_guarantee(standing.allocated_milli + counted <= standing.guarantee_now_milli);
}

// All GPUs of the machine are of one type.
bool OneType(const View& view) {
  return std::all_of(view.nodes.begin(), view.nodes.end(), [&](const auto& entry) {
    return entry.second.gpu_type == view.nodes.begin()->second.gpu_type;
  });
}

void FillStanding(const View& view, const JobRecord& record, v1::ExplainResponse* response) {
  const Job& job = record.job;
  if (IsFinal(job.state) || job.state != JobState::kQueued) return;
  response->set_tick_ms(view.tick == 0 ? 0 : view.now_ms);
  const Reason reason = ReasonOf(view, job);
  if (reason.code != ReasonCode::kNone) *response->mutable_reason() = ToWire(reason);
  const auto queued = view.queued_in_account.find(job.spec->project);
  if (queued != view.queued_in_account.end()) {
    response->set_queued_in_project(static_cast<std::int32_t>(queued->second));
  }
  const auto standing = view.FindWaiting(job.ref, *job.spec);
  if (!standing) return;
  response->set_place_in_project(static_cast<std::int32_t>(standing->place_in_project));
  response->set_rank(static_cast<std::int32_t>(standing->rank));
  if (OneType(view)) response->set_blocked(static_cast<std::int32_t>(view.CountWaiting()));
}

// What the last plan says.
void FillExplained(const JobWriter& writer, const JobRecord& record,
                   v1::ExplainResponse* response) {
  writer.Fill(record, response->mutable_job());
  const View& view = writer.view();
  FillStanding(view, record, response);
  std::vector<AccountId> path;
  for (AccountId at = record.job.spec->project; at && at != kRootAccount;) {
    path.push_back(at);
    const auto account = view.directory->accounts.find(at);
    at = account == view.directory->accounts.end() ? AccountId{} : account->second.parent;
  }
  const MilliGpus counted = response->job().counted_milli_gpus();
  for (auto at = path.rbegin(); at != path.rend(); ++at) {
    FillPlace(view, record, counted, *at, response->add_accounts());
  }
  if (record.job.state != JobState::kQueued) return;
  const JobSpec& spec = *record.job.spec;
  const Reason wide = TooWide(view, spec, writer.desk.Counted(spec));
  if (wide.code != ReasonCode::kNone) *response->mutable_too_wide() = ToWire(wide);
}

// What the next ones would do: without it the answer is good, too.
void FillOutlook(const View& view, const Outlook& outlook,
                 const std::optional<EstimateTest::Errors>& errors, v1::ExplainResponse* response) {
  FillEstimate(outlook, errors, response->mutable_estimate());
  for (const OutlookAdvice& advice : outlook.advice) {
    *response->add_advice() = ToWire(view, advice);
  }
}

}  // namespace

grpc::ServerUnaryReactor* JobServiceImpl::Get(grpc::CallbackServerContext* context,
                                              const v1::GetJobsRequest* request,
                                              v1::GetJobsResponse* response) {
  return Serve(context, parts_, kGetJobs, *request, [&](const auto& caller, const Reply& reply) {
    const auto cluster = CheckCluster(settings_, request->cluster());
    if (!cluster) return reply.Fail(cluster.error());
    auto refs = ReadJobs(request->jobs(), kRefsMax);
    if (!refs) return reply.Fail(refs.error());
    // Whoever may end a job may read its script.
    const auto changer =
        Authorise(kCancelJobs, Authorization(*context), caller->view, parts_.clock->Now());
    parts_.read->Read([this, caller, changer, request, response, reply, context,
                       refs = std::move(*refs)](Reader& reader) {
      if (context->IsCancelled()) return reply.Fail(Error{Code::kCancelled, "cancelled", {}});
      const auto records = LoadJobs(reader, *caller, refs);
      if (!records) return reply.Fail(records.error());
      const JobWriter writer{*caller, *parts_.desk, settings_, parts_.clock->Now()};
      for (const auto& record : *records) {
        v1::Job* job = response->add_jobs();
        writer.Fill(record, job);
        if (!request->script()) continue;
        if (!changer || !changer->Reaches(record.job.user, record.job.spec->project)) {
          response->Clear();
          return reply.Fail(ScriptDenied(record.job.ref));
        }
        auto script = reader.GetScript(record.job.ref.id);
        if (!script) return reply.Fail(script.error());
        job->mutable_spec()->set_script(std::move(*script));
      }
      if (!request->events()) return reply.Ok();
      reply.Finish(FillEvents(reader, refs, settings_.cluster, response));
    });
  });
}

grpc::ServerUnaryReactor* JobServiceImpl::List(grpc::CallbackServerContext* context,
                                               const v1::ListJobsRequest* request,
                                               v1::ListJobsResponse* response) {
  return Serve(context, parts_, kListJobs, *request, [&](const auto& caller, const Reply& reply) {
    const auto cluster = CheckCluster(settings_, request->cluster());
    if (!cluster) return reply.Fail(cluster.error());
    const auto plan = PlanList(*request, *caller);
    if (!plan) return reply.Fail(plan.error());
    parts_.read->Read(
        [this, caller, request, response, reply, context, plan = *plan](Reader& reader) {
          if (context->IsCancelled()) return reply.Fail(Error{Code::kCancelled, "cancelled", {}});
          // Before the rows: what they include beyond it is seen twice, and nothing is missed.
          const auto seq = reader.LastEventSeq();
          if (!seq) return reply.Fail(seq.error());
          auto page = ReadPageOfJobs(plan, request->page(), *sealer_, reader, *parts_.desk);
          if (!page) return reply.Fail(page.error());
          const JobWriter writer{*caller, *parts_.desk, settings_, parts_.clock->Now()};
          for (auto& row : page->rows) {
            if (row.attempts.size() > 1)
              row.attempts.erase(row.attempts.begin(), row.attempts.end() - 1);
            writer.Fill(row, response->add_jobs());
          }
          response->mutable_page()->set_next_token(page->next_token);
          response->set_as_of_seq(*seq);
          reply.Ok();
        });
  });
}

grpc::ServerUnaryReactor* JobServiceImpl::Explain(grpc::CallbackServerContext* context,
                                                  const v1::ExplainRequest* request,
                                                  v1::ExplainResponse* response) {
  return Serve(context, parts_, kExplain, *request, [&](const auto& caller, const Reply& reply) {
    const auto cluster = CheckCluster(settings_, request->cluster());
    if (!cluster) return reply.Fail(cluster.error());
    const auto ref = ParseJob(request->job(), "job");
    if (!ref) return reply.Fail(ref.error());
    parts_.read->Read([this, caller, response, reply, ref = *ref](Reader& reader) {
      const auto found = LoadJob(reader, ref);
      if (!found && found.error().code != Code::kNotFound) return reply.Fail(found.error());
      if (!found || !caller->Reaches(found->job.user, found->job.spec->project)) {
        return reply.Fail(JobNotFound(ref, "job"));
      }
      const Job& job = found->job;
      FillExplained({*caller, *parts_.desk, settings_, parts_.clock->Now()}, *found, response);
      if (job.state != JobState::kQueued) return reply.Ok();
      if (Untold(*caller->view, job).code != ReasonCode::kNone) return reply.Ok();
      outlooks_->Ask(caller->user,
                     {.job = job.ref,
                      .user = job.user,
                      .spec = job.spec,
                      .submitted_ms = job.submitted_ms,
                      .queued_since_ms = job.queued_since_ms},
                     [this, response, reply](const Result<Outlook>& outlook) {
                       if (outlook) {
                         FillOutlook(*parts_.desk->view(), *outlook, outlooks_->errors(), response);
                       }
                       reply.Ok();
                     });
    });
  });
}

}  // namespace kezek::rpc
