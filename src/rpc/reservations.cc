// ClusterService: what admins reserve.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "kezek/host_list.h"
#include "rpc/cluster_service.h"
#include "rpc/field_checks.h"
#include "rpc/job_convert.h"

namespace kezek::rpc {
namespace {

constexpr const char* kAnother = "another institution";

std::string At(const std::string& field, int i) { return field + "[" + std::to_string(i) + "]"; }

// Everybody may know when which nodes are not to be had, and why; for whom, who reaches them.
v1::AdminReservation ToWire(const Caller& caller, const AdminReservation& one) {
  v1::AdminReservation wire;
  wire.set_name(one.name);
  wire.set_start_ms(one.start_ms);
  wire.set_duration_ms(one.duration_ms);
  wire.set_repeat_every_ms(one.repeat_every_ms);
  wire.set_repeat_until_ms(one.repeat_until_ms);
  wire.mutable_nodes()->Assign(one.nodes.begin(), one.nodes.end());
  wire.set_node_count(one.node_count);
  wire.set_gpu_type(one.gpu_type);
  bool others = false;
  for (const AccountId& account : one.accounts) {
    const bool seen = caller.everywhere || caller.SeesAccount(account);
    others |= !seen;
    if (seen) wire.add_accounts(PathOf(caller.directory(), account));
  }
  if (others) wire.add_accounts(kAnother);
  bool unknown = false;
  for (const UserId& user : one.users) {
    const auto found = caller.directory().users.find(user);
    if (found == caller.directory().users.end()) continue;
    const bool seen = caller.everywhere || user == caller.user || caller.ReachesUser(found->second);
    unknown |= !seen;
    if (seen) wire.add_users(found->second.name);
  }
  if (unknown) wire.add_users(kAnother);
  wire.set_reason(one.reason);
  if (caller.everywhere) wire.set_actor(one.actor);
  wire.set_version(one.version);
  return wire;
}

// Of another institution's job: when, and how many GPUs.
void AddPromised(const Caller& caller, v1::ListReservationsResponse* response) {
  std::vector<std::pair<JobRef, const Promised*>> all;
  for (const auto& [row, promised] : caller.view->promised) all.push_back({row, &promised});
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return a.second->from_ms < b.second->from_ms;
  });
  for (const auto& [row, promised] : all) {
    v1::BlockedJobReservation& wire = *response->add_jobs();
    wire.set_counted_milli_gpus(promised->counted_milli);
    if (!caller.Reaches(promised->user, promised->project)) {
      wire.mutable_reservation()->set_start_ms(promised->from_ms);
      continue;
    }
    wire.set_job(ToText(row));
    FillReservation(caller.view->nodes, *promised, wire.mutable_reservation());
  }
}

bool IsName(const std::string& name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  return !name.empty() && name.size() <= 63 && std::all_of(name.begin(), name.end(), fits) &&
         name.front() != '-' && name.front() != '.';
}

void ReadFigures(const v1::AdminReservation& wire, FieldChecks& checks) {
  checks.Require(IsName(wire.name()), "name",
                 "is one word of up to 63 letters, digits, dashes, underscores and dots");
  checks.Range("start_ms", wire.start_ms(), 1, kLatestMs);
  checks.Range("duration_ms", wire.duration_ms(), 1, kLatestMs);
  checks.Range("repeat_every_ms", wire.repeat_every_ms(), 0, kLatestMs);
  checks.Range("repeat_until_ms", wire.repeat_until_ms(), 0, kLatestMs);
  checks.Range("version", wire.version(), 0, INT64_MAX - 1);
  checks.Text("reason", wire.reason(), 1024);
  checks.Require(!wire.reason().empty(), "reason", "say why: whom it delays is told so");
  checks.Range("node_count", wire.node_count(), 0, 100'000);
  checks.Line("gpu_type", wire.gpu_type(), 63);
  const bool counts = wire.node_count() > 0;
  checks.Require(counts == !wire.gpu_type().empty(), "gpu_type",
                 "goes with a number of nodes: give both, or name nodes");
  checks.Require(!counts || wire.nodes().empty(), "node_count",
                 "name nodes, or say how many: not both");
  checks.Require(counts || !wire.nodes().empty(), "nodes",
                 "name nodes, or say how many of which GPU type");
  checks.Require(wire.nodes_size() <= 1000, "nodes", "has more than 1000 entries");
  checks.Require(wire.accounts_size() <= 1000, "accounts", "has more than 1000 entries");
  checks.Require(wire.users_size() <= 1000, "users", "has more than 1000 entries");
}

// Whether there are such nodes, and what speaks against it, the controller says.
Result<AdminReservation> Read(const Caller& caller, const v1::AdminReservation& wire) {
  FieldChecks checks("reservation.");
  ReadFigures(wire, checks);
  if (!checks.ok()) return checks.error();
  AdminReservation one;
  one.name = wire.name();
  one.start_ms = wire.start_ms();
  one.duration_ms = wire.duration_ms();
  one.repeat_every_ms = wire.repeat_every_ms();
  one.repeat_until_ms = wire.repeat_until_ms();
  one.node_count = wire.node_count();
  one.gpu_type = wire.gpu_type();
  one.reason = wire.reason();
  one.version = wire.version();
  for (int i = 0; i < wire.nodes_size(); ++i) {
    const auto expanded = ExpandHostList(wire.nodes(i));
    if (!expanded) checks.Fail(At("nodes", i), expanded.error().message);
    if (!checks.ok()) return checks.error();
    one.nodes.insert(one.nodes.end(), expanded->begin(), expanded->end());
  }
  for (int i = 0; i < wire.accounts_size(); ++i) {
    const auto found =
        FindVisibleAccount(caller, wire.accounts(i), "reservation." + At("accounts", i));
    if (!found) return found.error();
    one.accounts.push_back(*found);
  }
  for (int i = 0; i < wire.users_size(); ++i) {
    const auto found = caller.directory().user_by_name.find(wire.users(i));
    if (found == caller.directory().user_by_name.end()) {
      return NotFound("USER_NOT_FOUND", "reservation." + At("users", i),
                      "there is no user '" + wire.users(i) + "'");
    }
    one.users.push_back(found->second);
  }
  return one;
}

}  // namespace

grpc::ServerUnaryReactor* ClusterServiceImpl::ListReservations(
    grpc::CallbackServerContext* context, const v1::ListReservationsRequest* request,
    v1::ListReservationsResponse* response) {
  const auto handle = [&](const std::shared_ptr<const Caller>& caller, const Reply& reply) {
    std::vector<std::pair<TimeMs, const AdminReservation*>> all;
    for (const auto& [name, one] : caller->directory().reservations) {
      all.push_back({one.start_ms, &one});
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [start_ms, one] : all) *response->add_reservations() = ToWire(*caller, *one);
    if (request->jobs()) AddPromised(*caller, response);
    reply.Ok();
  };
  return Serve(context, parts_, Method("ListReservations"), *request,
               ForThisCluster(settings_, request, handle));
}

grpc::ServerUnaryReactor* ClusterServiceImpl::PutReservation(
    grpc::CallbackServerContext* context, const v1::PutReservationRequest* request,
    v1::PutReservationResponse* response) {
  const auto handle = [&](const std::shared_ptr<const Caller>& caller, const Reply& reply) {
    auto one = Read(*caller, request->reservation());
    if (!one) return reply.Fail(one.error());
    kezek::PutReservation put{*std::move(one), request->delay_jobs(), request->allow_running()};
    parts_.desk->Do({caller->user, caller->name, std::move(put)},
                    [this, caller, response, reply](const Result<CommandOutcome>& outcome) {
                      if (!outcome) return reply.Fail(outcome.error());
                      Caller now = *caller;
                      now.view = parts_.desk->view();
                      *response->mutable_reservation() = ToWire(now, outcome->reservation);
                      for (const JobRef& job : outcome->jobs) {
                        response->add_delayed(ToText(job));
                      }
                      reply.Ok();
                    });
  };
  return Serve(context, parts_, Method("PutReservation"), *request,
               ForThisCluster(settings_, request, handle));
}

grpc::ServerUnaryReactor* ClusterServiceImpl::DeleteReservation(
    grpc::CallbackServerContext* context, const v1::DeleteReservationRequest* request,
    v1::DeleteReservationResponse*) {
  const auto handle = [&](const std::shared_ptr<const Caller>& caller, const Reply& reply) {
    FieldChecks checks;
    checks.Line("name", request->name(), 63);
    checks.Require(!request->name().empty(), "name", "say which one");
    checks.Text("reason", request->reason(), 1024);
    checks.Require(!request->reason().empty(), "reason", "say why, for the record");
    if (!checks.ok()) return reply.Fail(checks.error());
    parts_.desk->Do(
        {caller->user, caller->name, kezek::DeleteReservation{request->name(), request->reason()}},
        [reply](const Result<CommandOutcome>& outcome) {
          if (!outcome) return reply.Fail(outcome.error());
          reply.Ok();
        });
  };
  return Serve(context, parts_, Method("DeleteReservation"), *request,
               ForThisCluster(settings_, request, handle));
}

}  // namespace kezek::rpc
