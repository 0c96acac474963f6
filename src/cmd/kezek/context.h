// Where the server is and who asks: from flags, the environment and the configuration file.
//
//     # ~/.config/kezek/config.yaml
//     current: demo
//     contexts:
//       demo: {endpoint: "127.0.0.1:7443", token: kzk_…, project: alem-llm}
//
// A context knows `endpoint`, `token` or `token_file`, `project`, and for TLS `tls`, `ca_file`,
// `client_certificate` with `client_key`, `server_name`. Flags override KEZEK_ENDPOINT, _TOKEN,
// _PROJECT, _CA_FILE, _CONTEXT, _CONFIG, these the file. Where none says an endpoint, the site's
// /etc/kezek/client.yaml (else KEZEK_SITE_CONFIG), a context alone, has what is not said.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cmd/kezek/host.h"
#include "kezek/result.h"

namespace kezek::cli {

struct Context {
  std::string endpoint;
  std::string token;
  std::string token_file;
  std::string project;
  std::string tls;      // "on", "off"; empty: on unless the endpoint is on this host
  std::string ca_file;  // authorities of the server's certificate; empty: the system's. Needs TLS
  std::string client_certificate;  // shown to a server that asks for one, with its key
  std::string client_key;
  std::string server_name;  // the name its certificate must have; empty: the endpoint's
  bool operator==(const Context&) const = default;
};

// Whether the connection to the context's endpoint is encrypted.
bool UsesTls(const Context& context);

// A key of a context in the file.
struct ContextKey {
  std::string_view name;
  std::string Context::*field;
  std::string_view value;  // what its value is called in help
  std::string_view about;
};
const std::vector<ContextKey>& ContextKeys();

struct Configuration {
  std::string current;
  std::map<std::string, Context> contexts;
};

// What the command line says about it; empty fields say nothing.
struct ContextFlags {
  std::string config;
  std::string context;
  std::string endpoint;
};

// Path of the configuration file, whether it exists or not.
std::string ConfigurationPath(const Host& host, const ContextFlags& flags);

// Reads the file; one that does not exist is empty. Fails with INVALID_ARGUMENT, naming file and
// line, if it is not YAML or has an unknown key, and with PERMISSION_DENIED if it holds a token and
// others may read it.
Result<Configuration> LoadConfiguration(const std::string& path);

// The file's text.
std::string ToYaml(const Configuration& configuration);

// Writes the file, readable by its owner alone, whole or not at all.
Result<void> SaveConfiguration(const std::string& path, const Configuration& configuration);

// The context to use. Fails with NOT_FOUND if a file is named that is not there, or a context that
// the file does not have, or if a token file cannot be read, with PERMISSION_DENIED if others can.
// `endpoint` is never empty; `token` may be.
Result<Context> ResolveContext(const Host& host, const ContextFlags& flags);

}  // namespace kezek::cli
