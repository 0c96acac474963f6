#include "rpc/cluster_service.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "kezek/host_list.h"
#include "kezek/reason_text.h"
#include "rpc/field_checks.h"
#include "rpc/node_convert.h"
#include "rpc/paging.h"
#include "rpc/snapshot.h"

namespace kezek::rpc {
namespace {

bool InService(const Node& node) { return node.health == NodeHealth::kUp; }

std::int32_t FreeOn(const View& view, const std::string& name) {
  const auto found = view.free_gpus.find(name);
  return found == view.free_gpus.end() ? 0 : found->second;
}

struct DomainSum {
  std::string level;
  std::string parent;
  std::vector<std::string> nodes;
  std::map<std::string, std::int64_t> gpus;
  std::map<std::string, std::int64_t> free;
  std::int32_t free_nodes = 0;
};

void AddToDomain(const View& view, const Node& node, const std::string& level,
                 const std::string& parent, DomainSum* domain) {
  domain->level = level;
  domain->parent = parent;
  domain->nodes.push_back(node.name);
  if (!InService(node)) return;
  const std::int32_t free = FreeOn(view, node.name);
  domain->gpus[node.gpu_type] += node.gpus - node.foreign_gpus;
  domain->free[node.gpu_type] += free;
  domain->free_nodes += free == node.gpus ? 1 : 0;
}

// What only the leader deals with.
void AddLeadersParts(const View& view, v1::GetStatusResponse* response) {
  auto* slurm = response->add_parts();
  slurm->set_name("slurm");
  slurm->set_ok(view.cluster_answers);
  slurm->set_version(view.cluster_version);
  if (!view.cluster_answers) {
    slurm->set_since_ms(view.cluster_silent_since_ms);
    *slurm->mutable_reason() = ToWire(ClusterReason(view.cluster_silent_since_ms));
  }
  auto* scheduler = response->add_parts();
  scheduler->set_name("scheduler");
  scheduler->set_ok(view.stop_reason.empty());
  if (!view.stop_reason.empty()) {
    *scheduler->mutable_reason() =
        ToWire(Reason{ReasonCode::kSchedulingStopped, {{"text", view.stop_reason}}});
  }
}

}  // namespace

grpc::ServerUnaryReactor* ClusterServiceImpl::GetCluster(grpc::CallbackServerContext* context,
                                                         const v1::GetClusterRequest* request,
                                                         v1::Cluster* response) {
  const auto handle = [&](const auto& caller, const Reply& reply) {
    *response = ToWire(*caller->view, settings_.cluster);
    reply.Ok();
  };
  return Serve(context, parts_, Method("GetCluster"), *request,
               ForThisCluster(settings_, request, handle));
}

grpc::ServerUnaryReactor* ClusterServiceImpl::ListNodes(grpc::CallbackServerContext* context,
                                                        const v1::ListNodesRequest* request,
                                                        v1::ListNodesResponse* response) {
  const auto handle = [&](const std::shared_ptr<const Caller>& caller, const Reply& reply) {
    const auto page = ReadPage(request->page());
    if (!page) return reply.Fail(page.error());
    const NodeUse use(*caller);
    std::vector<v1::Node> nodes;
    for (const auto& [name, node] : caller->view->nodes) {
      v1::Node wire = use.ToWire(node, settings_.cluster);
      const bool health = request->health().empty() ||
                          std::find(request->health().begin(), request->health().end(),
                                    static_cast<int>(wire.health())) != request->health().end();
      const auto domains = DomainsOf(node);
      const bool domain = request->domain().empty() ||
                          std::any_of(domains.begin(), domains.end(), [request](const auto& each) {
                            return each.name == request->domain();
                          });
      const bool type = request->gpu_type().empty() || request->gpu_type() == node.gpu_type;
      const bool free = !request->free_only() || wire.free_gpus() > 0;
      if (health && domain && type && free) nodes.push_back(std::move(wire));
    }
    FillPage(nodes, *page, response->mutable_page(),
             [&](const v1::Node& node) { *response->add_nodes() = node; });
    reply.Ok();
  };
  return Serve(context, parts_, Method("ListNodes"), *request,
               ForThisCluster(settings_, request, handle));
}

grpc::ServerUnaryReactor* ClusterServiceImpl::GetTopology(grpc::CallbackServerContext* context,
                                                          const v1::GetTopologyRequest* request,
                                                          v1::GetTopologyResponse* response) {
  const auto handle = [&](const auto& caller, const Reply& reply) {
    std::map<std::pair<std::ptrdiff_t, std::string>, DomainSum> domains;  // the larger ones first
    for (const auto& [name, node] : caller->view->nodes) {
      const auto levels = DomainsOf(node);
      for (auto at = levels.begin(); at != levels.end(); ++at) {
        if (at->name.empty()) continue;
        const std::string parent = at + 1 == levels.end() ? "" : (at + 1)->name;
        DomainSum& sum = domains[{levels.begin() - at, at->name}];
        AddToDomain(*caller->view, node, at->level, parent, &sum);
      }
    }
    for (const auto& [key, sum] : domains) {
      auto* domain = response->add_domains();
      domain->set_name(key.second);
      domain->set_level(sum.level);
      domain->set_parent(sum.parent);
      domain->set_nodes(CompressHostList(sum.nodes));
      domain->set_node_count(static_cast<std::int32_t>(sum.nodes.size()));
      domain->mutable_gpus()->insert(sum.gpus.begin(), sum.gpus.end());
      domain->mutable_free_gpus()->insert(sum.free.begin(), sum.free.end());
      domain->set_free_nodes(sum.free_nodes);
    }
    reply.Ok();
  };
  return Serve(context, parts_, Method("GetTopology"), *request,
               ForThisCluster(settings_, request, handle));
}

grpc::ServerUnaryReactor* ClusterServiceImpl::GetCapacity(grpc::CallbackServerContext* context,
                                                          const v1::GetCapacityRequest* request,
                                                          v1::GetCapacityResponse* response) {
  const auto handle = [&](const std::shared_ptr<const Caller>& caller, const Reply& reply) {
    const View& view = *caller->view;
    std::map<std::string, v1::CapacityRow> rows;
    for (const auto& [type, rate] : view.directory->rate_milli) rows[type].set_gpu_type(type);
    const NodeOwners& owners = view.directory->owners;
    for (const auto& [name, node] : view.nodes) {
      auto& row = rows[node.gpu_type];
      if (owners.contains(name)) row.set_dedicated(row.dedicated() + node.gpus);
      row.set_gpu_type(node.gpu_type);
      row.set_configured(row.configured() + node.gpus);
      row.set_foreign(row.foreign() + node.foreign_gpus);
      if (InService(node)) {
        row.set_in_service(row.in_service() + node.gpus - node.foreign_gpus);
        row.set_free(row.free() + FreeOn(view, name));
      } else {
        row.set_out_of_service(row.out_of_service() + node.gpus);
      }
    }
    if (view.alive) {
      for (const auto& attempt : *view.alive) {
        auto& row = rows[attempt.shape.gpu_type];
        row.set_allocated(row.allocated() + attempt.shape.nodes * attempt.shape.gpus_per_node);
      }
    }
    const auto standing = view.standings.lower_bound({kRootAccount, ""});
    for (auto it = standing; it != view.standings.end() && it->first.first == kRootAccount; ++it) {
      auto& row = rows[it->first.second];
      row.set_queued((it->second.demand_milli - it->second.allocated_milli) / 1000);
    }
    for (auto& [type, row] : rows) *response->add_rows() = row;
    response->set_as_of_ms(view.now_ms);
    reply.Ok();
  };
  return Serve(context, parts_, Method("GetCapacity"), *request,
               ForThisCluster(settings_, request, handle));
}

grpc::ServerUnaryReactor* ClusterServiceImpl::GetStatus(grpc::CallbackServerContext* context,
                                                        const v1::GetStatusRequest* request,
                                                        v1::GetStatusResponse* response) {
  const auto handle = [&](const auto& caller, const Reply& reply) {
    const View& view = *caller->view;
    response->set_version(settings_.version);
    response->set_cluster(settings_.cluster);
    response->set_leader(view.leads);
    response->set_leader_address(view.leader_address);
    response->set_epoch(view.epoch);
    response->set_last_tick_ms(view.now_ms);
    response->set_now_ms(parts_.clock->Now());
    response->set_started_ms(started_ms_);
    if (view.leads) AddLeadersParts(view, response);
    // Answers once a read has come back from the database.
    parts_.read->Read([response, reply](Reader& reader) {
      const auto events = reader.Events(0, 1);
      auto* database = response->add_parts();
      database->set_name("postgresql");
      database->set_ok(events.has_value());
      reply.Ok();
    });
  };
  return Serve(context, parts_, Method("GetStatus"), *request,
               ForThisCluster(settings_, request, handle));
}

grpc::ServerUnaryReactor* ClusterServiceImpl::ResumeScheduling(
    grpc::CallbackServerContext* context, const v1::ResumeSchedulingRequest* request,
    v1::ResumeSchedulingResponse*) {
  const auto handle = [&](const std::shared_ptr<const Caller>& caller, const Reply& reply) {
    if (request->reason().empty()) return reply.Fail(Invalid("reason", "say why, for the record"));
    FieldChecks checks;
    checks.Text("reason", request->reason(), 4096);
    if (!checks.ok()) return reply.Fail(checks.error());
    parts_.desk->Do({caller->user, caller->name,
                     kezek::ResumeScheduling{request->reason(), request->accept_restore()}},
                    [reply](const Result<CommandOutcome>& outcome) {
                      if (!outcome) return reply.Fail(outcome.error());
                      reply.Ok();
                    });
  };
  return Serve(context, parts_, Method("ResumeScheduling"), *request,
               ForThisCluster(settings_, request, handle));
}

grpc::ServerWriteReactor<v1::SnapshotResponse>* ClusterServiceImpl::Snapshot(
    grpc::CallbackServerContext* context, const v1::SnapshotRequest* request) {
  return OpenSnapshot(streams_, context, *request);
}

}  // namespace kezek::rpc
