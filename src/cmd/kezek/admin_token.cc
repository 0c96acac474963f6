#include <kezek/v1/access.pb.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "cmd/kezek/commands.h"
#include "cmd/kezek/render.h"
#include "script/values.h"

namespace kezek::cli {
namespace {

struct TokenFlags {
  std::string user;
  std::string label;
  std::string lifetime;
  std::string id;
  std::string reason;
  bool ended = false;
};

Result<int> RunCreate(Session& session, const TokenFlags& flags) {
  v1::CreateTokenRequest request;
  request.set_user(flags.user);
  request.set_label(flags.label);
  if (!flags.lifetime.empty()) {
    Result<std::int64_t> lifetime = script::ParseDuration(flags.lifetime);
    if (!lifetime) {
      return Error{Code::kInvalidArgument, "--lifetime: " + lifetime.error().message, {}};
    }
    request.set_lifetime_ms(*lifetime);
  }
  Result<v1::CreateTokenResponse> answer =
      Ask<v1::CreateTokenResponse>(session, request, Repeat::kNo);
  if (!answer) return answer.error();
  const Host& host = session.host;
  if (PrintMessage(host, session.format(), *answer)) return kDone;
  *host.out << answer->secret() << '\n';
  if (session.format() == Format::kName || !host.err_is_terminal) return kDone;
  *host.err << "Token " << answer->token().id() << " of " << answer->token().user()
            << ". This is shown only once.\n";
  return kDone;
}

Result<int> RunList(Session& session, const TokenFlags& flags) {
  v1::ListTokensRequest request;
  request.set_user(flags.user);
  request.set_include_ended(flags.ended);
  Result<v1::ListTokensResponse> answer = Ask<v1::ListTokensResponse>(session, request);
  if (!answer) return answer.error();
  const Host& host = session.host;
  if (PrintMessage(host, session.format(), *answer)) return kDone;
  if (session.format() == Format::kName) {
    for (const v1::Token& token : answer->tokens()) *host.out << token.id() << '\n';
    return kDone;
  }
  Table table({"TOKEN", "USER", "LABEL", "CREATED", "ENDS", "LAST USED"});
  for (const v1::Token& token : answer->tokens()) {
    const std::string end = token.revoked_ms() > 0 ? "revoked " + ExactMoment(token.revoked_ms())
                                                   : ExactMoment(token.expires_ms());
    table.Add({token.id(), token.user(), token.label(), ExactMoment(token.created_ms()), end,
               ExactMoment(token.last_used_ms())});
  }
  table.Print(host);
  return kDone;
}

Result<int> RunRevoke(Session& session, const TokenFlags& flags) {
  v1::RevokeTokenRequest request;
  request.set_id(flags.id);
  request.set_reason(flags.reason);
  Result<v1::RevokeTokenResponse> answer = Ask<v1::RevokeTokenResponse>(session, request);
  if (!answer) return answer.error();
  if (PrintMessage(session.host, session.format(), *answer)) return kDone;
  *session.host.out << (session.format() == Format::kName ? "" : "Revoked token ")
                    << answer->token().id() << '\n';
  return kDone;
}

}  // namespace

void AddAdminToken(CLI::App& admin, Session& session) {
  CLI::App* token = admin.add_subcommand("token", "access tokens");
  token->require_subcommand(1);
  const auto flags = std::make_shared<TokenFlags>();

  CLI::App* create = token->add_subcommand("create", "make a token; its secret is shown once");
  create->add_option("--user", flags->user, "for whom; without: myself")->type_name("USER");
  create->add_option("--label", flags->label, "what it is for")->type_name("TEXT");
  create->add_option("--lifetime", flags->lifetime, "such as 12h or 30d")->type_name("TIME");
  create->footer("Examples:\n  kezek admin token create --user aizhan@kaznu --lifetime 30d");
  create->callback([&session, flags] {
    session.action = [&session, flags] { return RunCreate(session, *flags); };
  });

  CLI::App* list = token->add_subcommand("list", "list tokens, without secrets");
  list->add_option("--user", flags->user, "whose; without: mine")->type_name("USER");
  list->add_flag("--ended", flags->ended, "expired and revoked ones, too");
  list->footer("Examples:\n  kezek admin token list --user aizhan@kaznu --ended");
  list->callback([&session, flags] {
    session.action = [&session, flags] { return RunList(session, *flags); };
  });

  CLI::App* revoke = token->add_subcommand("revoke", "make a token worthless at once");
  revoke->add_option("TOKEN", flags->id, "the token's id")->required();
  revoke->add_option("--reason", flags->reason, "why, for the record")->type_name("TEXT");
  revoke->footer("Examples:\n  kezek admin token revoke k7f2 --reason 'laptop lost'");
  revoke->callback([&session, flags] {
    session.action = [&session, flags] { return RunRevoke(session, *flags); };
  });
}

}  // namespace kezek::cli
