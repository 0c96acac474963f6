// config: the contexts of the configuration file.
#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>
#include <utility>

#include "cmd/kezek/commands.h"
#include "cmd/kezek/context_flags.h"
#include "cmd/kezek/nearest.h"
#include "cmd/kezek/render.h"

namespace kezek::cli {
namespace {

struct ConfigFlags {
  std::string name;
  std::string new_name;
  const std::shared_ptr<ContextValues> values = std::make_shared<ContextValues>();
  bool raw = false;
};

std::vector<std::string> NamesIn(const Configuration& configuration) {
  std::vector<std::string> names;
  for (const auto& entry : configuration.contexts) names.push_back(entry.first);
  return names;
}

Error NoSuchContext(const Configuration& configuration, const std::string& name,
                    const std::string& path) {
  return Error{Code::kNotFound,
               "there is no context '" + name + "' in " + path +
                   DidYouMean(name, NamesIn(configuration)) +
                   "\nAll of them: kezek config get-contexts",
               {}};
}

// Changes the file, if `change` agrees.
template <class Change>
Result<int> Rewrite(Session& session, Change change) {
  const std::string path = ConfigurationPath(session.host, session.flags);
  Result<Configuration> configuration = LoadConfiguration(path);
  if (!configuration) return configuration.error();
  Result<std::string> said = change(*configuration, path);
  if (!said) return said.error();
  Result<void> saved = SaveConfiguration(path, *configuration);
  if (!saved) return saved.error();
  *session.host.out << *said << '\n';
  return kDone;
}

Result<int> RunGet(Session& session) {
  const Host& host = session.host;
  Result<Configuration> configuration = LoadConfiguration(ConfigurationPath(host, session.flags));
  if (!configuration) return configuration.error();
  if (session.format() == Format::kName) {
    for (const std::string& name : NamesIn(*configuration)) *host.out << name << '\n';
    return kDone;
  }
  Table table({"CURRENT", "CONTEXT", "ENDPOINT", "PROJECT", "TOKEN"});
  for (const auto& [name, context] : configuration->contexts) {
    table.Add({name == configuration->current ? "*" : "", name, context.endpoint, context.project,
               !context.token.empty() ? "kept here" : context.token_file});
  }
  table.Print(host);
  return kDone;
}

Result<int> RunView(Session& session, const ConfigFlags& flags) {
  Result<Configuration> configuration =
      LoadConfiguration(ConfigurationPath(session.host, session.flags));
  if (!configuration) return configuration.error();
  if (!flags.raw) {
    for (auto& entry : configuration->contexts) {
      if (!entry.second.token.empty()) entry.second.token = "kz_…";
    }
  }
  *session.host.out << ToYaml(*configuration);
  return kDone;
}

Result<int> RunUse(Session& session, const ConfigFlags& flags) {
  return Rewrite(
      session, [&](Configuration& configuration, const std::string& path) -> Result<std::string> {
        if (!configuration.contexts.contains(flags.name)) {
          return NoSuchContext(configuration, flags.name, path);
        }
        configuration.current = flags.name;
        const std::string& endpoint = configuration.contexts[flags.name].endpoint;
        return "Context " + flags.name + ": " +
               (endpoint.empty() ? "no endpoint yet; kezek login --endpoint HOST:PORT sets one"
                                 : endpoint);
      });
}

Result<int> RunSet(Session& session, const ConfigFlags& flags) {
  return Rewrite(session,
                 [&](Configuration& configuration, const std::string&) -> Result<std::string> {
                   const bool is_new = !configuration.contexts.contains(flags.name);
                   Context& context = configuration.contexts[flags.name];
                   if (!session.flags.endpoint.empty()) context.endpoint = session.flags.endpoint;
                   Keep(*flags.values, context);
                   if (configuration.current.empty()) configuration.current = flags.name;
                   return "Context " + flags.name + (is_new ? " made" : " changed");
                 });
}

Result<int> RunDelete(Session& session, const ConfigFlags& flags) {
  return Rewrite(session,
                 [&](Configuration& configuration, const std::string& path) -> Result<std::string> {
                   if (configuration.contexts.erase(flags.name) == 0) {
                     return NoSuchContext(configuration, flags.name, path);
                   }
                   if (configuration.current == flags.name) configuration.current.clear();
                   return "Context " + flags.name + " deleted";
                 });
}

Result<int> RunRename(Session& session, const ConfigFlags& flags) {
  return Rewrite(
      session, [&](Configuration& configuration, const std::string& path) -> Result<std::string> {
        auto found = configuration.contexts.extract(flags.name);
        if (found.empty()) return NoSuchContext(configuration, flags.name, path);
        if (configuration.contexts.contains(flags.new_name)) {
          return Error{Code::kAlreadyExists,
                       "there is a context '" + flags.new_name + "' already\nDelete it first: " +
                           "kezek config delete-context " + flags.new_name,
                       {}};
        }
        found.key() = flags.new_name;
        configuration.contexts.insert(std::move(found));
        if (configuration.current == flags.name) configuration.current = flags.new_name;
        return "Context " + flags.name + " is " + flags.new_name + " now";
      });
}

using ConfigAction = Result<int> (*)(Session&, const ConfigFlags&);

CLI::App* AddOne(CLI::App& config, Session& session, const std::shared_ptr<ConfigFlags>& flags,
                 const char* name, const char* about, ConfigAction action) {
  CLI::App* command = config.add_subcommand(name, about);
  command->callback([&session, flags, action] {
    session.action = [&session, flags, action] { return action(session, *flags); };
  });
  return command;
}

void AddSetContext(CLI::App& config, Session& session, const std::shared_ptr<ConfigFlags>& flags) {
  CLI::App* set = AddOne(config, session, flags, "set-context", "make or change a context", RunSet);
  set->add_option("CONTEXT", flags->name, "its name")->required()->type_name("CONTEXT");
  // The endpoint is every command's flag; a token does not belong on a command line.
  AddContextFlags(*set, flags->values, {"endpoint", "token"});
  set->footer(
      "An empty value takes a setting away. A token is kept by kezek login, which tries it first.\n"
      "Examples:\n"
      "  kezek config set-context demo --endpoint gpu.example.kz:7443 --project alem-llm\n"
      "  kezek config set-context demo --project ''");
}

}  // namespace

void AddConfig(CLI::App& app, Session& session) {
  CLI::App* config = app.add_subcommand("config", "contexts: which server, which project");
  config->require_subcommand(1);
  const auto flags = std::make_shared<ConfigFlags>();
  AddOne(*config, session, flags, "get-contexts", "list the contexts",
         [](Session& s, const ConfigFlags&) { return RunGet(s); })
      ->footer("Examples:\n  kezek config get-contexts");
  CLI::App* use =
      AddOne(*config, session, flags, "use-context", "make a context the current one", RunUse);
  use->add_option("CONTEXT", flags->name, "its name")->required();
  use->footer("Examples:\n  kezek config use-context demo");
  AddSetContext(*config, session, flags);
  CLI::App* rename =
      AddOne(*config, session, flags, "rename-context", "give a context another name", RunRename);
  rename->add_option("CONTEXT", flags->name, "its name")->required();
  rename->add_option("NAME", flags->new_name, "the new one")->required();
  rename->footer("Examples:\n  kezek config rename-context default demo");
  CLI::App* remove =
      AddOne(*config, session, flags, "delete-context", "forget a context", RunDelete);
  remove->add_option("CONTEXT", flags->name, "its name")->required();
  remove->footer("Examples:\n  kezek config delete-context demo");
  CLI::App* view = AddOne(*config, session, flags, "view", "print the file", RunView);
  view->add_flag("--raw", flags->raw, "with the tokens");
  view->footer("Examples:\n  kezek config view");
  AddOne(*config, session, flags, "path", "print where the file is",
         [](Session& s, const ConfigFlags&) -> Result<int> {
           *s.host.out << ConfigurationPath(s.host, s.flags) << '\n';
           return kDone;
         })
      ->footer("Examples:\n  kezek config path");
  config->footer(
      "A flag (--context, --endpoint, --config) overrides the environment (KEZEK_CONTEXT,\n"
      "KEZEK_ENDPOINT, KEZEK_TOKEN, KEZEK_PROJECT, KEZEK_CA_FILE, KEZEK_CONFIG), which overrides "
      "the\n"
      "file.\n"
      "A file with tokens in it must be readable by its owner alone (mode 0600).\n"
      "Examples:\n"
      "  kezek login --endpoint gpu.example.kz:7443 --context demo\n"
      "  kezek config use-context demo\n"
      "  kezek config view");
}

}  // namespace kezek::cli
