#include "slurm/site_checks.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "kezek/base64url.h"
#include "kezek/host_list.h"
#include "kezek/node_parts.h"
#include "slurm/api_version.h"
#include "slurm/books_codec.h"
#include "slurm/check_asker.h"
#include "slurm/codec.h"

namespace kezek::slurm {
namespace {

constexpr DurationMs kSkewWarning = 2 * kSecondMs;
constexpr DurationMs kSkewProblem = 60 * kSecondMs;  // munge takes five minutes, tokens less
constexpr DurationMs kTokenWarning = 7 * kDayMs;
constexpr std::int64_t kRecordsMost = 1000;  // waiting in slurmctld for slurmdbd
constexpr std::size_t kNamesMost = 64;       // of nodes, in a line

std::string ReleaseOf(const Json& body) {
  const Json& meta = ObjectAt(body, "meta");
  for (const char* key : {"slurm", "Slurm"}) {
    const std::string release = TextAt(ObjectAt(meta, key), "release");
    if (!release.empty()) return release;
  }
  return "of a release that it does not tell";
}

Findings LookAtApi(const CheckOptions& options, Clock& clock) {
  Asker asker(options, clock);
  const auto api = asker.Api();
  if (!api && api.error().code == Code::kUnavailable) {
    return One(CheckState::kProblem, api.error().message + " (" + options.url + ")",
               "start slurmrestd, or set slurm.url: journalctl -u slurmrestd tells why it ended");
  }
  if (!api && api.error().code == Code::kUnauthenticated) {
    return One(CheckState::kProblem, api.error().message, "");
  }
  if (!api) {
    return One(CheckState::kProblem, api.error().message,
               "load its plugin: slurmrestd -s openapi/v0.0.38,openapi/dbv0.0.38 (22.05), or "
               "-s slurmctld,slurmdbd -d v0.0.42");
  }
  const auto ping = asker.Get("/slurm/" + *api + "/ping");
  const auto parsed = ping ? ParseAnswer(ping->body) : std::nullopt;
  return One(CheckState::kOk, "slurmrestd serves " + *api + ", Slurm " +
                                  (parsed ? ReleaseOf(parsed->body) : std::string("?")));
}

Findings LookAtTokenEnd(const CheckOptions& options, const std::string& token, TimeMs now) {
  const TimeMs end = TokenEnd(token);
  const std::string again =
      "scontrol token username=" + options.user + " lifespan=2592000 > " + options.token_file;
  if (end > 0 && end <= now) {
    return One(CheckState::kProblem, options.token_file + ": the token has expired", again);
  }
  if (end > 0 && end - now < kTokenWarning) {
    return One(CheckState::kWarning,
               options.token_file + ": the token expires in " +
                   std::to_string((end - now) / kHourMs) + " hours",
               again + "\nor let kezekd sign its own: slurm.jwt_key_file");
  }
  return {};
}

Findings LookAtToken(const CheckOptions& options, Clock& clock) {
  Asker asker(options, clock);
  const auto token = asker.Token();
  if (!token) {
    const std::string& file =
        options.token_file.empty() ? options.jwt_key_file : options.token_file;
    return One(CheckState::kProblem, token.error().message,
               "chown kezek " + file + "\nchmod 400 " + file);
  }
  Findings found;
  if (!options.token_file.empty()) found = LookAtTokenEnd(options, *token, clock.Now());
  const auto answer = asker.Read("/diag");
  if (!answer && asker.Api()) {
    found.push_back({CheckState::kProblem,
                     "a token of " + options.user + " is not taken: " + answer.error().message,
                     "the key must be the one of AuthAltParameters=jwt_key=…, slurm.conf must have "
                     "AuthAltTypes=auth/jwt, and slurmrestd must run with SLURM_JWT=daemon"});
  }
  if (!found.empty()) return found;
  if (!answer) return NotSeen(answer.error());
  return One(CheckState::kOk, "slurmrestd takes the token of " + options.user);
}

Findings LookAtActing(const CheckOptions& options, Clock& clock,
                      const std::shared_ptr<const View>& view) {
  Asker asker(options, clock);
  const auto own = asker.Read("/diag");
  if (!own) return NotSeen(own.error());
  std::string other = options.somebody ? options.somebody(view) : "";
  if (other.empty() || other == options.user) other = "nobody";
  const auto answer = asker.Read("/diag", other);
  if (answer) return One(CheckState::kOk, options.user + " may act as others (" + other + ")");
  return One(CheckState::kProblem,
             options.user + " may not act as " + other + ": " + answer.error().message,
             "slurm.user, whose token it is, must be SlurmUser or root: "
             "scontrol show config | grep SlurmUser");
}

Findings LookAtControllers(const CheckOptions& options, Clock& clock) {
  Asker asker(options, clock);
  const auto answer = asker.Read("/ping");
  if (!answer) return NotSeen(answer.error());
  std::vector<std::string> up;
  std::vector<std::string> down;
  for (const auto& ping : ListAt(*answer, "pings")) {
    if (!ping.is_object()) continue;
    (AnswersPing(ping) ? up : down).push_back(TextAt(ping, "hostname"));
  }
  if (up.empty()) {
    return One(CheckState::kProblem, "no slurmctld answers", "systemctl status slurmctld");
  }
  std::string names;
  for (const auto& name : down) names += (names.empty() ? "" : ", ") + name;
  if (!down.empty()) {
    return One(CheckState::kWarning, "a slurmctld does not answer, on " + names,
               "systemctl start slurmctld, there");
  }
  for (const auto& name : up) names += (names.empty() ? "" : ", ") + name;
  return One(CheckState::kOk, "slurmctld answers, on " + names);
}

Findings LookAtAccounting(const CheckOptions& options, Clock& clock) {
  Asker asker(options, clock);
  const auto api = asker.Api();
  if (!api) return NotSeen(api.error());
  const auto outcome = asker.Get("/slurmdb/" + *api + "/clusters");
  if (!outcome) return NotSeen(outcome.error());
  if (outcome->status == 404) {
    return One(CheckState::kProblem, "slurmrestd does not serve slurmdbd's records",
               "load its plugin: slurmrestd -s …,openapi/dbv0.0.38 (22.05), or -s …,slurmdbd");
  }
  const auto names = ParseNames(outcome->status, outcome->body, "clusters");
  if (!names) {
    return One(CheckState::kProblem, "slurmdbd does not answer: " + names.error().message,
               "systemctl status slurmdbd\nwithout it, ends of jobs that slurmctld has forgotten "
               "wait");
  }
  const auto diag = asker.Read("/diag");
  if (!diag) return NotSeen(diag.error());
  const std::int64_t waiting = IntegerAt(ObjectAt(*diag, "statistics"), "dbd_agent_queue_size");
  if (waiting > kRecordsMost) {
    return One(CheckState::kWarning,
               std::to_string(waiting) + " records wait in slurmctld for slurmdbd",
               "sdiag | grep DBD\nsystemctl status slurmdbd");
  }
  return One(CheckState::kOk, "slurmdbd answers");
}

Findings LookAtClock(const CheckOptions& options, Clock& clock) {
  Asker asker(options, clock);
  if (const auto api = asker.Api(); !api) return NotSeen(api.error());
  const TimeMs before = clock.Now();
  const auto answer = asker.Read("/diag");
  const TimeMs after = clock.Now();
  if (!answer) return NotSeen(answer.error());
  const TimeMs told = IntegerAt(ObjectAt(*answer, "statistics"), "req_time") * kSecondMs;
  if (told == 0) return One(CheckState::kNotLookedAt, "slurmctld does not tell its time");
  // Told in whole seconds, cut off: it was anything up to the next one.
  const DurationMs behind = std::max<DurationMs>(0, before - (told + kSecondMs));
  const DurationMs ahead = std::max<DurationMs>(0, told - after);
  const DurationMs skew = std::max(behind, ahead);
  if (skew <= kSkewWarning) {
    return One(CheckState::kOk, "slurmctld's clock is this host's, to 2 s");
  }
  return One(skew > kSkewProblem ? CheckState::kProblem : CheckState::kWarning,
             "slurmctld's clock is " + std::to_string(skew / kSecondMs) + " s " +
                 (ahead > 0 ? "ahead" : "behind"),
             "let both hosts follow the same time: chronyc tracking, timedatectl");
}

// A partition's nodes and state, in the form of any release.
struct PartitionFacts {
  std::string name;
  std::string nodes;
  std::string state;
  bool is_default = false;
};

PartitionFacts ReadPartition(const Json& entry) {
  PartitionFacts facts;
  facts.name = TextAt(entry, "name");
  facts.nodes = TextAt(entry, "nodes");
  if (facts.nodes.empty()) facts.nodes = TextAt(ObjectAt(entry, "nodes"), "configured");
  auto states = WordsAt(entry, "state");
  if (states.empty()) states = WordsAt(ObjectAt(entry, "partition"), "state");
  if (!states.empty()) facts.state = states.front();
  for (const auto& flag : ListAt(entry, "flags")) {
    if (flag.is_string() && SmallLetters(flag.get<std::string>()) == "default") {
      facts.is_default = true;
    }
  }
  return facts;
}

std::string Names(std::vector<std::string> names) {
  if (names.size() <= kNamesMost) return CompressHostList(std::move(names));
  const std::size_t more = names.size() - kNamesMost;
  names.resize(kNamesMost);
  return CompressHostList(std::move(names)) + " and " + std::to_string(more) + " more";
}

Findings LookAtPartition(const CheckOptions& options, Clock& clock) {
  Asker asker(options, clock);
  const auto answer = asker.Read("/partitions");
  if (!answer) return NotSeen(answer.error());
  std::optional<PartitionFacts> ours;
  const Json& list = ListAt(*answer, "partitions");
  for (const auto& entry : list) {
    if (!entry.is_object()) continue;
    const PartitionFacts facts = ReadPartition(entry);
    const bool chosen = options.partition.empty() ? facts.is_default || list.size() == 1
                                                  : facts.name == options.partition;
    if (chosen) ours = facts;
  }
  if (!ours && options.partition.empty()) {
    return One(CheckState::kNotLookedAt, "which of Slurm's partitions is the default is not told",
               "name it: slurm.partition");
  }
  if (!ours) {
    return One(CheckState::kProblem, "Slurm has no partition " + options.partition,
               "set slurm.partition, or add it to slurm.conf");
  }
  if (ours->state != "UP") {
    return One(CheckState::kProblem, "partition " + ours->name + " is " + ours->state,
               "scontrol update partitionname=" + ours->name + " state=up");
  }
  const auto nodes = ExpandHostList(ours->nodes);
  if (!nodes) return One(CheckState::kNotLookedAt, "partition " + ours->name + ": its nodes");
  std::vector<std::string> outside;
  for (const Node& node : options.topology) {
    if (std::find(nodes->begin(), nodes->end(), HostOf(node.name)) == nodes->end()) {
      outside.push_back(node.name);
    }
  }
  if (!outside.empty()) {
    return One(
        CheckState::kProblem,
        Names(outside) + ": not in partition " + ours->name + ", so no job starts there",
        "add them to the partition in slurm.conf, or take them out of " + options.topology_file);
  }
  return One(CheckState::kOk, "partition " + ours->name + " is up, with all nodes");
}

Findings LookAtNodes(const CheckOptions& options, Clock& clock) {
  Asker asker(options, clock);
  const auto api = asker.Api();
  if (!api) return NotSeen(api.error());
  const auto answer = asker.Get("/slurm/" + *api + "/nodes");
  if (!answer) return NotSeen(answer.error());
  const auto nodes = ParseNodes(answer->status, answer->body);
  if (!nodes) return NotSeen(nodes.error());
  return CompareNodes(options.topology, nodes->value_or(std::vector<Node>{}),
                      options.topology_file);
}

// The topology's nodes as Slurm has them: with all that is of one host.
std::vector<Node> AsHosts(const std::vector<Node>& topology) {
  std::vector<Node> hosts;
  std::map<std::string, std::size_t> at;
  for (const Node& node : topology) {
    const std::string name(HostOf(node.name));
    const auto [known, is_new] = at.try_emplace(name, hosts.size());
    if (is_new) {
      hosts.push_back(node);
      hosts.back().name = name;
      continue;
    }
    Node& host = hosts[known->second];
    host.cpus += node.cpus;
    host.memory_mib += node.memory_mib;
    host.more_gpus.push_back({.gpu_type = node.gpu_type, .gpus = node.gpus});
  }
  return hosts;
}

std::map<std::string, std::int32_t> HostGpusByType(const Node& host) {
  std::map<std::string, std::int32_t> gpus;
  if (host.gpus > 0) gpus[host.gpu_type] = host.gpus;
  for (const HostGpus& more : host.more_gpus) {
    if (more.gpus > 0) gpus[more.gpu_type] += more.gpus;
  }
  return gpus;
}

// "8 GPUs of h200" of a node, for people.
std::string HasText(const Node& host) {
  std::string text;
  for (const auto& [type, gpus] : HostGpusByType(host)) {
    text += (text.empty() ? "" : " and ") + std::to_string(gpus) + " GPUs of " +
            (type.empty() ? std::string("no type") : type);
  }
  return text.empty() ? "no GPUs" : text;
}

}  // namespace

TimeMs TokenEnd(const std::string& token) {
  const auto first = token.find('.');
  const auto second = first == std::string::npos ? first : token.find('.', first + 1);
  if (second == std::string::npos) return 0;
  const auto text = FromBase64Url(token.substr(first + 1, second - first - 1));
  if (!text) return 0;
  const Json claims = Json::parse(*text, nullptr, false);
  if (!claims.is_object()) return 0;
  return std::max<TimeMs>(0, IntegerAt(claims, "exp")) * kSecondMs;
}

std::vector<Finding> CompareNodes(const std::vector<Node>& topology, const std::vector<Node>& slurm,
                                  const std::string& file) {
  std::map<std::string, Node> left;
  for (const Node& node : slurm) left[node.name] = node;
  std::vector<std::string> missing;
  std::map<std::string, std::vector<std::string>> differ;  // by what
  for (const Node& node : AsHosts(topology)) {
    const auto found = left.extract(node.name);
    if (!found) {
      missing.push_back(node.name);
      continue;
    }
    const Node& told = found.mapped();
    if (HostGpusByType(told) != HostGpusByType(node)) {
      differ[HasText(node) + " by " + file + ", " + HasText(told) + " by Slurm"].push_back(
          node.name);
    }
    if (told.cpus < node.cpus) {
      differ[std::to_string(node.cpus) + " CPUs by " + file + ", " + std::to_string(told.cpus) +
             " by Slurm"]
          .push_back(node.name);
    }
    if (told.memory_mib < node.memory_mib) {
      differ[std::to_string(node.memory_mib) + " MiB of memory by " + file + ", " +
             std::to_string(told.memory_mib) + " by Slurm"]
          .push_back(node.name);
    }
  }
  Findings findings;
  if (!missing.empty()) {
    findings.push_back({CheckState::kProblem, Names(missing) + ": unknown to Slurm",
                        "take them out of " + file + ", or add them to slurm.conf"});
  }
  for (const auto& [what, nodes] : differ) {
    findings.push_back({CheckState::kProblem, Names(nodes) + ": " + what,
                        "correct " + file +
                            " and start kezekd again, or correct slurm.conf and "
                            "gres.conf: scontrol show node " +
                            nodes.front()});
  }
  std::vector<std::string> unknown;
  for (const auto& [name, node] : left) {
    if (node.gpus > 0) unknown.push_back(name);
  }
  if (!unknown.empty()) {
    findings.push_back({CheckState::kWarning,
                        Names(unknown) + ": Slurm has them, with GPUs, and Kezek does not use them",
                        "add them to " + file + " and start kezekd again"});
  }
  if (findings.empty()) {
    findings.push_back(
        {CheckState::kOk, std::to_string(topology.size()) + " nodes are as " + file + " says", ""});
  }
  return findings;
}

std::vector<SiteCheck> SlurmChecks(const CheckOptions& options, Clock& clock) {
  using Look = Findings (*)(const CheckOptions&, Clock&);
  std::vector<SiteCheck> checks;
  const auto add = [&](const char* name, Look look) {
    checks.push_back({name, [options, &clock, look](const auto&) { return look(options, clock); }});
  };
  add("slurm-api", &LookAtApi);
  add("slurm-token", &LookAtToken);
  checks.push_back({"slurm-acting", [options, &clock](const std::shared_ptr<const View>& view) {
                      return LookAtActing(options, clock, view);
                    }});
  add("slurm-controllers", &LookAtControllers);
  add("slurm-accounting", &LookAtAccounting);
  checks.push_back({"slurm-privacy", [options, &clock](const std::shared_ptr<const View>& view) {
                      return LookAtPrivacy(options, clock, view);
                    }});
  add("slurm-clock", &LookAtClock);
  add("slurm-partition", &LookAtPartition);
  add("slurm-nodes", &LookAtNodes);
  return checks;
}

}  // namespace kezek::slurm
