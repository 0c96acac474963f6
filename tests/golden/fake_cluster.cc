#include "tests/golden/fake_cluster.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/golden/answers.h"
#include "tests/golden/canned.h"
#include "tests/golden/failures.h"

namespace kezek::golden {
namespace {

using grpc::ServerContext;
using grpc::Status;
using grpc::StatusCode;

// Maintenance tomorrow morning; a course every Tuesday.
std::vector<v1::AdminReservation> CannedReservations() {
  v1::AdminReservation maint;
  maint.set_name("maint");
  maint.set_start_ms(1795334400000);
  maint.set_duration_ms(4 * 3'600'000);
  maint.add_nodes("n11");
  maint.add_nodes("n12");
  maint.set_reason("new firmware");
  maint.set_actor("root");
  maint.set_version(1);
  v1::AdminReservation course = maint;
  course.set_name("ml-course");
  course.set_start_ms(1795528800000);
  course.set_duration_ms(3 * 3'600'000);
  course.set_repeat_every_ms(std::int64_t{7 * 24} * 3'600'000);
  course.set_repeat_until_ms(1795528800000 + std::int64_t{70 * 24} * 3'600'000);
  course.clear_nodes();
  course.add_nodes("n02");
  course.set_node_count(1);
  course.set_gpu_type("h200");
  course.add_accounts("universities/kaznu");
  course.add_users("aizhan@nac");
  course.set_reason("course of machine learning");
  course.set_version(3);
  return {maint, course};
}

class FakeCluster final : public v1::ClusterService::Service {
 public:
  Status GetCluster(ServerContext*, const v1::GetClusterRequest*, v1::Cluster* response) override {
    response->set_name("demo");
    response->add_gpu_types()->set_name("h200");
    for (const char* name : {"realtime", "normal", "debug", "scavenger"}) {
      response->add_job_classes()->set_name(name);
    }
    return Status::OK;
  }
  Status ListNodes(ServerContext*, const v1::ListNodesRequest* request,
                   v1::ListNodesResponse* response) override {
    for (const v1::Node& node : CannedNodes()) {
      const auto& health = request->health();
      const bool wanted =
          health.empty() || std::find(health.begin(), health.end(), node.health()) != health.end();
      if (wanted && (!request->free_only() || node.free_gpus() > 0)) {
        *response->add_nodes() = node;
      }
    }
    return Status::OK;
  }
  Status GetNodes(ServerContext*, const v1::GetNodesRequest* request,
                  v1::GetNodesResponse* response) override {
    for (const std::string& name : request->nodes()) {
      for (const v1::Node& node : CannedNodes()) {
        if (node.name() == name) *response->add_nodes() = node;
      }
    }
    if (response->nodes_size() == request->nodes_size()) return Status::OK;
    return Refused(StatusCode::NOT_FOUND, "node", "NODE_NOT_FOUND", "there is no such node");
  }
  Status DrainNodes(ServerContext*, const v1::DrainNodesRequest* request,
                    v1::NodesChanged* response) override {
    v1::Node& node = *response->add_nodes();
    node = CannedNodes()[0];
    node.set_health(v1::NODE_HEALTH_DRAINING);
    node.set_health_reason(request->reason());
    if (request->kezek_only()) return Status::OK;
    if (request->reason() == "refused") response->add_refused("n02: Slurm refuses: Access denied");
    response->add_commands("scontrol update NodeName=n02 State=DRAIN Reason='fan 3 fails'");
    return Status::OK;
  }
  Status ResumeNodes(ServerContext*, const v1::ResumeNodesRequest*,
                     v1::NodesChanged* response) override {
    *response->add_nodes() = CannedNodes()[0];
    return Status::OK;
  }
  Status ListEvents(ServerContext*, const v1::ListEventsRequest* request,
                    v1::ListEventsResponse* response) override {
    return Answer(response, CannedEvents(*request));
  }
  Status ListReservations(ServerContext*, const v1::ListReservationsRequest* request,
                          v1::ListReservationsResponse* response) override {
    if (request->jobs()) {
      *response = Parse<v1::ListReservationsResponse>(R"(
        jobs { job: "48211" counted_milli_gpus: 32000
               reservation { start_ms: 1795249800000 placement { node_list: "n[12-15]" } } }
        jobs { counted_milli_gpus: 8000 reservation { start_ms: 1795253400000 } })");
    }
    for (const v1::AdminReservation& one : CannedReservations()) {
      *response->add_reservations() = one;
    }
    return Status::OK;
  }
  // "taken" exists, "busy" has jobs in its way; n12 is promised to 48211.
  Status PutReservation(ServerContext*, const v1::PutReservationRequest* request,
                        v1::PutReservationResponse* response) override {
    const v1::AdminReservation& asked = request->reservation();
    if (asked.name() == "taken") {
      return Refused(StatusCode::ALREADY_EXISTS, "reservation.name", "NAME_TAKEN",
                     "there is a reservation taken already: change or delete that one");
    }
    if (asked.name() == "busy" && !request->allow_running()) {
      return Refused(StatusCode::FAILED_PRECONDITION, "reservation.nodes", "RUNNING_BEYOND",
                     "job 48007 may run there when it begins, by its limit: begin later, choose "
                     "other nodes, or allow what runs to run on");
    }
    *response->mutable_reservation() = asked;
    if (asked.node_count() > 0) response->mutable_reservation()->add_nodes("n05");
    response->mutable_reservation()->set_actor("root");
    response->mutable_reservation()->set_version(asked.version() + 1);
    if (request->delay_jobs()) response->add_delayed("48211");
    return Status::OK;
  }
  Status DeleteReservation(ServerContext*, const v1::DeleteReservationRequest* request,
                           v1::DeleteReservationResponse*) override {
    if (request->name() == "maint") return Status::OK;
    return Refused(StatusCode::NOT_FOUND, "name", "RESERVATION_NOT_FOUND",
                   "there is no reservation " + request->name());
  }
  Status ResumeScheduling(ServerContext*, const v1::ResumeSchedulingRequest*,
                          v1::ResumeSchedulingResponse*) override {
    return Status::OK;
  }
  Status Doctor(ServerContext*, const v1::DoctorRequest* request,
                v1::DoctorResponse* response) override {
    *response = Parse<v1::DoctorResponse>(R"(
      lines { check: "slurm-api" result: CHECK_RESULT_OK
              found { code: "OK" sentence: "slurmrestd serves v0.0.38, Slurm 22.05.8" } }
      lines { check: "slurm-clock" result: CHECK_RESULT_WARNING
              found { code: "WARNING" sentence: "slurmctld's clock is 4 s ahead" }
              mend: "let both hosts follow the same time: chronyc tracking, timedatectl" }
      lines { check: "database-role" result: CHECK_RESULT_FIX
              found { code: "PROBLEM" sentence: "role kezek_app has superuser" }
              mend: "psql -c 'alter role kezek_app nosuperuser'\nlook at who gave it" }
      lines { check: "output-root" result: CHECK_RESULT_UNKNOWN
              found { code: "NOT_LOOKED_AT" sentence: "no answer within 15 s" } })");
    if (request->checks().empty()) return Status::OK;
    if (request->checks(0) != "slurm") {
      return Refused(StatusCode::INVALID_ARGUMENT, "checks[0]", "FIELD_INVALID",
                     "there is no check '" + request->checks(0) + "'; there are slurm-api");
    }
    response->mutable_lines()->DeleteSubrange(1, 3);
    return Status::OK;
  }
  // Two are made; a quality of service is not.
  Status ApplySlurmAccounts(ServerContext*, const v1::ApplySlurmAccountsRequest* request,
                            v1::ApplySlurmAccountsResponse* response) override {
    *response = Parse<v1::ApplySlurmAccountsResponse>(R"(
      missing: "account kaznu" missing: "user kz-dana in account kaznu" missing: "qos high")");
    const std::string qos = "sacctmgr -i add qos high";
    if (request->plan_only()) {
      response->add_commands("sacctmgr -i add account kaznu cluster=demo");
      response->add_commands("sacctmgr -i add user kz-dana account=kaznu cluster=demo");
    } else {
      response->add_made(response->missing(0));
      response->add_made(response->missing(1));
    }
    response->add_commands(qos);
    return Status::OK;
  }
  Status Snapshot(ServerContext*, const v1::SnapshotRequest* request,
                  grpc::ServerWriter<v1::SnapshotResponse>* writer) override {
    if (!request->gpu_type().empty() && request->gpu_type() != "h200") {
      return Refused(StatusCode::NOT_FOUND, "gpu_type", "NO_SUCH_GPU_TYPE",
                     "no node has '" + request->gpu_type() + "'");
    }
    v1::SnapshotResponse response;
    response.set_data("# gpu_type: h200\n# gpus: 64\njob_id,submit_s,duration_s,gpus\n");
    writer->Write(response);
    response.set_data("48211,1795000000,3600,8\n");
    writer->Write(response);
    return Status::OK;
  }
};

}  // namespace

std::unique_ptr<v1::ClusterService::Service> MakeFakeCluster() {
  return std::make_unique<FakeCluster>();
}

}  // namespace kezek::golden
