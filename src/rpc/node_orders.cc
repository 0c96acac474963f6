#include "rpc/node_orders.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "kezek/host_list.h"
#include "kezek/node_parts.h"
#include "rpc/shell_word.h"

namespace kezek::rpc {

NodeOrder OrderFor(const std::vector<std::string>& names, bool drain, const std::string& reason,
                   const std::map<std::string, Node>& now, v1::NodesChanged* response) {
  NodeOrder order{.hosts = {}, .drain = drain, .reason = reason};
  const std::set<std::string> named(names.begin(), names.end());
  for (const std::string& name : names) {
    const std::string host(HostOf(name));
    if (!IsPart(name)) {
      order.hosts.push_back(name);
      continue;
    }
    const auto node = now.find(host);
    const bool drained = node != now.end() && node->second.health == NodeHealth::kDraining;
    if ((drain || drained) && !named.contains(host)) {
      response->add_refused(name + " is a part of " + host + ", and Slurm " +
                            (drain ? "drains" : "resumes") + " only all of it");
    }
  }
  return order;
}

bool KeepDrained(ClusterNodes& nodes, NodeOrder* order, v1::NodesChanged* response) {
  const auto drained = nodes.Drained();
  if (!drained) return LeaveToAdmin(*order, drained.error().message, response), false;
  std::erase_if(order->hosts, [&](const std::string& host) { return !drained->contains(host); });
  return true;
}

std::string OrderText(const NodeOrder& order) {
  const std::string hosts = CompressHostList(order.hosts);
  return hosts + (order.drain ? " to be drained: " + order.reason : " to be resumed");
}

std::string CommandFor(const NodeOrder& order) {
  const std::string node = "scontrol update NodeName=" + ShellWord(CompressHostList(order.hosts));
  if (!order.drain) return node + " State=RESUME";
  return node + " State=DRAIN Reason=" + ShellWord(order.reason);
}

void LeaveToAdmin(const NodeOrder& order, const std::string& why, v1::NodesChanged* response) {
  response->add_commands(CommandFor(order));
  if (!why.empty()) response->add_refused(CompressHostList(order.hosts) + ": " + why);
}

bool CanTell(ClusterNodes* nodes, const NodeOrder& order, v1::NodesChanged* response) {
  if (nodes == nullptr) return LeaveToAdmin(order, "", response), false;
  const auto takes = nodes->TakesOrders();
  if (!takes) return LeaveToAdmin(order, takes.error().message, response), false;
  if (!*takes) LeaveToAdmin(order, "", response);
  return *takes;
}

std::vector<std::string> TellCluster(ClusterNodes& nodes, const NodeOrder& order,
                                     const std::atomic<bool>& stopping,
                                     v1::NodesChanged* response) {
  std::vector<std::string> told;
  std::map<std::string, std::vector<std::string>> refused;  // by why
  std::string away;  // not worth another time-out for each host that is left
  for (const std::string& host : order.hosts) {
    if (away.empty() && stopping) away = "kezekd is ending";
    if (!away.empty()) {
      refused[away].push_back(host);
      continue;
    }
    const auto done = order.drain ? nodes.Drain(host, order.reason) : nodes.Resume(host);
    if (done) {
      told.push_back(host);
      continue;
    }
    refused[done.error().message].push_back(host);
    if (done.error().code == Code::kUnavailable) away = done.error().message;
  }
  for (const auto& [why, hosts] : refused) {
    LeaveToAdmin({.hosts = hosts, .drain = order.drain, .reason = order.reason}, why, response);
  }
  return told;
}

}  // namespace kezek::rpc
