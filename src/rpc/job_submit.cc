#include <atomic>
#include <memory>
#include <utility>

#include "rpc/job_convert.h"
#include "rpc/job_service.h"
#include "rpc/node_convert.h"
#include "rpc/outlook_convert.h"
#include "rpc/outlooks.h"
#include "rpc/submission.h"

namespace kezek::rpc {
namespace {

constexpr std::string_view kSubmit = "/kezek.v1.JobService/Submit";
constexpr std::string_view kSubmitMany = "/kezek.v1.JobService/SubmitMany";
constexpr int kManyMax = 1000;

void FillResponse(const Parts& parts, const Settings& settings, const Caller& caller,
                  const Taken& taken, v1::SubmitResponse* response) {
  const JobWriter writer{caller, *parts.desk, settings, caller.view->now_ms};
  writer.Fill(taken.record, response->mutable_job());
  response->set_existing(taken.existed);
  for (const auto& warning : taken.warnings) *response->add_warnings() = ToWire(warning);
  if (taken.existed) return;
  const JobSpec& spec = *taken.record.job.spec;
  const Reason wide = TooWide(*caller.view, spec, parts.desk->Counted(spec));
  if (wide.code != ReasonCode::kNone) *response->add_warnings() = ToWire(wide);
}

// Nothing was taken: what would become of it.
void FillDry(const Parts& parts, const std::shared_ptr<Outlooks>& outlooks,
             const std::shared_ptr<const Caller>& caller, const Job& job,
             v1::SubmitResponse* response, const Reply& reply) {
  response->mutable_job()->clear_id();
  response->mutable_job()->clear_job();
  const Reason untold = Untold(*caller->view, job);
  if (untold.code != ReasonCode::kNone) {
    *response->mutable_dry_run()->mutable_reason() = ToWire(untold);
    return reply.Ok();
  }
  outlooks->Ask(caller->user, {.job = {}, .user = job.user, .spec = job.spec},
                [parts, outlooks, response, reply](const Result<Outlook>& told) {
                  if (!told) {
                    response->Clear();
                    return reply.Fail(told.error());
                  }
                  FillDryRun(*parts.desk->view(), *told, outlooks->errors(),
                             response->mutable_dry_run());
                  reply.Ok();
                });
}

}  // namespace

grpc::ServerUnaryReactor* JobServiceImpl::Submit(grpc::CallbackServerContext* context,
                                                 const v1::SubmitRequest* request,
                                                 v1::SubmitResponse* response) {
  return Serve(context, parts_, kSubmit, *request, [&](const auto& caller, const Reply& reply) {
    SubmitOne(
        parts_, settings_, caller, *request,
        [this, caller, response, reply, dry = request->dry_run()](const Result<Taken>& taken) {
          if (!taken) return reply.Fail(taken.error());
          FillResponse(parts_, settings_, *caller, *taken, response);
          if (!dry) return reply.Ok();
          FillDry(parts_, outlooks_, caller, taken->record.job, response, reply);
        });
  });
}

grpc::ServerUnaryReactor* JobServiceImpl::SubmitMany(grpc::CallbackServerContext* context,
                                                     const v1::SubmitManyRequest* request,
                                                     v1::SubmitManyResponse* response) {
  return Serve(context, parts_, kSubmitMany, *request, [&](const auto& caller, const Reply& reply) {
    const int count = request->submissions_size();
    if (count > kManyMax) {
      return reply.Fail(FieldProblem(
          Code::kInvalidArgument,
          {"submissions",
           "TOO_MANY",
           "are " + std::to_string(count) + "; at most " + std::to_string(kManyMax) + " at once",
           {{"limit", std::to_string(kManyMax)}}}));
    }
    if (count == 0) return reply.Ok();
    // Every result has its place before any is filled, so that callbacks touch only their own.
    for (int i = 0; i < count; ++i) response->add_results();
    const auto left = std::make_shared<std::atomic<int>>(count);
    for (int i = 0; i < count; ++i) {
      const auto done = [this, caller, result = response->mutable_results(i), reply,
                         left](const Result<Taken>& taken) {
        if (taken) {
          FillResponse(parts_, settings_, *caller, *taken, result->mutable_ok());
        } else {
          result->set_error(ToStatusBytes(taken.error()));
        }
        if (left->fetch_sub(1, std::memory_order_acq_rel) == 1) reply.Ok();
      };
      if (request->submissions(i).dry_run()) {
        done(Invalid("dry_run", "is for one submission alone"));
        continue;
      }
      const auto texts = CheckTexts(request->submissions(i));
      texts ? SubmitOne(parts_, settings_, caller, request->submissions(i), done)
            : done(texts.error());
    }
  });
}

}  // namespace kezek::rpc
