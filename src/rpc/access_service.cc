#include "rpc/access_service.h"

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "rpc/match.h"
#include "rpc/paging.h"
#include "rpc/tokens.h"
#include "rpc/user_rules.h"

namespace kezek::rpc {
namespace {

constexpr std::string_view kService = "/kezek.v1.AccessService/";

std::string Method(std::string_view name) { return std::string(kService) + std::string(name); }

Error LastAdmin() {
  return FieldProblem(
      Code::kFailedPrecondition,
      {"name", "LAST_ADMIN", "this is the last cluster admin: make another one first", {}});
}

Result<TokenId> ReadTokenId(const std::string& text) {
  TokenId id;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id.value);
  if (error != std::errc() || end != text.data() + text.size() || !id) {
    return NotFound("TOKEN_NOT_FOUND", "id", "there is no token '" + text + "' that you may see");
  }
  return id;
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

grpc::ServerUnaryReactor* AccessServiceImpl::WhoAmI(grpc::CallbackServerContext* context,
                                                    const v1::WhoAmIRequest*,
                                                    v1::WhoAmIResponse* response) {
  return Serve(context, parts_, Method("WhoAmI"), [&](const auto& caller, const Reply& reply) {
    const Directory& directory = caller->directory();
    const User& user = directory.users.at(caller->user);
    *response->mutable_user() = ToWire(directory, user);
    for (const auto& [hash, token] : directory.tokens) {
      if (token.id == caller->token) *response->mutable_token() = ToWire(directory, token);
    }
    for (const auto& grant : user.roles) {
      if (grant.role <= Role::kProjectLead) {
        response->add_projects(PathOf(directory, grant.account));
      }
    }
    response->set_cluster(settings_.cluster);
    reply.Ok();
  });
}

grpc::ServerUnaryReactor* AccessServiceImpl::Login(grpc::CallbackServerContext* context,
                                                   const v1::LoginRequest*, v1::LoginResponse*) {
  return ServeNotYet(context, parts_, Method("Login"), "munge sign-in");
}

grpc::ServerUnaryReactor* AccessServiceImpl::ListUsers(grpc::CallbackServerContext* context,
                                                       const v1::ListUsersRequest* request,
                                                       v1::ListUsersResponse* response) {
  return Serve(context, parts_, Method("ListUsers"), [&](const auto& caller, const Reply& reply) {
    const auto page = ReadPage(request->page());
    if (!page) return reply.Fail(page.error());
    const Directory& directory = caller->directory();
    AccountId account;
    if (!request->account().empty()) {
      const auto found = FindAccount(directory, request->account(), "account");
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
             [&](const User* user) { *response->add_users() = ToWire(directory, *user); });
    reply.Ok();
  });
}

void AccessServiceImpl::Put(const std::shared_ptr<const Caller>& caller, User user,
                            const std::string& reason, v1::User* response,
                            const Reply& reply) const {
  if (LosesLastAdmin(caller->directory(), user)) return reply.Fail(LastAdmin());
  *response = ToWire(caller->directory(), user);
  Command command{caller->user, caller->name, PutUsers{{std::move(user)}, reason}};
  parts_.desk->Do(std::move(command), [reply](const Result<CommandOutcome>& outcome) {
    if (outcome) {
      reply.Ok();
    } else {
      reply.Fail(outcome.error());
    }
  });
}

grpc::ServerUnaryReactor* AccessServiceImpl::CreateUser(grpc::CallbackServerContext* context,
                                                        const v1::CreateUserRequest* request,
                                                        v1::User* response) {
  return Serve(context, parts_, Method("CreateUser"), [&](const auto& caller, const Reply& reply) {
    const auto name = CheckUserName(request->name());
    if (!name) return reply.Fail(name.error());
    if (caller->directory().user_by_name.contains(request->name())) {
      return reply.Fail(FieldProblem(
          Code::kAlreadyExists,
          {"name", "USER_EXISTS", "there is a user '" + request->name() + "' already", {}}));
    }
    User user{.name = request->name(), .display_name = request->display_name()};
    for (int i = 0; i < request->roles_size(); ++i) {
      const auto grant = ReadGrant(*caller, request->roles(i), "roles[" + std::to_string(i) + "]");
      if (!grant) return reply.Fail(grant.error());
      user.roles.push_back(*grant);
    }
    std::sort(user.roles.begin(), user.roles.end());
    user.roles.erase(std::unique(user.roles.begin(), user.roles.end()), user.roles.end());
    if (request->unix_account().empty()) return Put(caller, user, "", response, reply);
    parts_.read->Read([this, caller, user, response, reply,
                       unix_account = request->unix_account()](Reader&) mutable {
      const auto checked =
          CheckUnixAccount(*caller, unix_account, user.id, settings_.min_uid, parts_.unix_accounts);
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
  return Serve(context, parts_, Method("UpdateUser"), [&](const auto& caller, const Reply& reply) {
    auto user = FindUser(*caller, request->name(), "name");
    if (!user) return reply.Fail(user.error());
    if (request->has_display_name()) user->display_name = request->display_name();
    if (request->has_disabled()) {
      if (request->reason().empty()) {
        return reply.Fail(Invalid("reason", "say why, for the record"));
      }
      user->disabled = request->disabled();
    }
    Put(caller, *user, request->reason(), response, reply);
  });
}

grpc::ServerUnaryReactor* AccessServiceImpl::SetUnixAccount(
    grpc::CallbackServerContext* context, const v1::SetUnixAccountRequest* request,
    v1::User* response) {
  return Serve(
      context, parts_, Method("SetUnixAccount"), [&](const auto& caller, const Reply& reply) {
        const auto user = FindUser(*caller, request->name(), "name");
        if (!user) return reply.Fail(user.error());
        parts_.read->Read([this, caller, user = *user, response, reply, reason = request->reason(),
                           unix_account = request->unix_account()](Reader&) mutable {
          user.unix_account = unix_account;
          user.unix_uid = 0;
          if (!unix_account.empty()) {
            const auto checked = CheckUnixAccount(*caller, unix_account, user.id, settings_.min_uid,
                                                  parts_.unix_accounts);
            if (!checked) return reply.Fail(checked.error());
            user.unix_uid = *checked;
          }
          Put(caller, user, reason, response, reply);
        });
      });
}

grpc::ServerUnaryReactor* AccessServiceImpl::ChangeRoles(grpc::CallbackServerContext* context,
                                                         const v1::ChangeRolesRequest* request,
                                                         v1::User* response) {
  return Serve(context, parts_, Method("ChangeRoles"), [&](const auto& caller, const Reply& reply) {
    // Whoever administers a project may take in any user by the full name.
    const Directory& directory = caller->directory();
    const auto found = directory.user_by_name.find(request->name());
    if (found == directory.user_by_name.end()) {
      return reply.Fail(NotFound("USER_NOT_FOUND", "name",
                                 "there is no user '" + request->name() + "' that you may see"));
    }
    User user = directory.users.at(found->second);
    std::set<RoleGrant> roles(user.roles.begin(), user.roles.end());
    for (int i = 0; i < request->give_size(); ++i) {
      const auto grant = ReadGrant(*caller, request->give(i), "give[" + std::to_string(i) + "]");
      if (!grant) return reply.Fail(grant.error());
      roles.insert(*grant);
    }
    for (int i = 0; i < request->take_size(); ++i) {
      const auto grant = ReadGrant(*caller, request->take(i), "take[" + std::to_string(i) + "]");
      if (!grant) return reply.Fail(grant.error());
      roles.erase(*grant);
    }
    user.roles.assign(roles.begin(), roles.end());
    Put(caller, user, request->reason(), response, reply);
  });
}

grpc::ServerUnaryReactor* AccessServiceImpl::CreateToken(grpc::CallbackServerContext* context,
                                                         const v1::CreateTokenRequest* request,
                                                         v1::CreateTokenResponse* response) {
  return Serve(context, parts_, Method("CreateToken"), [&](const auto& caller, const Reply& reply) {
    if (request->has_limits()) {
      return reply.Fail(NotYet("limits", "limits of tokens for automation"));
    }
    const auto user =
        FindUser(*caller, request->user().empty() ? caller->name : request->user(), "user");
    if (!user) return reply.Fail(user.error());
    const DurationMs longest = settings_.token_lifetime_ms;
    if (request->lifetime_ms() < 0 || request->lifetime_ms() > longest) {
      return reply.Fail(FieldProblem(
          Code::kInvalidArgument,
          {"lifetime_ms",
           "EXPIRY_TOO_LONG",
           "must be from 0 to " + std::to_string(longest) + " ms, the longest allowed here",
           {}}));
    }
    const auto secret = MakeSecret();
    if (!secret) return reply.Fail(secret.error());
    const TimeMs now = parts_.clock->Now();
    Token token{
        .user = user->id,
        .label = request->label(),
        .hash = HashToken(*secret),
        .created_ms = now,
        .expires_ms = now + (request->lifetime_ms() == 0 ? longest : request->lifetime_ms())};
    response->set_secret(*secret);
    Command command{caller->user, caller->name, PutToken{token}};
    parts_.desk->Do(std::move(command), [caller, token, response,
                                         reply](const Result<CommandOutcome>& outcome) mutable {
      if (!outcome) {
        response->Clear();
        return reply.Fail(outcome.error());
      }
      token.id = TokenId{outcome->ids.empty() ? 0 : outcome->ids.front()};
      *response->mutable_token() = ToWire(caller->directory(), token);
      reply.Ok();
    });
  });
}

grpc::ServerUnaryReactor* AccessServiceImpl::ListTokens(grpc::CallbackServerContext* context,
                                                        const v1::ListTokensRequest* request,
                                                        v1::ListTokensResponse* response) {
  return Serve(context, parts_, Method("ListTokens"), [&](const auto& caller, const Reply& reply) {
    const auto user =
        FindUser(*caller, request->user().empty() ? caller->name : request->user(), "user");
    if (!user) return reply.Fail(user.error());
    const TimeMs now = parts_.clock->Now();
    std::vector<Token> tokens;
    for (const auto& [hash, token] : caller->directory().tokens) {
      const bool ended =
          token.revoked_ms != 0 || (token.expires_ms != 0 && token.expires_ms <= now);
      if (token.user == user->id && (!ended || request->include_ended())) tokens.push_back(token);
    }
    std::sort(tokens.begin(), tokens.end(),
              [](const Token& a, const Token& b) { return a.id > b.id; });
    for (const auto& token : tokens) *response->add_tokens() = ToWire(caller->directory(), token);
    reply.Ok();
  });
}

grpc::ServerUnaryReactor* AccessServiceImpl::RevokeToken(grpc::CallbackServerContext* context,
                                                         const v1::RevokeTokenRequest* request,
                                                         v1::RevokeTokenResponse* response) {
  return Serve(context, parts_, Method("RevokeToken"), [&](const auto& caller, const Reply& reply) {
    const auto id = ReadTokenId(request->id());
    if (!id) return reply.Fail(id.error());
    const auto& tokens = caller->directory().tokens;
    const auto found = std::find_if(tokens.begin(), tokens.end(),
                                    [&](const auto& entry) { return entry.second.id == *id; });
    const auto owner = found == tokens.end() ? caller->directory().users.end()
                                             : caller->directory().users.find(found->second.user);
    if (owner == caller->directory().users.end() || !caller->ReachesUser(owner->second)) {
      return reply.Fail(NotFound("TOKEN_NOT_FOUND", "id",
                                 "there is no token '" + request->id() + "' that you may see"));
    }
    Token token = found->second;
    if (token.revoked_ms == 0) token.revoked_ms = parts_.clock->Now();
    *response->mutable_token() = ToWire(caller->directory(), token);
    Command command{caller->user, caller->name, PutToken{token}};
    parts_.desk->Do(std::move(command), [reply](const Result<CommandOutcome>& outcome) {
      if (outcome) {
        reply.Ok();
      } else {
        reply.Fail(outcome.error());
      }
    });
  });
}

grpc::ServerUnaryReactor* AccessServiceImpl::SyncUsers(grpc::CallbackServerContext* context,
                                                       const v1::SyncUsersRequest*,
                                                       v1::SyncUsersResponse*) {
  return ServeNotYet(context, parts_, Method("SyncUsers"), "synchronising with a directory");
}

}  // namespace kezek::rpc
