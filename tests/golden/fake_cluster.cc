#include "tests/golden/fake_cluster.h"

#include <algorithm>
#include <string>

#include "tests/golden/canned.h"
#include "tests/golden/failures.h"

namespace kezek::golden {
namespace {

using grpc::ServerContext;
using grpc::Status;
using grpc::StatusCode;

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
    response->add_commands("scontrol update nodename=n02 state=drain");
    return Status::OK;
  }
  Status ResumeNodes(ServerContext*, const v1::ResumeNodesRequest*,
                     v1::NodesChanged* response) override {
    *response->add_nodes() = CannedNodes()[0];
    return Status::OK;
  }
  Status ResumeScheduling(ServerContext*, const v1::ResumeSchedulingRequest*,
                          v1::ResumeSchedulingResponse*) override {
    return Status::OK;
  }
};

}  // namespace

std::unique_ptr<v1::ClusterService::Service> MakeFakeCluster() {
  return std::make_unique<FakeCluster>();
}

}  // namespace kezek::golden
