// Settings of accounts: applied, looked at as they were, brought back.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "rpc/account_convert.h"
#include "rpc/account_past.h"
#include "rpc/account_plan.h"
#include "rpc/account_warnings.h"
#include "rpc/await.h"
#include "rpc/paging.h"
#include "rpc/quota_service.h"
#include "rpc/what_if_convert.h"

namespace kezek::rpc {
namespace {

// Of the service's method.
// The account as it was, with what it had from its parents then.
Result<void> FillPast(const Directory& directory, const std::vector<AccountVersion>& history,
                      AccountId id, std::int64_t version, v1::GetAccountResponse* response) {
  auto past = AccountsAt(history, version, "settings_version");
  if (!past) return past.error();
  Directory then = directory;
  then.accounts = std::move(*past);
  const auto found = then.accounts.find(id);
  if (found == then.accounts.end()) {
    return NotFound("ACCOUNT_NOT_FOUND", "account",
                    "there was no such account under version " + std::to_string(version));
  }
  *response->mutable_account() = ToWire(then, found->second);
  *response->mutable_effective() = ToWire(Effective(then, id));
  return {};
}

Result<void> CheckReason(const std::string& reason, bool plan_only) {
  if (plan_only || reason.find_first_not_of(" \t\n") != std::string::npos) return {};
  return Invalid("reason", "say why, for the record");
}

// The account a request is about; the root if it names none.
Result<AccountId> TopOf(const Caller& caller, const std::string& path) {
  if (path.empty()) return kRootAccount;
  return FindVisibleAccount(caller, path, "account");
}

Result<void> CheckBase(const Directory& directory, std::int64_t base_version) {
  if (base_version == 0 || directory.settings_version <= base_version) return {};
  const std::string version = std::to_string(directory.settings_version);
  return FieldProblem(Code::kAborted, {"base_version",
                                       "VERSION_CHANGED",
                                       "the settings are at version " + version + " by now",
                                       {{"version", version}}});
}

struct Asked {
  std::shared_ptr<const Caller> caller;
  bool plan_only = false;
  bool what_if = false;
};

// Has the desk check the plan, and carry it out unless only that was asked for. `in_request` finds
// the place of an error of the desk in the request.
template <class InTheRequest>
void Carry(const Parts& parts, Lane& trials, const Asked& asked, AccountPlan plan,
           v1::ApplyAccountsResponse* response, const Reply& reply, InTheRequest in_request) {
  response->mutable_changes()->Add(plan.changes.begin(), plan.changes.end());
  response->mutable_warnings()->Add(plan.warnings.begin(), plan.warnings.end());
  if (plan.command.accounts.empty()) return reply.Ok();
  for (v1::Reason& warning : WarningsOf(*asked.caller->view, plan.command)) {
    *response->add_warnings() = std::move(warning);
  }
  plan.command.plan_only = asked.plan_only;
  plan.command.what_if = asked.what_if;
  Command command{asked.caller->user, asked.caller->name, std::move(plan.command)};
  const auto done = [desk = parts.desk, response, reply, asked,
                     in_request = std::move(in_request)](const auto& outcome) {
    if (!outcome) {
      response->Clear();
      return reply.Fail(in_request(outcome.error()));
    }
    if (!asked.plan_only) {
      response->set_settings_version(desk->view()->directory->settings_version);
    }
    if (outcome->what_if) {
      *response->mutable_what_if() = ToWire(*asked.caller, outcome->what_if());
    }
    reply.Ok();
  };
  if (!asked.what_if) return parts.desk->Do(std::move(command), done);
  // One after the other: each holds a copy of the queue.
  trials.Work(asked.caller->user,
              [desk = parts.desk, command, done](Reader&) { done(Await(*desk, command)); });
}

// Of a change: why, unless it is only looked at.
template <class Request>
Result<void> CheckAsked(const Request& request) {
  if (const auto reason = CheckReason(request.reason(), request.plan_only()); !reason) {
    return reason;
  }
  if (!request.what_if() || request.plan_only()) return {};
  return Invalid("what_if", "goes with plan_only alone");
}

}  // namespace

grpc::ServerUnaryReactor* QuotaServiceImpl::GetAccount(grpc::CallbackServerContext* context,
                                                       const v1::GetAccountRequest* request,
                                                       v1::GetAccountResponse* response) {
  return Serve(context, parts_, Method("GetAccount"), *request,
               ForThisCluster(settings_, request, [&](const auto& caller, const Reply& reply) {
                 const auto id = FindVisibleAccount(*caller, request->account(), "account");
                 if (!id) return reply.Fail(id.error());
                 const Directory& directory = caller->directory();
                 if (request->settings_version() == 0) {
                   *response->mutable_account() = ToWire(directory, directory.accounts.at(*id));
                   *response->mutable_effective() = ToWire(Effective(directory, *id));
                   return reply.Ok();
                 }
                 ReadLong(*caller, [caller, id = *id, request, response, reply](Reader& reader) {
                   const auto history = reader.AccountHistory();
                   if (!history) return reply.Fail(history.error());
                   reply.Finish(FillPast(caller->directory(), *history, id,
                                         request->settings_version(), response));
                 });
               }));
}

grpc::ServerUnaryReactor* QuotaServiceImpl::ApplyAccounts(grpc::CallbackServerContext* context,
                                                          const v1::ApplyAccountsRequest* request,
                                                          v1::ApplyAccountsResponse* response) {
  return Serve(context, parts_, Method("ApplyAccounts"), *request,
               ForThisCluster(settings_, request, [&](const auto& caller, const Reply& reply) {
                 const auto asked = CheckAsked(*request);
                 if (!asked) return reply.Fail(asked.error());
                 auto plan = PlanAccounts(*caller, *request);
                 if (!plan) return reply.Fail(plan.error());
                 Carry(parts_, *trials_, {caller, request->plan_only(), request->what_if()},
                       std::move(*plan), response, reply,
                       [request](const Error& error) { return InRequest(*request, error); });
               }));
}

grpc::ServerUnaryReactor* QuotaServiceImpl::ListChanges(grpc::CallbackServerContext* context,
                                                        const v1::ListChangesRequest* request,
                                                        v1::ListChangesResponse* response) {
  return Serve(
      context, parts_, Method("ListChanges"), *request,
      ForThisCluster(settings_, request, [&](const auto& caller, const Reply& reply) {
        const auto page = ReadPage(request->page());
        if (!page) return reply.Fail(page.error());
        const auto top = TopOf(*caller, request->account());
        if (!top) return reply.Fail(top.error());
        ReadLong(*caller, [caller, top = *top, page = *page, request, response,
                           reply](Reader& reader) {
          const auto history = reader.AccountHistory();
          if (!history) return reply.Fail(history.error());
          auto changes = ChangesOf(*caller, *history, top, request->time());
          if (caller->everywhere && top == kRootAccount) {
            const auto roles =
                reader.RoleChanges(request->time().since_ms(), request->time().until_ms());
            if (!roles) return reply.Fail(roles.error());
            AddRoleChanges(*roles, &changes);
          }
          FillPage(changes, page, response->mutable_page(),
                   [&](const v1::SettingsChange& change) { *response->add_changes() = change; });
          reply.Ok();
        });
      }));
}

grpc::ServerUnaryReactor* QuotaServiceImpl::RevertAccounts(grpc::CallbackServerContext* context,
                                                           const v1::RevertAccountsRequest* request,
                                                           v1::ApplyAccountsResponse* response) {
  return Serve(context, parts_, Method("RevertAccounts"), *request,
               ForThisCluster(settings_, request, [&](const auto& caller, const Reply& reply) {
                 const auto asked = CheckAsked(*request);
                 if (!asked) return reply.Fail(asked.error());
                 const auto top = TopOf(*caller, request->account());
                 if (!top) return reply.Fail(top.error());
                 const auto base = CheckBase(caller->directory(), request->base_version());
                 if (!base) return reply.Fail(base.error());
                 ReadLong(
                     *caller, [this, caller, top = *top, request, response, reply](Reader& reader) {
                       const auto history = reader.AccountHistory();
                       if (!history) return reply.Fail(history.error());
                       const auto past = AccountsAt(*history, request->to_version(), "to_version");
                       if (!past) return reply.Fail(past.error());
                       auto plan = PlanRevert(*caller, top, *past, *request);
                       if (!plan) return reply.Fail(plan.error());
                       Carry(parts_, *trials_, {caller, request->plan_only(), request->what_if()},
                             std::move(*plan), response, reply, Naming);
                     });
               }));
}

}  // namespace kezek::rpc
