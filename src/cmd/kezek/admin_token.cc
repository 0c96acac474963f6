#include <kezek/v1/access.pb.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "cmd/kezek/commands.h"
#include "cmd/kezek/render.h"
#include "cmd/kezek/roles.h"
#include "cmd/kezek/way_out.h"
#include "script/values.h"

namespace kezek::cli {
namespace {

struct TokenFlags {
  std::string user;
  std::string label;
  std::string lifetime;
  std::vector<std::string> scopes;
  std::vector<std::string> projects;
  std::string largest;  // GPUs of one job
  std::string id;
  std::string reason;
  bool ended = false;
};

Result<int> RunCreateToken(Session& session, const TokenFlags& flags) {
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
  for (const std::string& scope : flags.scopes) request.mutable_limits()->add_scopes(scope);
  for (const std::string& project : flags.projects) {
    request.mutable_limits()->add_projects(project);
  }
  if (!flags.largest.empty()) {
    const auto gpus = script::ParseNumber(flags.largest, 1, 1'000'000);
    if (!gpus) return Error{Code::kInvalidArgument, "--max-gpus: " + gpus.error().message, {}};
    request.mutable_limits()->set_job_milli_gpus(1000 * *gpus);
  }
  Result<v1::CreateTokenResponse> answer =
      Ask<v1::CreateTokenResponse>(session, request, Repeat::kNo);
  if (!answer) return WithFlags(answer.error(), {{"user", "--user"}});
  const Host& host = session.host;
  if (PrintMessage(host, session.format(), *answer)) return kDone;
  *host.out << answer->secret() << '\n';
  if (session.format() == Format::kName || !host.err_is_terminal) return kDone;
  *host.err << "Token " << answer->token().id() << " of " << answer->token().user()
            << ". This is shown only once.\n";
  return kDone;
}

Result<int> RunListTokens(Session& session, const TokenFlags& flags) {
  v1::ListTokensRequest request;
  request.set_user(flags.user);
  request.set_include_ended(flags.ended);
  Result<v1::ListTokensResponse> answer = Ask<v1::ListTokensResponse>(session, request);
  if (!answer) return WithFlags(answer.error(), {{"user", "--user"}});
  const Host& host = session.host;
  if (PrintMessage(host, session.format(), *answer)) return kDone;
  if (session.format() == Format::kName) {
    for (const v1::Token& token : answer->tokens()) *host.out << token.id() << '\n';
    return kDone;
  }
  Table table({"TOKEN", "USER", "LABEL", "CREATED", "ENDS", "LAST USED", "ONLY FOR"});
  for (const v1::Token& token : answer->tokens()) {
    const std::string end = token.revoked_ms() > 0 ? "revoked " + ExactMoment(token.revoked_ms())
                                                   : ExactMoment(token.expires_ms());
    table.Add({token.id(), token.user(), token.label(), ExactMoment(token.created_ms()), end,
               ExactMoment(token.last_used_ms()), LimitsText(token.limits())});
  }
  table.Print(host);
  return kDone;
}

Result<int> RunRevoke(Session& session, const TokenFlags& flags) {
  v1::RevokeTokenRequest request;
  request.set_id(flags.id);
  request.set_reason(flags.reason);
  Result<v1::RevokeTokenResponse> answer = Ask<v1::RevokeTokenResponse>(session, request);
  if (!answer) return WithFlags(answer.error(), {{"id", ""}});
  if (PrintMessage(session.host, session.format(), *answer)) return kDone;
  *session.host.out << (session.format() == Format::kName ? "" : "Revoked token ")
                    << answer->token().id() << '\n';
  return kDone;
}

// `own`: the user's own tokens; else anybody's that one administers.
void AddTokens(CLI::App& parent, Session& session, bool own) {
  const std::string name = own ? "kezek token" : "kezek admin token";
  const std::string whose = own ? "" : " --user aizhan@kaznu";
  CLI::App* token = parent.add_subcommand("token", own ? "my access tokens" : "access tokens");
  token->require_subcommand(1);
  const auto flags = std::make_shared<TokenFlags>();

  CLI::App* create = token->add_subcommand("create", "make a token; its secret is shown once");
  if (!own) {
    create->add_option("--user", flags->user, "for whom; without: myself")->type_name("USER");
  }
  create->add_option("--label", flags->label, "what it is for")->type_name("TEXT");
  create->add_option("--lifetime", flags->lifetime, "such as 12h or 30d")->type_name("TIME");
  create->add_option("--scope", flags->scopes, "only for read, submit, manage, admin or metrics")
      ->type_name("SCOPE")
      ->delimiter(',')
      ->allow_extra_args(false);
  create->add_option("--for-project", flags->projects, "only in this project")
      ->type_name("PROJECT")
      ->allow_extra_args(false);
  create->add_option("--max-gpus", flags->largest, "only jobs of up to so many GPUs")
      ->type_name("N");
  create->footer("Examples:\n  " + name + " create" + whose + " --lifetime 30d\n  " + name +
                 " create --label nightly --scope submit,read --for-project alem-llm --max-gpus 8");
  create->callback([&session, flags] {
    session.action = [&session, flags] { return RunCreateToken(session, *flags); };
  });

  CLI::App* list = token->add_subcommand("list", "list tokens, without secrets");
  if (!own) list->add_option("--user", flags->user, "whose; without: mine")->type_name("USER");
  list->add_flag("--ended", flags->ended, "expired and revoked ones, too");
  list->footer("Examples:\n  " + name + " list" + whose + " --ended");
  list->callback([&session, flags] {
    session.action = [&session, flags] { return RunListTokens(session, *flags); };
  });

  CLI::App* revoke = token->add_subcommand("revoke", "make a token worthless at once");
  revoke->add_option("TOKEN", flags->id, "the token's id")->required();
  revoke->add_option("--reason", flags->reason, "why, for the record")->type_name("TEXT");
  revoke->footer("Examples:\n  " + name + " revoke 17 --reason 'laptop lost'");
  revoke->callback([&session, flags] {
    session.action = [&session, flags] { return RunRevoke(session, *flags); };
  });
}

}  // namespace

void AddAdminToken(CLI::App& admin, Session& session) { AddTokens(admin, session, false); }
void AddToken(CLI::App& app, Session& session) { AddTokens(app, session, true); }

}  // namespace kezek::cli
