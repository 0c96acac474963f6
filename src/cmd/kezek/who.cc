// whoami, login: who I am.
#include <kezek/v1/access.pb.h>

#include <CLI/CLI.hpp>
#include <istream>
#include <memory>
#include <ostream>

#include "cmd/kezek/commands.h"
#include "cmd/kezek/context_flags.h"
#include "cmd/kezek/render.h"
#include "cmd/kezek/roles.h"
#include "cmd/kezek/sign_in.h"

namespace kezek::cli {
namespace {

Result<int> RunWhoAmI(Session& session) {
  Result<v1::WhoAmIResponse> answer = Ask<v1::WhoAmIResponse>(session, v1::WhoAmIRequest());
  if (!answer) return answer.error();
  const Host& host = session.host;
  if (PrintMessage(host, session.format(), *answer)) return kDone;
  if (session.format() == Format::kName) {
    *host.out << answer->user().name() << '\n';
    return kDone;
  }
  Facts facts;
  facts.Add("User", answer->user().name());
  facts.Add("Name", answer->user().display_name());
  facts.Add("Unix account", answer->user().unix_account().empty() ? "none yet: cannot run jobs"
                                                                  : answer->user().unix_account());
  std::string projects;
  for (const std::string& project : answer->projects()) {
    projects += (projects.empty() ? "" : ", ") + project;
  }
  facts.Add("Projects", projects);
  std::string roles;
  for (const v1::RoleGrant& grant : answer->user().roles()) {
    roles += (roles.empty() ? "" : ", ") + RoleText(grant);
  }
  facts.Add("Roles", roles);
  facts.Add("Cluster", answer->cluster());
  facts.Add("Endpoint", session.context().endpoint);
  facts.Add("Token",
            answer->token().id() +
                (answer->token().label().empty() ? "" : " (" + answer->token().label() + ")"));
  facts.Add("Token ends", ExactMoment(answer->token().expires_ms()));
  facts.Add("Token is for", LimitsText(answer->token().limits()));
  facts.Print(host);
  return kDone;
}

struct LoginFlags {
  std::string token;
  std::string name = "default";
  bool munge = false;
  const std::shared_ptr<ContextValues> kept = std::make_shared<ContextValues>();
};

Result<int> RunLogin(Session& session, const LoginFlags& flags) {
  const Host& host = session.host;
  std::string token = flags.token;
  if (!flags.munge && (token.empty() || token == "-")) {
    if (host.err_is_terminal && host.in_is_terminal) *host.err << "Token: " << std::flush;
    std::getline(*host.in, token);
  }
  if (token.empty() && !flags.munge) {
    return Error{Code::kInvalidArgument,
                 "no token was given\nAsk an administrator for one: kezek admin token create",
                 {}};
  }
  ContextFlags lookup = session.flags;
  const std::string path = ConfigurationPath(host, lookup);
  Result<Configuration> configuration = LoadConfiguration(path);
  if (!configuration) return configuration.error();
  const std::string name = session.flags.context.empty() ? flags.name : session.flags.context;
  Context& context = configuration->contexts[name];
  const std::string endpoint =
      !session.flags.endpoint.empty() ? session.flags.endpoint : host.Variable("KEZEK_ENDPOINT");
  if (!endpoint.empty()) context.endpoint = endpoint;
  if (context.endpoint.empty()) context.endpoint = "127.0.0.1:7443";
  context.token = token;
  context.token_file.clear();
  Keep(*flags.kept, context);
  configuration->current = name;
  // Only a token that works is kept.
  Context tried = context;
  if (flags.munge) {
    Result<std::string> secret = SignInByMunge(context, host);
    if (!secret) return secret.error();
    tried.token = std::move(*secret);
  }
  Client client(tried, host);
  Result<v1::WhoAmIResponse> who = client.Call<v1::WhoAmIResponse>(v1::WhoAmIRequest());
  if (!who) return who.error();
  Result<void> saved = SaveConfiguration(path, *configuration);
  if (!saved) return saved.error();
  if (PrintMessage(host, session.format(), *who)) return kDone;
  *host.out << "Signed in to " << context.endpoint << " as " << who->user().name() << " (context "
            << name << " in " << path << ")\n";
  return kDone;
}

}  // namespace

void AddWhoAmI(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("whoami", "who I am, and what I may do");
  command->footer("Examples:\n  kezek whoami\n  kezek whoami -o name");
  command->callback([&session] { session.action = [&session] { return RunWhoAmI(session); }; });
}

void AddLogin(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("login", "keep an endpoint and a token for later");
  const auto flags = std::make_shared<LoginFlags>();
  command
      ->add_option("--token", flags->token,
                   "the token; without, or with -, it is read from standard input")
      ->type_name("SECRET");
  command->add_flag("--munge", flags->munge,
                    "sign in as this host's user; done by itself where there is no token");
  AddContextFlags(*command, flags->kept, {"endpoint", "token", "token_file"});
  command->footer(
      "The context is named by --context (default: default) and becomes the current one.\n"
      "Examples:\n"
      "  kezek login --endpoint gpu.example.kz:7443\n"
      "  kezek login --endpoint gpu.example.kz:7443 --ca-file /etc/kezek/ca.pem\n"
      "  kezek login --munge --endpoint gpu.example.kz:7443\n"
      "  kezek login --context demo --project alem-llm < token.txt");
  command->callback([&session, flags] {
    session.action = [&session, flags] { return RunLogin(session, *flags); };
  });
}

}  // namespace kezek::cli
