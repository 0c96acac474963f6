#include "cmd/kezek/context.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "cmd/kezek/nearest.h"
#include "kezek/tls.h"

namespace kezek::cli {
namespace {

constexpr std::string_view kDefaultEndpoint = "127.0.0.1:7443";
constexpr const char* kSiteFile = "/etc/kezek/client.yaml";

std::string DidYouMeanKey(const std::string& name, std::vector<std::string> known) {
  if (known.empty()) {
    for (const ContextKey& key : ContextKeys()) known.emplace_back(key.name);
  }
  return DidYouMean(name, known);
}

// A file with a secret in it, which is its owner's alone.
Result<void> CheckPrivate(const std::string& path) {
  struct stat status = {};
  if (stat(path.c_str(), &status) != 0 || (status.st_mode & 077U) == 0) return {};
  return Error{Code::kPermissionDenied,
               path + ": holds a token, and others may read it\nchmod 600 " + path + ", and if " +
                   "others have seen the token: kezek admin token revoke",
               {}};
}

Error BadAt(const std::string& path, const YAML::Mark& mark, const std::string& message) {
  return Error{
      Code::kInvalidArgument, path + " line " + std::to_string(mark.line + 1) + ": " + message, {}};
}

Result<Context> ReadContext(const std::string& path, const YAML::Node& node) {
  Context context;
  if (!node.IsMap()) return BadAt(path, node.Mark(), "a context is a mapping of keys");
  for (const auto& entry : node) {
    const std::string name = entry.first.Scalar();
    bool known = false;
    for (const ContextKey& key : ContextKeys()) {
      if (key.name != name) continue;
      known = true;
      if (!entry.second.IsScalar()) return BadAt(path, entry.second.Mark(), name + ": not a text");
      context.*key.field = entry.second.Scalar();
    }
    if (!known) {
      return BadAt(path, entry.first.Mark(),
                   "unknown key '" + name + "'" + DidYouMeanKey(name, {}));
    }
    // YAML's own words for on and off.
    if (name == "tls" && context.tls == "true") context.tls = "on";
    if (name == "tls" && context.tls == "false") context.tls = "off";
    if (name == "tls" && context.tls != "on" && context.tls != "off") {
      return BadAt(path, entry.second.Mark(), "tls must be on or off");
    }
  }
  return context;
}

Result<Configuration> ReadConfiguration(const std::string& path, const YAML::Node& root) {
  Configuration configuration;
  if (root.IsNull()) return configuration;
  if (!root.IsMap()) return BadAt(path, root.Mark(), "expected the keys current and contexts");
  for (const auto& entry : root) {
    const std::string name = entry.first.Scalar();
    if (name == "current" && entry.second.IsScalar()) {
      configuration.current = entry.second.Scalar();
    } else if (name == "contexts" && entry.second.IsMap()) {
      for (const auto& named : entry.second) {
        Result<Context> context = ReadContext(path, named.second);
        if (!context) return context.error();
        configuration.contexts[named.first.Scalar()] = std::move(*context);
      }
    } else {
      return BadAt(
          path, entry.first.Mark(),
          "unknown or misplaced key '" + name + "'" + DidYouMeanKey(name, {"current", "contexts"}));
    }
  }
  return configuration;
}

Result<std::string> ReadText(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return Error{Code::kNotFound, path + " cannot be read", {}};
  return text.str();
}

std::string FirstOf(const std::string& flag, const std::string& variable, const std::string& file) {
  if (!flag.empty()) return flag;
  return variable.empty() ? file : variable;
}

// Takes from the site's file what the context does not say. A token is nobody's but a user's.
Result<void> AddSite(const std::string& path, Context& context) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return {};
  const Result<std::string> text = ReadText(path);
  if (!text) return text.error();
  try {
    const Result<Context> site = ReadContext(path, YAML::Load(*text));
    if (!site) return site.error();
    for (const ContextKey& key : ContextKeys()) {
      if (key.name == "token" || key.name == "token_file") continue;
      if ((context.*key.field).empty()) context.*key.field = *site.*key.field;
    }
    return {};
  } catch (const YAML::Exception& error) {
    return BadAt(path, error.mark, error.msg);
  }
}

}  // namespace

bool UsesTls(const Context& context) {
  if (!context.tls.empty()) return context.tls == "on";
  return !context.ca_file.empty() || !context.client_certificate.empty() ||
         !IsLoopback(context.endpoint);
}

const std::vector<ContextKey>& ContextKeys() {
  static const std::vector<ContextKey> keys = {
      {"endpoint", &Context::endpoint, "HOST:PORT", "where kezekd listens"},
      {"token", &Context::token, "SECRET", "the token"},
      {"token_file", &Context::token_file, "FILE", "file with the token"},
      {"project", &Context::project, "PROJECT", "project of submissions that name none"},
      {"tls", &Context::tls, "on|off", "encryption; without: off only on this host"},
      {"ca_file", &Context::ca_file, "FILE",
       "authorities that may sign the server's certificate; without: the system's"},
      {"client_certificate", &Context::client_certificate, "FILE",
       "what is shown to a server that asks for a certificate"},
      {"client_key", &Context::client_key, "FILE", "its key"},
      {"server_name", &Context::server_name, "NAME",
       "name in the server's certificate, if it is not the endpoint's"},
  };
  return keys;
}

std::string ConfigurationPath(const Host& host, const ContextFlags& flags) {
  const std::string named = FirstOf(flags.config, host.Variable("KEZEK_CONFIG"), "");
  if (!named.empty()) return named;
  const std::string base = host.Variable("XDG_CONFIG_HOME");
  return (base.empty() ? host.Variable("HOME") + "/.config" : base) + "/kezek/config.yaml";
}

Result<Configuration> LoadConfiguration(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return Configuration{};
  const Result<std::string> text = ReadText(path);
  if (!text) return text.error();
  try {
    Result<Configuration> configuration = ReadConfiguration(path, YAML::Load(*text));
    if (!configuration) return configuration;
    for (const auto& entry : configuration->contexts) {
      if (entry.second.token.empty()) continue;
      Result<void> checked = CheckPrivate(path);
      if (!checked) return checked.error();
    }
    return configuration;
  } catch (const YAML::Exception& error) {
    return BadAt(path, error.mark, error.msg);
  }
}

std::string ToYaml(const Configuration& configuration) {
  YAML::Emitter yaml;
  yaml << YAML::BeginMap << YAML::Key << "current" << YAML::Value << configuration.current;
  yaml << YAML::Key << "contexts" << YAML::Value << YAML::BeginMap;
  for (const auto& [name, context] : configuration.contexts) {
    yaml << YAML::Key << name << YAML::Value << YAML::BeginMap;
    for (const ContextKey& key : ContextKeys()) {
      const std::string& value = context.*key.field;
      if (value.empty()) continue;
      yaml << YAML::Key << std::string(key.name) << YAML::Value << YAML::DoubleQuoted << value;
    }
    yaml << YAML::EndMap;
  }
  yaml << YAML::EndMap << YAML::EndMap;
  return std::string(yaml.c_str()) + "\n";
}

Result<void> SaveConfiguration(const std::string& path, const Configuration& configuration) {
  const std::string text = ToYaml(configuration);
  std::error_code failed;
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (!folder.empty()) std::filesystem::create_directories(folder, failed);
  const std::string draft = path + ".new";
  const int file = open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  bool written = file >= 0;
  if (written) {
    written = fchmod(file, 0600) == 0 &&
              write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    written = close(file) == 0 && written;
  }
  if (!written || rename(draft.c_str(), path.c_str()) != 0) {
    return Error{Code::kInternal,
                 path + " cannot be written: " + std::generic_category().message(errno) +
                     "\nAnother one: --config or KEZEK_CONFIG",
                 {}};
  }
  return {};
}

Result<Context> ResolveContext(const Host& host, const ContextFlags& flags) {
  const std::string path = ConfigurationPath(host, flags);
  const bool named = !flags.config.empty() || !host.Variable("KEZEK_CONFIG").empty();
  std::error_code ignored;
  if (named && !std::filesystem::exists(path, ignored)) {
    return Error{Code::kNotFound,
                 path + ": there is no such configuration file\nTo make it: kezek login",
                 {}};
  }
  Result<Configuration> configuration = LoadConfiguration(path);
  if (!configuration) return configuration.error();
  const std::string asked = FirstOf(flags.context, host.Variable("KEZEK_CONTEXT"), "");
  const std::string name = asked.empty() ? configuration->current : asked;
  Context context;
  if (const auto found = configuration->contexts.find(name);
      found != configuration->contexts.end()) {
    context = found->second;
  } else if (!asked.empty()) {
    std::vector<std::string> known;
    for (const auto& entry : configuration->contexts) known.push_back(entry.first);
    return Error{Code::kNotFound,
                 "there is no context '" + asked + "' in " + path + DidYouMean(asked, known) +
                     "\nAll of them: kezek config get-contexts",
                 {}};
  }
  context.endpoint = FirstOf(flags.endpoint, host.Variable("KEZEK_ENDPOINT"), context.endpoint);
  context.ca_file = FirstOf("", host.Variable("KEZEK_CA_FILE"), context.ca_file);
  context.project = FirstOf("", host.Variable("KEZEK_PROJECT"), context.project);
  if (context.endpoint.empty()) {
    Result<void> added =
        AddSite(FirstOf("", host.Variable("KEZEK_SITE_CONFIG"), kSiteFile), context);
    if (!added) return added.error();
  }
  if (context.endpoint.empty()) context.endpoint = kDefaultEndpoint;
  if (const std::string token = host.Variable("KEZEK_TOKEN"); !token.empty()) {
    context.token = token;
  } else if (context.token.empty() && !context.token_file.empty()) {
    Result<void> checked = CheckPrivate(context.token_file);
    if (!checked) return checked.error();
    std::ifstream file(context.token_file);
    if (!(file >> context.token)) {
      return Error{Code::kNotFound,
                   context.token_file + ": has no token\nIt is the token_file of context '" + name +
                       "': put one there, or sign in with kezek login",
                   {}};
    }
  }
  return context;
}

}  // namespace kezek::cli
