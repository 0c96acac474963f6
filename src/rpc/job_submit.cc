#include <atomic>
#include <memory>
#include <utility>

#include "rpc/job_convert.h"
#include "rpc/job_service.h"
#include "rpc/node_convert.h"
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
}

}  // namespace

grpc::ServerUnaryReactor* JobServiceImpl::Submit(grpc::CallbackServerContext* context,
                                                 const v1::SubmitRequest* request,
                                                 v1::SubmitResponse* response) {
  return Serve(context, parts_, kSubmit, *request, [&](const auto& caller, const Reply& reply) {
    SubmitOne(parts_, settings_, caller, *request,
              [this, caller, response, reply](const Result<Taken>& taken) {
                if (!taken) return reply.Fail(taken.error());
                FillResponse(parts_, settings_, *caller, *taken, response);
                reply.Ok();
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
      const auto texts = CheckTexts(request->submissions(i));
      texts ? SubmitOne(parts_, settings_, caller, request->submissions(i), done)
            : done(texts.error());
    }
  });
}

}  // namespace kezek::rpc
