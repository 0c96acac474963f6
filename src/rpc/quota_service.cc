#include "rpc/quota_service.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kezek/node_owners.h"
#include "rpc/account_convert.h"
#include "rpc/budget_rows.h"
#include "rpc/entitlement_convert.h"
#include "rpc/paging.h"
#include "rpc/usage_rows.h"

namespace kezek::rpc {
namespace {

// More of them are read among what may be long: their entries of some weeks are added up.
constexpr int kFewBudgets = 16;

Result<AccountId> VisibleAccount(const Caller& caller, const std::string& path) {
  return FindVisibleAccount(caller, path, "account");
}

std::int32_t DepthOf(const Directory& directory, AccountId account) {
  std::int32_t depth = 0;
  for (AccountId at = account; at && at != kRootAccount; at = directory.accounts.at(at).parent) {
    ++depth;
  }
  return depth;
}

// The GPU types a request is about. NOT_FOUND NO_SUCH_GPU_TYPE.
Result<std::vector<std::string>> TypesOf(const Directory& directory, const std::string& type) {
  std::vector<std::string> types;
  for (const auto& [name, rate] : directory.rate_milli) {
    if (type.empty() || type == name) types.push_back(name);
  }
  if (!types.empty()) return types;
  return NotFound("NO_SUCH_GPU_TYPE", "gpu_type", "this cluster has no '" + type + "'");
}

// Accounts whose usage a request asks for: the account and its children, or the caller's own.
Result<std::vector<AccountId>> UsageAccounts(const Caller& caller, const std::string& path) {
  std::vector<AccountId> visible = VisibleAccounts(caller);
  if (path.empty() && !caller.everywhere) {
    return std::vector<AccountId>(caller.accounts.begin(), caller.accounts.end());
  }
  const auto account = VisibleAccount(caller, path);
  if (!account) return account.error();
  std::erase_if(visible, [&](AccountId id) {
    return id != *account && caller.directory().accounts.at(id).parent != *account;
  });
  return visible;
}

// The projects whose charges make up the figures of `accounts`.
std::vector<AccountId> ProjectsWithin(const Directory& directory,
                                      const std::vector<AccountId>& accounts) {
  const std::set<AccountId> tops(accounts.begin(), accounts.end());
  std::vector<AccountId> projects;
  for (const auto& [id, account] : directory.accounts) {
    AccountId at = id;
    while (at && !tops.contains(at)) at = directory.accounts.at(at).parent;
    if (at) projects.push_back(id);
  }
  return projects;
}

}  // namespace

grpc::ServerUnaryReactor* QuotaServiceImpl::ListAccounts(grpc::CallbackServerContext* context,
                                                         const v1::ListAccountsRequest* request,
                                                         v1::ListAccountsResponse* response) {
  return Serve(
      context, parts_, Method("ListAccounts"), *request,
      ForThisCluster(settings_, request, [&](const auto& caller, const Reply& reply) {
        const auto page = ReadPage(request->page());
        if (!page) return reply.Fail(page.error());
        if (request->depth() < 0) return reply.Fail(Invalid("depth", "must not be negative"));
        AccountId top = kRootAccount;
        if (!request->account().empty()) {
          const auto id = VisibleAccount(*caller, request->account());
          if (!id) return reply.Fail(id.error());
          top = *id;
        }
        const Directory& directory = caller->directory();
        std::vector<AccountId> accounts = VisibleAccounts(*caller);
        const std::int32_t top_depth = DepthOf(directory, top);
        std::erase_if(accounts, [&](AccountId id) {
          const Account& account = directory.accounts.at(id);
          const auto& kinds = request->kinds();
          return !IsWithin(directory, id, top) || (account.closed && !request->include_closed()) ||
                 (request->depth() > 0 && DepthOf(directory, id) - top_depth > request->depth()) ||
                 (!kinds.empty() &&
                  std::find(kinds.begin(), kinds.end(), account.kind) == kinds.end());
        });
        FillPage(accounts, *page, response->mutable_page(), [&](AccountId id) {
          *response->add_accounts() = ToWire(directory, directory.accounts.at(id));
        });
        response->set_settings_version(directory.settings_version);
        reply.Ok();
      }));
}

grpc::ServerUnaryReactor* QuotaServiceImpl::GetUsage(grpc::CallbackServerContext* context,
                                                     const v1::GetUsageRequest* request,
                                                     v1::GetUsageResponse* response) {
  return Serve(
      context, parts_, Method("GetUsage"), *request,
      ForThisCluster(settings_, request, [&](const auto& caller, const Reply& reply) {
        auto accounts = UsageAccounts(*caller, request->account());
        if (!accounts) return reply.Fail(accounts.error());
        auto types = TypesOf(caller->directory(), request->gpu_type());
        if (!types) return reply.Fail(types.error());
        auto budgets = BudgetsOf(*caller, request->account(), {.below = true});
        if (!budgets) return reply.Fail(budgets.error());
        std::erase_if(*budgets, [request](const BudgetStanding& budget) {
          const std::string& type = budget.spec.gpu_type;
          return !request->gpu_type().empty() && !type.empty() && type != request->gpu_type();
        });
        response->set_half_life_ms(settings_.half_life_ms);
        response->set_as_of_ms(caller->view->now_ms);
        response->set_settings_version(caller->view->settings_version);
        auto read = [caller, accounts = *accounts, types = *types, budgets = *budgets,
                     by_user = request->by_user(), response, reply](Reader& reader) {
          const auto charged = reader.ChargeTotals(ProjectsWithin(caller->directory(), accounts));
          if (!charged) return reply.Fail(charged.error());
          for (const AccountId id : accounts) {
            for (const auto& type : types) {
              *response->add_rows() = UsageOf(*caller->view, id, type, *charged);
            }
          }
          if (by_user) AddUsers(*caller, accounts, types, *charged, response);
          reply.Finish(AddBudgets(*caller, budgets, reader, response->mutable_budgets()));
        };
        if (static_cast<int>(budgets->size()) > kFewBudgets) return ReadLong(*caller, read);
        parts_.read->Read(read);
      }));
}

grpc::ServerUnaryReactor* QuotaServiceImpl::GetEntitlement(grpc::CallbackServerContext* context,
                                                           const v1::GetEntitlementRequest* request,
                                                           v1::GetEntitlementResponse* response) {
  return Serve(context, parts_, Method("GetEntitlement"), *request,
               ForThisCluster(settings_, request, [&](const auto& caller, const Reply& reply) {
                 const auto types = TypesOf(caller->directory(), request->gpu_type());
                 if (!types) return reply.Fail(types.error());
                 if (request->depth() < 0)
                   return reply.Fail(Invalid("depth", "must not be negative"));
                 AccountId top = kRootAccount;
                 if (!request->account().empty()) {
                   const auto id = VisibleAccount(*caller, request->account());
                   if (!id) return reply.Fail(id.error());
                   top = *id;
                 }
                 const View& view = *caller->view;
                 const std::int32_t top_depth = DepthOf(*view.directory, top);
                 for (const AccountId id : VisibleAccounts(*caller)) {
                   const std::int32_t below = DepthOf(*view.directory, id) - top_depth;
                   if (!IsWithin(*view.directory, id, top) ||
                       (request->depth() > 0 && below > request->depth())) {
                     continue;
                   }
                   for (const auto& type : *types)
                     *response->add_rows() = ToEntitlementRow(view, id, type);
                 }
                 const NodeOwners& owners = view.directory->owners;
                 for (const auto& [name, node] : view.nodes) {
                   if (node.health != NodeHealth::kUp || owners.contains(name)) continue;
                   (*response->mutable_capacity_milli_gpus())[node.gpu_type] +=
                       1000LL * (node.gpus - node.foreign_gpus);
                 }
                 response->set_tick_ms(view.now_ms);
                 response->set_settings_version(view.settings_version);
                 reply.Ok();
               }));
}

}  // namespace kezek::rpc
