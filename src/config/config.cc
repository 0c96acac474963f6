#include "config/config.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "config/yaml_section.h"
#include "kezek/host_list.h"

namespace kezek::config {
namespace {

constexpr std::int32_t kMost = std::numeric_limits<std::int32_t>::max();

void ReadDatabase(Section& section, DatabaseConfig* out) {
  section.Require("url");
  section.Text("url", &out->url);
  section.Text("migrate_url", &out->migrate_url);
  section.Number("readers", 1, 64, &out->readers);
}

void ReadSlurm(Section& section, SlurmConfig* out) {
  section.Require("url");
  section.Text("url", &out->url);
  section.Text("token_file", &out->token_file);
  section.Text("jwt_key_file", &out->jwt_key_file);
  if (out->token_file.empty() == out->jwt_key_file.empty()) {
    section.Problem("token_file", "give either token_file or jwt_key_file");
  }
  section.Text("user", &out->user);
  section.Text("partition", &out->partition);
  section.Number("connections", 1, 64, &out->connections);
  section.Duration("request_timeout", 100, &out->request_timeout_ms);
  section.Duration("message_timeout", kSecondMs, &out->message_timeout_ms);
  section.Duration("launch_timeout", kSecondMs, &out->launch_timeout_ms);
  section.Duration("accounting_patience", kSecondMs, &out->accounting_patience_ms);
  section.Text("foreign_account", &out->foreign_account);
  section.Duration("foreign_every", kSecondMs, &out->foreign_every_ms);
}

// What is wrong with the command line that runs scripts in containers; nothing.
std::string ContainerLaunchProblem(const std::string& launch) {
  if (launch.empty()) return "";
  for (const char* needed : {"{image}", "{command}"}) {
    if (launch.find(needed) == std::string::npos) return std::string("lacks ") + needed;
  }
  for (std::size_t open = launch.find('{'); open != std::string::npos;
       open = launch.find('{', open + 1)) {
    const auto close = launch.find('}', open);
    const std::string word = launch.substr(open, close - open + 1);
    if (word != "{image}" && word != "{command}" && word != "{output}") {
      return word + " is none of {image}, {command}, {output}";
    }
    // Each comes quoted.
    const std::string beside = launch.substr(open - (open > 0), word.size() + 2);
    if (beside.find_first_of("'\"$") != std::string::npos) return word + " wants no quotes, no $";
  }
  if (launch.find_first_of(";&|<>`\n") != std::string::npos) {
    return "is not one simple command: put more into a script of the site's";
  }
  const bool assigns = launch.substr(0, launch.find(' ')).find('=') != std::string::npos;
  return assigns ? "begins with an assignment: say env in front of it" : "";
}

void ReadScheduling(Section& section, SchedulingConfig* out) {
  section.Number("look", 1, kMost, &out->look);
  section.Number("look_project", 1, kMost, &out->look_project);
  section.Number("reservations", 0, 1000, &out->reservations);
  section.Duration("reserve_after", 0, &out->reserve_after_ms);
  section.Number("reserve_width_percent", 0, 100, &out->reserve_width_percent);
  section.Flag("reclaim", &out->reclaim);
  section.Duration("topology_wait", 0, &out->topology_wait_ms);
  section.Duration("half_life", kHourMs, &out->half_life_ms);
  section.Duration("history_hours", kDayMs, &out->history_hours_ms);
  section.Duration("age_max", kMinuteMs, &out->age_max_ms);
  section.Duration("kill_margin", 0, &out->kill_margin_ms);
  section.Duration("hold_beyond", 0, &out->hold_beyond_ms);
  section.Duration("refund_max", 0, &out->refund_max_ms);
  section.Number("set_aside_after", 0, 1000, &out->set_aside_after);
  section.Duration("set_aside", kSecondMs, &out->set_aside_ms);
  section.Duration("gather", 0, &out->gather_ms);
  section.Duration("heartbeat", 100, &out->heartbeat_ms);
}

void ReadLimits(Section& section, LimitsConfig* out) {
  section.Number("script_kib", 1, 1 << 20, &out->script_kib);
  section.Number("environment_kib", 1, 1 << 20, &out->environment_kib);
  section.Number("request_kib", 1, 1 << 20, &out->request_kib);
  section.Duration("token_lifetime", kMinuteMs, &out->token_lifetime_ms);
  section.Number("calls_per_second", 0, 1 << 20, &out->calls_per_second);
  section.Number("calls_burst", 1, 1 << 20, &out->calls_burst);
  section.Number("leavers_percent", 0, 100, &out->leavers_percent);
}

void ReadMunge(Section& section, MungeConfig* out) {
  out->on = true;
  section.Text("socket", &out->socket);
  section.Duration("token_lifetime", kMinuteMs, &out->token_lifetime_ms);
}

void ReadTls(Section& section, TlsFiles* out) {
  for (const char* key : {"certificate", "key"}) section.Require(key);
  section.Text("certificate", &out->certificate_file);
  section.Text("key", &out->key_file);
  section.Text("client_ca", &out->client_ca_file);
}

// Tokens cross the network only where they are encrypted, unless the file knows what it says.
void CheckPlainText(Section& section, const std::string& key, const std::string& listen,
                    const Config& config) {
  if (!config.tls.empty() || config.plain_text_off_loopback || IsLoopback(listen)) return;
  section.Problem(key, listen +
                           " can be reached from other hosts, and without tls everyone on the "
                           "network can read tokens there: give tls.certificate and tls.key, or "
                           "write plain_text_off_loopback: \"" +
                           kPlainTextWords + "\"");
}

bool IsAddress(const std::string& listen) {
  const std::size_t colon = listen.rfind(':');
  if (colon == std::string::npos || listen.size() - colon > 6) return false;
  std::string host = listen.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  if (inet_pton(AF_INET, host.c_str(), bytes.data()) != 1 &&
      inet_pton(AF_INET6, host.c_str(), bytes.data()) != 1) {
    return false;
  }
  const std::string port = listen.substr(colon + 1);
  return !port.empty() && port.find_first_not_of("0123456789") == std::string::npos &&
         std::stoi(port) <= 65'535;
}

void ReadHttp(Section& section, Config* out) {
  section.Text("listen", &out->http.listen);
  section.Flag("metrics_token", &out->http.metrics_token);
  section.Number("connections", 1, 65'536, &out->http.connections);
  section.Duration("idle_timeout", kSecondMs, &out->http.idle_timeout_ms);
  if (out->http.listen == "off") {
    out->http.listen.clear();
  } else if (!IsAddress(out->http.listen)) {
    section.Problem("listen", "must be an address with a port, such as 127.0.0.1:7480, or off");
  } else {
    CheckPlainText(section, "listen", out->http.listen, *out);
  }
}

void ReadListening(Section& section, Config* out) {
  section.Text("grpc_listen", &out->grpc_listen);
  section.Text("grpc_advertise", &out->grpc_advertise);
  section.Child("tls", [&](Section& child) { ReadTls(child, &out->tls); });
  std::string words;
  section.Text("plain_text_off_loopback", &words);
  out->plain_text_off_loopback = words == kPlainTextWords;
  if (!words.empty() && !out->plain_text_off_loopback) {
    section.Problem("plain_text_off_loopback",
                    std::string("must be left out, or say \"") + kPlainTextWords + "\"");
  }
  CheckPlainText(section, "grpc_listen", out->grpc_listen, *out);
  section.Child("http", [&](Section& child) { ReadHttp(child, out); });
}

// GPUs of a limit, kept in thousandths.
void ReadUserLimits(Section& section, Limits* out) {
  std::int64_t value = -1;
  section.Milli("gpus", &value);
  if (value >= 0) out->running_milli = value;
  value = -1;
  section.Number("jobs_running", 0, kMost, &value);
  if (value >= 0) out->jobs_running = value;
  value = -1;
  section.Number("jobs_queued", 0, kMost, &value);
  if (value >= 0) out->jobs_queued = value;
  value = -1;
  section.Milli("gpus_per_job", &value);
  if (value >= 0) out->job_milli = value;
  DurationMs time = 0;
  section.Duration("time_limit", kMinuteMs, &time);
  if (time > 0) out->time_limit_ms = time;
}

void ReadClass(Section& section, ClassRules* out) {
  section.Number("rank", 0, 1000, &out->rank);
  section.Milli("factor", &out->factor_milli);
  section.Duration("longest_limit", kMinuteMs, &out->longest_limit_ms);
  section.Duration("default_limit", kMinuteMs, &out->default_limit_ms);
  section.Duration("grace_max", 0, &out->grace_max_ms);
  section.Duration("min_run", 0, &out->min_run_ms);
  section.Flag("preemptible", &out->preemptible);
  section.Flag("preempts_lower", &out->preempts_lower);
  section.Flag("scavenger", &out->scavenger);
  section.Child("user_limits", [&](Section& child) { ReadUserLimits(child, &out->user_limits); });
  std::string list;
  section.Text("nodes", &list);
  auto nodes = ExpandHostList(list);
  if (!nodes) {
    section.Problem("nodes", nodes.error().message);
  } else if (!list.empty()) {
    out->nodes = std::move(*nodes);
  }
  if (out->longest_limit_ms > 0 && out->default_limit_ms > out->longest_limit_ms) {
    section.Problem("default_limit", "is longer than longest_limit");
  }
}

void ReadTypes(Section& section, Config* out) {
  section.Each([&](const std::string& name, Section& type) {
    std::int64_t rate = 1000;
    type.Milli("rate", &rate);
    out->rate_milli[name] = rate;
  });
}

void ReadAll(Section& section, Config* out) {
  for (const char* key : {"cluster", "database", "slurm", "output_root", "topology", "tag_key_file",
                          "environment_key_file"}) {
    section.Require(key);
  }
  section.Text("cluster", &out->cluster);
  ReadListening(section, out);
  section.Text("output_root", &out->output_root);
  section.Duration("output_keep", 0, &out->output_keep_ms);
  section.Text("topology", &out->topology_file);
  section.Text("tag_key_file", &out->tag_key_file);
  section.Text("environment_key_file", &out->environment_key_file);
  section.Number("min_uid", 1, kMost, &out->min_uid);
  section.Child("database", [&](Section& child) { ReadDatabase(child, &out->database); });
  section.Child("slurm", [&](Section& child) { ReadSlurm(child, &out->slurm); });
  section.Child("scheduling", [&](Section& child) { ReadScheduling(child, &out->scheduling); });
  section.Child("limits", [&](Section& child) { ReadLimits(child, &out->limits); });
  section.Child("munge", [&](Section& child) { ReadMunge(child, &out->munge); });
  section.Child("classes", [&](Section& child) {
    child.Each([&](const std::string& name, Section& rules) {
      ClassRules& slot = out->classes[name];
      slot.name = name;
      ReadClass(rules, &slot);
    });
  });
  section.Texts("classifications", &out->classifications);
  for (const std::string& name : out->classifications) {
    if (std::count(out->classifications.begin(), out->classifications.end(), name) == 1) continue;
    section.Problem("classifications", "has " + name + " twice");
    break;
  }
  section.Text("alone_from", &out->alone_from);
  if (!out->alone_from.empty() &&
      std::count(out->classifications.begin(), out->classifications.end(), out->alone_from) == 0) {
    section.Problem("alone_from", "is not one of classifications");
  }
  section.Child("containers", [&](Section& child) {
    child.Text("launch", &out->container_launch);
    const std::string problem = ContainerLaunchProblem(out->container_launch);
    if (!problem.empty()) child.Problem("launch", problem);
  });
  section.Child("gpu_types", [&](Section& child) { ReadTypes(child, out); });
  if (out->rate_milli.empty()) out->rate_milli = {{"h200", 1000}};
  out->default_gpu_type = out->rate_milli.begin()->first;
  section.Text("default_gpu_type", &out->default_gpu_type);
  if (!out->rate_milli.contains(out->default_gpu_type)) {
    section.Problem("default_gpu_type", "is not one of gpu_types");
  }
  section.Child("log", [&](Section& child) {
    child.Text("level", &out->log_level);
    child.Flag("json", &out->log_json);
  });
}

}  // namespace

std::map<std::string, ClassRules> DefaultClasses() {
  ClassRules debug{
      .name = "debug", .rank = 0, .longest_limit_ms = kHourMs, .default_limit_ms = 30 * kMinuteMs};
  debug.user_limits.jobs_running = 2;
  return {
      {"debug", debug},
      {"realtime",
       {.name = "realtime",
        .rank = 1,
        .factor_milli = 2000,
        .preemptible = false,
        .preempts_lower = true}},
      {"normal", {.name = "normal", .rank = 2}},
      {"scavenger", {.name = "scavenger", .rank = 3, .min_run_ms = 0, .scavenger = true}},
  };
}

Result<Config> ParseConfig(const std::string& text, const std::string& file_name) {
  Config config;
  config.classes = DefaultClasses();
  const auto read = ReadYaml(text, file_name, [&](Section& section) { ReadAll(section, &config); });
  if (!read) return read.error();
  return config;
}

Result<Config> LoadConfig(const std::string& path) {
  const auto text = ReadFile(path);
  if (!text) return text.error();
  return ParseConfig(*text, path);
}

}  // namespace kezek::config
