// ClusterService: nodes by name, taken out and put back.
#include <algorithm>
#include <chrono>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "kezek/host_list.h"
#include "rpc/await.h"
#include "rpc/cluster_service.h"
#include "rpc/field_checks.h"
#include "rpc/node_convert.h"
#include "rpc/node_orders.h"

namespace kezek::rpc {
namespace {

constexpr DurationMs kSeenWithin = 5 * kSecondMs;  // the cluster's nodes are read every two
constexpr std::chrono::milliseconds kSeenAgain{100};

Result<std::vector<std::string>> ReadNodeNames(
    const View& view, const google::protobuf::RepeatedPtrField<std::string>& lists) {
  if (lists.empty()) return Invalid("nodes", "name at least one node, such as n01 or n[01-08]");
  std::vector<std::string> names;
  std::set<std::string> known;
  for (int i = 0; i < lists.size(); ++i) {
    const std::string field = "nodes[" + std::to_string(i) + "]";
    const auto expanded = ExpandHostList(lists.at(i));
    if (!expanded) return Invalid(field, expanded.error().message);
    for (const auto& name : *expanded) {
      if (!view.nodes.contains(name)) {
        return NotFound("NODE_NOT_FOUND", field, "there is no node '" + name + "'");
      }
      if (known.insert(name).second) names.push_back(name);
    }
  }
  return names;
}

// One change, on the thread that waits for the site.
class NodeChange {
 public:
  NodeChange(const Parts& parts, const Settings& settings, std::shared_ptr<const Caller> caller,
             std::vector<std::string> names, v1::NodesChanged* response, const Reply& reply)
      : parts_(parts),
        settings_(settings),
        caller_(std::move(caller)),
        names_(std::move(names)),
        response_(response),
        reply_(reply) {}

  // It is committed here. The cluster comes next, if it is to be told.
  void Tell(NodeOrder order, const std::atomic<bool>& stopping) const {
    if (!order.drain && parts_.nodes != nullptr && !KeepDrained(*parts_.nodes, &order, response_)) {
      return Answer();
    }
    if (!order.hosts.empty() && CanTell(parts_.nodes, order, response_)) {
      // On record before it is done: what is done to Slurm is never without its event.
      const auto noted = Await(*parts_.desk, {caller_->user, caller_->name,
                                              NoteAct{"nodes in Slurm", OrderText(order)}});
      if (!noted) return reply_.Fail(noted.error());
      const auto told = TellCluster(*parts_.nodes, order, stopping, response_);
      if (!order.drain) WaitUntilSeen(told, stopping);
    }
    Answer();
  }

  void Answer() const {
    Caller now = *caller_;
    now.view = parts_.desk->view();
    const NodeUse use(now);
    for (const auto& name : names_) {
      const auto node = now.view->nodes.find(name);
      if (node == now.view->nodes.end()) continue;
      *response_->add_nodes() = use.ToWire(node->second, settings_.cluster);
    }
    reply_.Ok();
  }

 private:
  // What was put back is answered as being back.
  void WaitUntilSeen(const std::vector<std::string>& hosts,
                     const std::atomic<bool>& stopping) const {
    const auto out = [this](const std::string& host) {
      const auto view = parts_.desk->view();
      const auto node = view->nodes.find(host);
      return node != view->nodes.end() && node->second.health == NodeHealth::kDraining;
    };
    for (DurationMs waited = 0; waited < kSeenWithin && !stopping; waited += kSeenAgain.count()) {
      if (std::none_of(hosts.begin(), hosts.end(), out)) return;
      std::this_thread::sleep_for(kSeenAgain);
    }
  }

  Parts parts_;
  const Settings& settings_;
  std::shared_ptr<const Caller> caller_;
  std::vector<std::string> names_;
  v1::NodesChanged* response_;
  Reply reply_;
};

}  // namespace

grpc::ServerUnaryReactor* ClusterServiceImpl::GetNodes(grpc::CallbackServerContext* context,
                                                       const v1::GetNodesRequest* request,
                                                       v1::GetNodesResponse* response) {
  const auto handle = [&](const auto& caller, const Reply& reply) {
    const auto names = ReadNodeNames(*caller->view, request->nodes());
    if (!names) return reply.Fail(names.error());
    const NodeUse use(*caller);
    for (const auto& name : *names) {
      *response->add_nodes() = use.ToWire(caller->view->nodes.at(name), settings_.cluster);
    }
    reply.Ok();
  };
  return Serve(context, parts_, Method("GetNodes"), *request,
               ForThisCluster(settings_, request, handle));
}

template <class Request>
void ClusterServiceImpl::ChangeService(const std::shared_ptr<const Caller>& caller,
                                       const Request& request, bool drain,
                                       v1::NodesChanged* response, const Reply& reply) {
  auto names = ReadNodeNames(*caller->view, request.nodes());
  if (!names) return reply.Fail(names.error());
  if (drain && request.reason().empty()) {
    return reply.Fail(Invalid("reason", "say why, for the record"));
  }
  FieldChecks checks;
  checks.Line("reason", request.reason(), 4096);
  if (!checks.ok()) return reply.Fail(checks.error());
  for (const auto& name : *names) {
    if (!drain && caller->view->nodes.at(name).health == NodeHealth::kDown) {
      return reply.Fail(
          FieldProblem(Code::kFailedPrecondition,
                       {"nodes",
                        "NODE_DOWN",
                        "node '" + name + "' is down in the cluster: mend it there first",
                        {{"node", name}}}));
    }
  }
  const NodeChange change(parts_, settings_, caller, *names, response, reply);
  Command command{caller->user, caller->name, SetNodeService{*names, drain, request.reason()}};
  parts_.desk->Do(std::move(command), [this, change, names = *names, drain,
                                       reason = request.reason(), alone = request.kezek_only(),
                                       response, reply](const Result<CommandOutcome>& outcome) {
    if (!outcome) return reply.Fail(outcome.error());
    if (alone) return change.Answer();
    const auto order = OrderFor(names, drain, reason, parts_.desk->view()->nodes, response);
    if (order.hosts.empty()) return change.Answer();
    const auto started =
        site_.Start([change, order](const auto& stopping) { change.Tell(order, stopping); });
    if (started) return;
    LeaveToAdmin(order, started.error().message, response);
    change.Answer();
  });
}

grpc::ServerUnaryReactor* ClusterServiceImpl::DrainNodes(grpc::CallbackServerContext* context,
                                                         const v1::DrainNodesRequest* request,
                                                         v1::NodesChanged* response) {
  const auto handle = [&](const auto& caller, const Reply& reply) {
    ChangeService(caller, *request, true, response, reply);
  };
  return Serve(context, parts_, Method("DrainNodes"), *request,
               ForThisCluster(settings_, request, handle));
}

grpc::ServerUnaryReactor* ClusterServiceImpl::ResumeNodes(grpc::CallbackServerContext* context,
                                                          const v1::ResumeNodesRequest* request,
                                                          v1::NodesChanged* response) {
  const auto handle = [&](const auto& caller, const Reply& reply) {
    ChangeService(caller, *request, false, response, reply);
  };
  return Serve(context, parts_, Method("ResumeNodes"), *request,
               ForThisCluster(settings_, request, handle));
}

}  // namespace kezek::rpc
