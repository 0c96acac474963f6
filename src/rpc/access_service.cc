#include "rpc/access_service.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "rpc/field_checks.h"
#include "rpc/match.h"
#include "rpc/paging.h"
#include "rpc/sync_plan.h"
#include "rpc/user_rules.h"

namespace kezek::rpc {
namespace {

constexpr std::size_t kDisplayNameBytes = 200;

Error TooManyLeavers(std::int64_t percent) {
  const std::string most = std::to_string(percent);
  return FieldProblem(Code::kFailedPrecondition,
                      {"users",
                       "TOO_MANY_LEAVERS",
                       "more than " + most +
                           " % of the members would leave: is the list complete? A higher "
                           "limits.leavers_percent in kezekd's configuration lets them",
                       {{"limit_percent", most}}});
}

bool Matches(const v1::ListUsersRequest& request, const Directory& directory, const User& user,
             AccountId account) {
  if (user.disabled && !request.include_disabled()) return false;
  if (request.role() != v1::ROLE_UNSPECIFIED || account) {
    const bool has = std::any_of(user.roles.begin(), user.roles.end(), [&](const auto& grant) {
      const bool role = request.role() == v1::ROLE_UNSPECIFIED ||
                        static_cast<int>(grant.role) + 1 == static_cast<int>(request.role());
      return role && (!account || IsWithin(directory, grant.account, account));
    });
    if (!has) return false;
  }
  return request.names().empty() ||
         std::any_of(request.names().begin(), request.names().end(), [&](const auto& pattern) {
           return MatchesPattern(pattern, user.name) || MatchesPattern(pattern, user.unix_account);
         });
}

}  // namespace

grpc::ServerUnaryReactor* AccessServiceImpl::ListUsers(grpc::CallbackServerContext* context,
                                                       const v1::ListUsersRequest* request,
                                                       v1::ListUsersResponse* response) {
  return Serve(
      context, parts_, Method("ListUsers"), *request, [&](const auto& caller, const Reply& reply) {
        const auto page = ReadPage(request->page());
        if (!page) return reply.Fail(page.error());
        const Directory& directory = caller->directory();
        AccountId account;
        if (!request->account().empty()) {
          const auto found = FindVisibleAccount(*caller, request->account(), "account");
          if (!found) return reply.Fail(found.error());
          account = *found;
        }
        std::vector<const User*> users;
        for (const auto& [name, id] : directory.user_by_name) {
          const User& user = directory.users.at(id);
          if (caller->ReachesUser(user) && Matches(*request, directory, user, account)) {
            users.push_back(&user);
          }
        }
        FillPage(users, *page, response->mutable_page(),
                 [&](const User* user) { *response->add_users() = ToWire(*caller, *user); });
        reply.Ok();
      });
}

void AccessServiceImpl::Put(const std::shared_ptr<const Caller>& caller, UserChange change,
                            const std::string& reason, v1::User* response,
                            const Reply& reply) const {
  Command command{caller->user, caller->name, PutUsers{{std::move(change)}, reason}};
  parts_.desk->Do(std::move(command), [caller, response, reply,
                                       desk = parts_.desk](const Result<CommandOutcome>& outcome) {
    if (!outcome) return reply.Fail(outcome.error());
    Caller now = *caller;
    now.view = desk->view();
    *response = ToWire(now, now.directory().users.at(UserId{outcome->ids.at(0)}));
    reply.Ok();
  });
}

grpc::ServerUnaryReactor* AccessServiceImpl::CreateUser(grpc::CallbackServerContext* context,
                                                        const v1::CreateUserRequest* request,
                                                        v1::User* response) {
  return Serve(
      context, parts_, Method("CreateUser"), *request, [&](const auto& caller, const Reply& reply) {
        const auto name = CheckUserName(request->name());
        if (!name) return reply.Fail(name.error());
        if (!MayKnow(*caller, request->name())) {
          return reply.Fail(Denied("NOT_ADMINISTRATOR",
                                   "you make users of your own institution, whose account is what "
                                   "follows the @; others are made by cluster admins"));
        }
        if (caller->directory().user_by_name.contains(request->name())) {
          return reply.Fail(FieldProblem(
              Code::kAlreadyExists,
              {"name", "USER_EXISTS", "there is a user '" + request->name() + "' already", {}}));
        }
        FieldChecks checks;
        checks.Line("display_name", request->display_name(), kDisplayNameBytes);
        if (!checks.ok()) return reply.Fail(checks.error());
        UserChange user{.name = request->name(), .display_name = request->display_name()};
        for (int i = 0; i < request->roles_size(); ++i) {
          const auto grant =
              ReadGrant(*caller, request->roles(i), "roles[" + std::to_string(i) + "]");
          if (!grant) return reply.Fail(grant.error());
          user.give.push_back(*grant);
        }
        if (request->unix_account().empty()) return Put(caller, user, "", response, reply);
        parts_.read->Read([this, caller, user, response, reply,
                           unix_account = request->unix_account()](Reader&) mutable {
          const auto checked = CheckUnixAccount(*caller, unix_account, user.id, settings_.min_uid,
                                                parts_.unix_accounts);
          if (!checked) return reply.Fail(checked.error());
          user.unix_account = unix_account;
          user.unix_uid = *checked;
          Put(caller, user, "", response, reply);
        });
      });
}

grpc::ServerUnaryReactor* AccessServiceImpl::UpdateUser(grpc::CallbackServerContext* context,
                                                        const v1::UpdateUserRequest* request,
                                                        v1::User* response) {
  return Serve(context, parts_, Method("UpdateUser"), *request,
               [&](const auto& caller, const Reply& reply) {
                 auto user = FindUser(*caller, request->name(), "name");
                 if (!user) return reply.Fail(user.error());
                 UserChange change{.id = user->id};
                 FieldChecks checks;
                 checks.Line("display_name", request->display_name(), kDisplayNameBytes);
                 if (!checks.ok()) return reply.Fail(checks.error());
                 if (request->has_display_name()) change.display_name = request->display_name();
                 if (request->has_disabled()) {
                   if (request->reason().empty()) {
                     return reply.Fail(Invalid("reason", "say why, for the record"));
                   }
                   change.disabled = request->disabled();
                 }
                 Put(caller, std::move(change), request->reason(), response, reply);
               });
}

grpc::ServerUnaryReactor* AccessServiceImpl::SetUnixAccount(
    grpc::CallbackServerContext* context, const v1::SetUnixAccountRequest* request,
    v1::User* response) {
  return Serve(
      context, parts_, Method("SetUnixAccount"), *request,
      [&](const auto& caller, const Reply& reply) {
        const auto user = FindUser(*caller, request->name(), "name");
        if (!user) return reply.Fail(user.error());
        parts_.read->Read([this, caller, id = user->id, response, reply, reason = request->reason(),
                           unix_account = request->unix_account()](Reader&) {
          UserChange change{.id = id, .unix_account = unix_account};
          if (!unix_account.empty()) {
            const auto checked = CheckUnixAccount(*caller, unix_account, id, settings_.min_uid,
                                                  parts_.unix_accounts);
            if (!checked) return reply.Fail(checked.error());
            change.unix_uid = *checked;
          }
          Put(caller, std::move(change), reason, response, reply);
        });
      });
}

grpc::ServerUnaryReactor* AccessServiceImpl::ChangeRoles(grpc::CallbackServerContext* context,
                                                         const v1::ChangeRolesRequest* request,
                                                         v1::User* response) {
  return Serve(context, parts_, Method("ChangeRoles"), *request,
               [&](const auto& caller, const Reply& reply) {
                 const Directory& directory = caller->directory();
                 const auto found = directory.user_by_name.find(request->name());
                 if (found == directory.user_by_name.end() || !MayKnow(*caller, request->name())) {
                   return reply.Fail(UnknownUser(request->name(), "name"));
                 }
                 UserChange change{.id = found->second};
                 for (int i = 0; i < request->give_size(); ++i) {
                   const auto grant =
                       ReadGrant(*caller, request->give(i), "give[" + std::to_string(i) + "]");
                   if (!grant) return reply.Fail(grant.error());
                   change.give.push_back(*grant);
                 }
                 for (int i = 0; i < request->take_size(); ++i) {
                   const auto grant =
                       ReadGrant(*caller, request->take(i), "take[" + std::to_string(i) + "]");
                   if (!grant) return reply.Fail(grant.error());
                   change.take.push_back(*grant);
                 }
                 Put(caller, std::move(change), request->reason(), response, reply);
               });
}

grpc::ServerUnaryReactor* AccessServiceImpl::SyncUsers(grpc::CallbackServerContext* context,
                                                       const v1::SyncUsersRequest* request,
                                                       v1::SyncUsersResponse* response) {
  return Serve(
      context, parts_, Method("SyncUsers"), *request, [&](const auto& caller, const Reply& reply) {
        parts_.read->Read([this, caller, request, response, reply](Reader&) {
          auto plan = PlanSync(*caller, *request, {settings_.min_uid, settings_.leavers_percent},
                               parts_.unix_accounts);
          if (!plan) return reply.Fail(plan.error());
          *response = std::move(plan->response);
          if (request->apply_plan().empty()) return reply.Ok();
          if (request->apply_plan() != response->plan()) {
            return reply.Fail(
                FieldProblem(Code::kAborted, {"apply_plan",
                                              "PLAN_CHANGED",
                                              "users have changed meanwhile: look at it again",
                                              {}}));
          }
          if (plan->too_many_leavers) return reply.Fail(TooManyLeavers(settings_.leavers_percent));
          response->set_applied(true);
          if (plan->users.empty()) return reply.Ok();
          Command command{caller->user, caller->name,
                          PutUsers{std::move(plan->users), "in line with the directory"}};
          parts_.desk->Do(std::move(command), [reply](const Result<CommandOutcome>& outcome) {
            if (outcome) return reply.Ok();
            Error error = outcome.error();
            for (FieldError& detail : error.details) detail.field = "users";
            reply.Fail(error);
          });
        });
      });
}

}  // namespace kezek::rpc
