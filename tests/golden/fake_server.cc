#include "tests/golden/fake_server.h"

#include <google/protobuf/text_format.h>
#include <grpcpp/grpcpp.h>
#include <kezek/v1/access.grpc.pb.h>
#include <kezek/v1/job_service.grpc.pb.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <vector>

#include "tests/golden/answers.h"
#include "tests/golden/canned.h"
#include "tests/golden/failures.h"
#include "tests/golden/fake_cluster.h"
#include "tests/golden/fake_logs.h"
#include "tests/golden/fake_quota.h"

namespace kezek::golden {
namespace {

using grpc::ServerContext;
using grpc::Status;
using grpc::StatusCode;

Status CheckToken(const ServerContext& context) {
  const auto found = context.client_metadata().find("authorization");
  if (found == context.client_metadata().end()) {
    return Refused(StatusCode::UNAUTHENTICATED, "", "TOKEN_MISSING", "this call needs a token");
  }
  if (found->second != "Bearer good") {
    return Refused(StatusCode::UNAUTHENTICATED, "", "TOKEN_INVALID", "the token is not known");
  }
  return Status::OK;
}

Status NoSuchJob(const std::string& job) {
  return Refused(StatusCode::NOT_FOUND, "jobs", "JOB_NOT_FOUND", "there is no job " + job);
}

template <class Ids>
Status Find(const Ids& ids, google::protobuf::RepeatedPtrField<v1::Job>* jobs) {
  for (const std::string& id : ids) {
    std::optional<v1::Job> job = CannedJob(id.substr(0, id.find('_')));
    if (!job) return NoSuchJob(id);
    // Of a range, whatever it is, five elements.
    const bool range = id.find('[') != std::string::npos;
    for (const int index : range ? std::vector<int>{3, 4, 5, 9, 12} : std::vector<int>{-1}) {
      v1::Job& found = *jobs->Add();
      found = *job;
      if (index < 0) continue;
      found.set_array_index(index);
      found.set_job(job->job() + "_" + std::to_string(index));
      if (index > 5) found.set_state(v1::JOB_STATE_QUEUED);
    }
  }
  return Status::OK;
}

class FakeJobs final : public v1::JobService::Service {
 public:
  Status Submit(ServerContext* context, const v1::SubmitRequest* request,
                v1::SubmitResponse* response) override {
    if (Status token = CheckToken(*context); !token.ok()) return token;
    const std::lock_guard<std::mutex> lock(mutex_);
    const bool existing = Keep(*request);
    const v1::JobSpec& spec = request->spec();
    if (spec.shape().gpu_type() == "a100") {
      return Refused(StatusCode::INVALID_ARGUMENT, "spec.shape.gpu_type", "NO_SUCH_GPU_TYPE",
                     "this cluster has no a100. Types here: h200");
    }
    if (spec.shape().nodes() > 32) {
      return Refused(StatusCode::FAILED_PRECONDITION, "spec.shape.nodes", "NEVER_FITS_LIMIT",
                     "64 × 8 GPUs is more than project alem-llm may use at once\n"
                     "Ask for 32 nodes or fewer");
    }
    if (request->dry_run()) return FailureNamed("NOT_YET");
    // A job named `fails-REASON` is refused for it.
    if (spec.name().starts_with("fails-")) return FailureNamed(spec.name().substr(6));
    // The answer is lost, the job is there.
    if (spec.name() == "flaky" && !existing) return Status(StatusCode::UNAVAILABLE, "gone");
    Answer(*request, existing, response);
    return Status::OK;
  }

  Status Get(ServerContext* context, const v1::GetJobsRequest* request,
             v1::GetJobsResponse* response) override {
    if (Status token = CheckToken(*context); !token.ok()) return token;
    for (const std::string& id : request->jobs()) {
      for (const v1::Event& event : CannedEvents(id)) *response->add_events() = event;
    }
    Status found = Find(request->jobs(), response->mutable_jobs());
    if (request->script() && found.ok()) {
      response->mutable_jobs(0)->mutable_spec()->set_script("#!/bin/bash\nsrun train\n");
    }
    // Once something has been watched, the array and the small job are over.
    const std::lock_guard<std::mutex> lock(mutex_);
    for (v1::Job& job : *response->mutable_jobs()) {
      if ((job.id() != 48300 && job.id() != 48190) || !watched_) continue;
      job.set_state(job.id() == 48300 ? v1::JOB_STATE_FAILED : v1::JOB_STATE_SUCCEEDED);
      job.set_exit_code(job.id() == 48300 ? 1 : 0);
      job.set_ended_ms(kNowMs);
    }
    return found;
  }

  Status List(ServerContext* context, const v1::ListJobsRequest* request,
              v1::ListJobsResponse* response) override {
    if (Status token = CheckToken(*context); !token.ok()) return token;
    if (request->filter().include_final() && !request->filter().states().empty()) {
      return Refused(StatusCode::INVALID_ARGUMENT, "filter.include_final", "FIELD_INVALID",
                     "goes only without states");
    }
    const bool all = request->filter().scope() == v1::JOB_SCOPE_ALL;
    for (const v1::Job& job : CannedJobs()) {
      const bool final = job.state() >= v1::JOB_STATE_SUCCEEDED;
      const bool mine = job.user() == "aizhan@nac";
      const auto& jobs = request->filter().jobs();
      if (!jobs.empty() && std::find(jobs.begin(), jobs.end(), job.job()) == jobs.end()) continue;
      const auto& states = request->filter().states();
      const bool wanted =
          states.empty() ? !final || request->filter().include_final()
                         : std::find(states.begin(), states.end(), job.state()) != states.end();
      if (wanted && (all || mine)) *response->add_jobs() = job;
    }
    // Pages of three, whatever was asked for, so that paging is seen.
    const int start = request->page().token().empty() ? 0 : std::stoi(request->page().token());
    const int end = std::min(start + std::min(3, request->page().size()), response->jobs_size());
    if (end < response->jobs_size()) response->mutable_page()->set_next_token(std::to_string(end));
    response->mutable_jobs()->DeleteSubrange(end, response->jobs_size() - end);
    response->mutable_jobs()->DeleteSubrange(0, start);
    return Status::OK;
  }

  Status SubmitMany(ServerContext* context, const v1::SubmitManyRequest* request,
                    v1::SubmitManyResponse* response) override {
    if (Status token = CheckToken(*context); !token.ok()) return token;
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const v1::SubmitRequest& one : request->submissions()) {
      const bool existing = Keep(one);
      v1::SubmitResult& result = *response->add_results();
      // A job named `lost` loses the whole call's answer.
      if (one.spec().name() == "lost") return Status(StatusCode::INTERNAL, "gone");
      const bool fails = one.spec().name().starts_with("fails-");
      if (!fails) Answer(one, existing, result.mutable_ok());
      if (fails) result.set_error(FailureNamed(one.spec().name().substr(6)).error_details());
    }
    return Status::OK;
  }

  Status Watch(ServerContext* context, const v1::WatchRequest* request,
               grpc::ServerWriter<v1::WatchResponse>* writer) override {
    if (Status token = CheckToken(*context); !token.ok()) return token;
    v1::WatchResponse response;
    writer->Write(response);
    const std::lock_guard<std::mutex> lock(mutex_);
    watched_ = true;
    response.set_seq(request->after_seq() + 1);
    response.add_events()->set_seq(request->after_seq() + 1);
    writer->Write(response);
    return Status::OK;
  }

  Status Cancel(ServerContext* context, const v1::CancelRequest* request,
                v1::CancelResponse* response) override {
    if (Status token = CheckToken(*context); !token.ok()) return token;
    for (const std::string& id : request->jobs()) {
      if (id == "48190") {
        return Refused(StatusCode::PERMISSION_DENIED, "jobs", "NOT_OWNER",
                       "job 48190 is dana@kaznu's");
      }
    }
    Status found = Find(request->jobs(), response->mutable_jobs());
    for (v1::Job& job : *response->mutable_jobs()) {
      if (job.state() == v1::JOB_STATE_QUEUED) job.set_state(v1::JOB_STATE_CANCELLED);
    }
    return found;
  }

  // 48007 runs; what waits is left as it is.
  Status Requeue(ServerContext* context, const v1::RequeueRequest* request,
                 v1::RequeueResponse* response) override {
    if (Status token = CheckToken(*context); !token.ok()) return token;
    Status found = Find(request->jobs(), response->mutable_jobs());
    const bool runs =
        std::any_of(response->jobs().begin(), response->jobs().end(),
                    [](const v1::Job& job) { return job.state() == v1::JOB_STATE_RUNNING; });
    if (!found.ok() || runs) return found;
    return Refused(StatusCode::FAILED_PRECONDITION, "jobs", "NOT_RUNNING",
                   "job " + request->jobs(0) + " waits in the queue as it is");
  }

  Status Update(ServerContext* context, const v1::UpdateRequest* request,
                v1::UpdateResponse* response) override {
    if (Status token = CheckToken(*context); !token.ok()) return token;
    Status found = Find(request->jobs(), response->mutable_jobs());
    for (v1::Job& job : *response->mutable_jobs()) {
      job.set_hold(request->hold() ? v1::HOLD_USER : v1::HOLD_UNSPECIFIED);
    }
    return found;
  }

  Status ReportCheckpoint(ServerContext* context, const v1::ReportCheckpointRequest* request,
                          v1::ReportCheckpointResponse* response) override {
    if (Status token = CheckToken(*context); !token.ok()) return token;
    google::protobuf::RepeatedPtrField<std::string> jobs;
    *jobs.Add() = request->job();
    google::protobuf::RepeatedPtrField<v1::Job> found;
    if (Status known = Find(jobs, &found); !known.ok()) return known;
    if (found.Get(0).state() != v1::JOB_STATE_RUNNING) {
      return Refused(StatusCode::FAILED_PRECONDITION, "job", "NOT_RUNNING",
                     "job " + request->job() + " does not run: it has no new checkpoint");
    }
    response->set_recorded_ms(kNowMs);
    return {};
  }

  Status Logs(ServerContext* context, const v1::LogsRequest* request,
              grpc::ServerWriter<v1::LogsResponse>* writer) override {
    if (Status token = CheckToken(*context); !token.ok()) return token;
    return CannedLogs(*request, *writer);
  }

  Status Explain(ServerContext* context, const v1::ExplainRequest* request,
                 v1::ExplainResponse* response) override {
    if (Status token = CheckToken(*context); !token.ok()) return token;
    const std::optional<v1::Job> job = CannedJob(request->job());
    if (!job) return NoSuchJob(request->job());
    if (job->state() == v1::JOB_STATE_QUEUED) {
      *response = CannedWhy();
    } else {
      *response->mutable_job() = *job;
    }
    return Status::OK;
  }

  std::string LastSubmission() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::string text;
    google::protobuf::TextFormat::Printer printer;
    printer.SetUseUtf8StringEscaping(true);
    printer.PrintToString(last_, &text);
    return text;
  }

  std::string SubmissionCount() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return std::to_string(submissions_) + " submissions, " + std::to_string(keys_.size()) +
           " keys\n";
  }

 private:
  // Whether its key was there already.
  bool Keep(const v1::SubmitRequest& request) {
    ++submissions_;
    last_ = request;
    return !keys_.insert(request.idempotency_key()).second;
  }
  static void Answer(const v1::SubmitRequest& request, bool existing,
                     v1::SubmitResponse* response) {
    v1::Job& job = *response->mutable_job();
    const bool small = request.spec().shape().gpus() == 1 && !request.spec().has_array();
    job = *CannedJob(request.spec().has_array() ? "48300" : small ? "48190" : "48211");
    response->set_existing(existing);
    if (small) {
      job.set_state(v1::JOB_STATE_STARTING);
    } else if (request.spec().has_array()) {
      job.set_state(v1::JOB_STATE_QUEUED);
    }
    for (const std::string& option : request.spec().ignored_options()) {
      v1::Reason& warning = *response->add_warnings();
      (*warning.mutable_fields())["field"] = option;
      warning.set_sentence(option + ": taken, without effect.");
    }
    if (request.spec().shape().nodes() == 31) {
      response->add_warnings()->set_sentence(
          "Wider than all GPUs that no guarantee in demand covers.");
    }
  }

  mutable std::mutex mutex_;
  v1::SubmitRequest last_;
  std::set<std::string> keys_;
  int submissions_ = 0;
  bool watched_ = false;
};

class FakeAccess final : public v1::AccessService::Service {
 public:
  Status WhoAmI(ServerContext* context, const v1::WhoAmIRequest*,
                v1::WhoAmIResponse* response) override {
    if (Status token = CheckToken(*context); !token.ok()) return token;
    return Answer(response, CannedWhoAmI());
  }
  Status ListUsers(ServerContext*, const v1::ListUsersRequest*,
                   v1::ListUsersResponse* response) override {
    *response->add_users() = CannedUser();
    return Status::OK;
  }
  Status CreateUser(ServerContext*, const v1::CreateUserRequest* request,
                    v1::User* response) override {
    response->set_name(request->name());
    response->set_unix_account(request->unix_account());
    *response->mutable_roles() = request->roles();
    return Status::OK;
  }
  Status SetUnixAccount(ServerContext*, const v1::SetUnixAccountRequest* request,
                        v1::User* response) override {
    *response = CannedUser();
    response->set_unix_account(request->unix_account());
    return Status::OK;
  }
  Status ChangeRoles(ServerContext*, const v1::ChangeRolesRequest* request,
                     v1::User* response) override {
    *response = CannedUser();
    response->mutable_roles()->MergeFrom(request->give());
    if (request->take_size() > 0) response->mutable_roles()->RemoveLast();
    return Status::OK;
  }
  Status UpdateUser(ServerContext*, const v1::UpdateUserRequest* request,
                    v1::User* response) override {
    *response = CannedUser();
    response->set_disabled(request->disabled());
    return Status::OK;
  }
  Status CreateToken(ServerContext*, const v1::CreateTokenRequest* request,
                     v1::CreateTokenResponse* response) override {
    return Answer(response, CannedNewToken(*request));
  }
  Status SyncUsers(ServerContext*, const v1::SyncUsersRequest* request,
                   v1::SyncUsersResponse* response) override {
    return Answer(response, CannedSync(*request));
  }
  Status ListTokens(ServerContext*, const v1::ListTokensRequest* request,
                    v1::ListTokensResponse* response) override {
    for (const v1::Token& token : CannedTokens()) {
      if (token.revoked_ms() == 0 || request->include_ended()) *response->add_tokens() = token;
    }
    return Status::OK;
  }
  Status RevokeToken(ServerContext*, const v1::RevokeTokenRequest*,
                     v1::RevokeTokenResponse* response) override {
    *response->mutable_token() = CannedTokens()[1];
    return Status::OK;
  }
};

}  // namespace

struct FakeServer::Parts {
  FakeJobs jobs;
  std::unique_ptr<v1::ClusterService::Service> cluster = MakeFakeCluster();
  std::unique_ptr<v1::QuotaService::Service> quota = MakeFakeQuota();
  FakeAccess access;
  int port = 0;
  std::unique_ptr<grpc::Server> server;
};

FakeServer::FakeServer() : parts_(std::make_unique<Parts>()) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &parts_->port);
  builder.SetMaxReceiveMessageSize(16 << 20);  // as kezekd has it unless told otherwise
  builder.RegisterService(&parts_->jobs);
  builder.RegisterService(parts_->cluster.get());
  builder.RegisterService(parts_->quota.get());
  builder.RegisterService(&parts_->access);
  parts_->server = builder.BuildAndStart();
}

FakeServer::~FakeServer() { parts_->server->Shutdown(); }

std::string FakeServer::endpoint() const { return "127.0.0.1:" + std::to_string(parts_->port); }

std::string FakeServer::LastSubmission() const { return parts_->jobs.LastSubmission(); }

std::string FakeServer::SubmissionCount() const { return parts_->jobs.SubmissionCount(); }

}  // namespace kezek::golden
