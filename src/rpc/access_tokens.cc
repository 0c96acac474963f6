// AccessService: who calls, sign-in, and tokens.
#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "rpc/access_service.h"
#include "rpc/token_limits.h"
#include "rpc/tokens.h"
#include "rpc/user_rules.h"

namespace kezek::rpc {
namespace {

Result<TokenId> ReadTokenId(const std::string& text) {
  TokenId id;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id.value);
  if (error != std::errc() || end != text.data() + text.size() || !id) {
    return NotFound("TOKEN_NOT_FOUND", "id", "there is no token '" + text + "' that you may see");
  }
  return id;
}

Result<DurationMs> ReadLifetime(std::int64_t asked_ms, DurationMs longest_ms) {
  if (asked_ms >= 0 && asked_ms <= longest_ms) return asked_ms == 0 ? longest_ms : asked_ms;
  return FieldProblem(Code::kInvalidArgument, {"lifetime_ms",
                                               "EXPIRY_TOO_LONG",
                                               "must be from 0 to " + std::to_string(longest_ms) +
                                                   " ms, the longest allowed here",
                                               {{"limit_ms", std::to_string(longest_ms)}}});
}

struct Actor {
  UserId user;
  std::string name;
};

// Makes the token's secret and commits it; the answer has both.
template <class Response>
void Issue(const Parts& parts, const std::shared_ptr<const Caller>& caller, Actor actor,
           Token token, Response* response, const Reply& reply) {
  const auto secret = MakeSecret();
  if (!secret) return reply.Fail(secret.error());
  token.hash = HashToken(*secret);
  response->set_secret(*secret);
  Command command{actor.user, std::move(actor.name), PutToken{token}};
  parts.desk->Do(std::move(command),
                 [caller, token, response, reply](const Result<CommandOutcome>& outcome) mutable {
                   if (!outcome) {
                     response->Clear();
                     return reply.Fail(outcome.error());
                   }
                   token.id = TokenId{outcome->ids.empty() ? 0 : outcome->ids.front()};
                   *response->mutable_token() = ToWire(caller->directory(), token);
                   reply.Ok();
                 });
}

// Whoever has run jobs for others is not the caller's alone: as such a user one would read what is
// theirs, through the Unix account if not through Kezek.
Result<void> CheckOnlyTheirs(const Caller& caller, Reader& reader, UserId user) {
  JobQuery query{.elements = false, .users = {user}, .limit = 1};
  for (const auto& [id, account] : caller.directory().accounts) {
    if (!caller.ReachesAccount(id)) query.projects.push_back(id);
  }
  if (query.projects.empty()) return {};
  const auto elsewhere = reader.ListJobs(query);
  if (!elsewhere) return elsewhere.error();
  if (elsewhere->empty()) return {};
  return Denied("NOT_OWNER",
                "the user has jobs in projects that you do not administer: only the user and "
                "cluster admins make tokens then");
}

Error SignInOff() {
  return FieldProblem(
      Code::kFailedPrecondition,
      {"", "SIGN_IN_OFF", "this server takes no munge credentials: ask an admin for a token", {}});
}

}  // namespace

grpc::ServerUnaryReactor* AccessServiceImpl::WhoAmI(grpc::CallbackServerContext* context,
                                                    const v1::WhoAmIRequest* request,
                                                    v1::WhoAmIResponse* response) {
  return Serve(context, parts_, Method("WhoAmI"), *request,
               [&](const auto& caller, const Reply& reply) {
                 const Directory& directory = caller->directory();
                 const User& user = directory.users.at(caller->user);
                 *response->mutable_user() = ToWire(*caller, user);
                 for (const auto& [hash, token] : directory.tokens) {
                   if (token.id == caller->token)
                     *response->mutable_token() = ToWire(directory, token);
                 }
                 for (const auto& grant : user.roles) {
                   if (grant.role <= Role::kProjectLead && caller->InToken(grant.account)) {
                     response->add_projects(PathOf(directory, grant.account));
                   }
                 }
                 response->set_cluster(settings_.cluster);
                 reply.Ok();
               });
}

grpc::ServerUnaryReactor* AccessServiceImpl::Login(grpc::CallbackServerContext* context,
                                                   const v1::LoginRequest* request,
                                                   v1::LoginResponse* response) {
  return Serve(
      context, parts_, Method("Login"), *request, [&](const auto& caller, const Reply& reply) {
        if (parts_.proofs == nullptr) return reply.Fail(SignInOff());
        if (request->munge_credential().empty()) {
          response->set_challenge(sign_in_.Challenge(parts_.clock->Now()));
          return reply.Ok();
        }
        const auto lifetime = ReadLifetime(request->lifetime_ms(), settings_.sign_in_lifetime_ms);
        if (!lifetime) return reply.Fail(lifetime.error());
        // Anybody may get here, and munge may hang.
        sign_in_lane_->Work(
            {}, [this, caller, context, request, response, reply, lifetime = *lifetime](Reader&) {
              if (context->IsCancelled())
                return reply.Fail(Error{Code::kCancelled, "cancelled", {}});
              const auto proof = parts_.proofs->Open(request->munge_credential());
              if (!proof) return reply.Fail(proof.error());
              const TimeMs now = parts_.clock->Now();
              const auto fresh = sign_in_.TakeBack(proof->payload, now);
              if (!fresh) return reply.Fail(fresh.error());
              const auto id = UserOfUid(caller->directory(), proof->uid, settings_.min_uid,
                                        parts_.unix_accounts);
              if (!id) return reply.Fail(id.error());
              const User& user = caller->directory().users.at(*id);
              Caller self = *caller;
              self.user = user.id;
              self.own = true;
              *response->mutable_user() = ToWire(self, user);
              Issue(parts_, caller, {user.id, user.name},
                    Token{.user = user.id,
                          .label = "munge sign-in",
                          .created_ms = now,
                          .expires_ms = now + lifetime,
                          .created_by = user.id},
                    response, reply);
            });
      });
}

grpc::ServerUnaryReactor* AccessServiceImpl::CreateToken(grpc::CallbackServerContext* context,
                                                         const v1::CreateTokenRequest* request,
                                                         v1::CreateTokenResponse* response) {
  return Serve(
      context, parts_, Method("CreateToken"), *request,
      [&](const auto& caller, const Reply& reply) {
        const auto user =
            FindUser(*caller, request->user().empty() ? caller->name : request->user(), "user");
        if (!user) return reply.Fail(user.error());
        const auto lifetime = ReadLifetime(request->lifetime_ms(), settings_.token_lifetime_ms);
        if (!lifetime) return reply.Fail(lifetime.error());
        auto limits = ReadLimits(*caller, request->limits());
        if (!limits) return reply.Fail(limits.error());
        const bool for_another = user->id != caller->user && !caller->everywhere;
        if (for_another) {
          // As such a user one would run as the Unix account, too.
          const AccountId home = HomeOf(caller->directory(), user->name);
          if (!home || !caller->ReachesAccount(home)) {
            return reply.Fail(Denied("NOT_OWNER",
                                     "the user is of another institution: only the user and "
                                     "cluster admins make tokens then"));
          }
          const auto confined = Confine(*caller, &*limits);
          if (!confined) return reply.Fail(confined.error());
        }
        Token token{.user = user->id,
                    .label = request->label(),
                    .created_ms = parts_.clock->Now(),
                    .created_by = caller->user,
                    .limits = std::move(*limits)};
        token.expires_ms = token.created_ms + *lifetime;
        const auto no_wider = CheckNoWider(*caller, token);
        if (!no_wider) return reply.Fail(no_wider.error());
        const Actor actor{caller->user, caller->name};
        if (!for_another) return Issue(parts_, caller, actor, std::move(token), response, reply);
        parts_.read->Read(
            [this, caller, actor, token = std::move(token), response, reply](Reader& reader) {
              const auto theirs = CheckOnlyTheirs(*caller, reader, token.user);
              if (!theirs) return reply.Fail(theirs.error());
              Issue(parts_, caller, actor, token, response, reply);
            });
      });
}

grpc::ServerUnaryReactor* AccessServiceImpl::ListTokens(grpc::CallbackServerContext* context,
                                                        const v1::ListTokensRequest* request,
                                                        v1::ListTokensResponse* response) {
  return Serve(
      context, parts_, Method("ListTokens"), *request, [&](const auto& caller, const Reply& reply) {
        const auto user =
            FindUser(*caller, request->user().empty() ? caller->name : request->user(), "user");
        if (!user) return reply.Fail(user.error());
        const TimeMs now = parts_.clock->Now();
        std::vector<Token> tokens;
        for (const auto& [hash, token] : caller->directory().tokens) {
          const bool ended =
              token.revoked_ms != 0 || (token.expires_ms != 0 && token.expires_ms <= now);
          if (token.user == user->id && (!ended || request->include_ended()))
            tokens.push_back(token);
        }
        std::sort(tokens.begin(), tokens.end(),
                  [](const Token& a, const Token& b) { return a.id > b.id; });
        for (const auto& token : tokens)
          *response->add_tokens() = ToWire(caller->directory(), token);
        reply.Ok();
      });
}

grpc::ServerUnaryReactor* AccessServiceImpl::RevokeToken(grpc::CallbackServerContext* context,
                                                         const v1::RevokeTokenRequest* request,
                                                         v1::RevokeTokenResponse* response) {
  return Serve(
      context, parts_, Method("RevokeToken"), *request,
      [&](const auto& caller, const Reply& reply) {
        const auto id = ReadTokenId(request->id());
        if (!id) return reply.Fail(id.error());
        const auto& tokens = caller->directory().tokens;
        const auto found = std::find_if(tokens.begin(), tokens.end(),
                                        [&](const auto& entry) { return entry.second.id == *id; });
        const auto owner = found == tokens.end()
                               ? caller->directory().users.end()
                               : caller->directory().users.find(found->second.user);
        if (owner == caller->directory().users.end() || !caller->ReachesUser(owner->second)) {
          return reply.Fail(NotFound("TOKEN_NOT_FOUND", "id",
                                     "there is no token '" + request->id() + "' that you may see"));
        }
        Token token = found->second;
        const bool revoked = token.revoked_ms != 0;
        if (!revoked) token.revoked_ms = parts_.clock->Now();
        *response->mutable_token() = ToWire(caller->directory(), token);
        if (revoked) return reply.Ok();
        Command command{caller->user, caller->name, PutToken{token, request->reason()}};
        parts_.desk->Do(std::move(command), [reply](const Result<CommandOutcome>& outcome) {
          if (outcome) {
            reply.Ok();
          } else {
            reply.Fail(outcome.error());
          }
        });
      });
}

}  // namespace kezek::rpc
