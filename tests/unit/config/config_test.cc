// Goal: a configuration is read in full or refused with every problem, each with key and line.
// Method: one complete file, then a table of files with one fault each.
#include "config/config.h"

#include <gtest/gtest.h>

#include "config/yaml_section.h"

namespace kezek::config {
namespace {

const std::string kGood = R"(cluster: alem
grpc_listen: 127.0.0.1:9443
output_root: /srv/kezek/output
topology: /etc/kezek/topology.yaml
tag_key_file: /etc/kezek/tag.key
database:
  url: postgresql://kezek_app@127.0.0.1/kezek
  readers: 8
slurm:
  url: http://127.0.0.1:6820
  jwt_key_file: /etc/kezek/jwt.key
  launch_timeout: 90s
  accounting_patience: 5m
scheduling:
  half_life: 14d
  kill_margin: 45s
  hold_beyond: 2h
  refund_max: 20m
  heartbeat: 2s
gpu_types:
  h200: {rate: 1}
  h200-1g.18gb: {rate: 0.125}
default_gpu_type: h200
classes:
  urgent:
    rank: 0
    factor: 1.5
    preemptible: false
    user_limits: {gpus: 16, jobs_running: 4, jobs_queued: 9, time_limit: 90m}
log: {level: debug, json: true}
http: {listen: 127.0.0.1:9480, metrics_token: false, connections: 64, idle_timeout: 30s}
classifications: [public, internal]
alone_from: internal
environment_key_file: /etc/kezek/environment.keys
munge: {socket: /run/munge/munge.socket.2, token_lifetime: 8h}
limits: {calls_per_second: 20, calls_burst: 200, leavers_percent: 5}
)";

TEST(Config, ReadsEveryKey) {
  const auto config = ParseConfig(kGood, "k.yaml");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->cluster, "alem");
  EXPECT_EQ(config->grpc_listen, "127.0.0.1:9443");
  EXPECT_EQ(config->database.readers, 8);
  EXPECT_EQ(config->slurm.launch_timeout_ms, 90 * kSecondMs);
  EXPECT_EQ(config->slurm.accounting_patience_ms, 5 * kMinuteMs);
  EXPECT_EQ(config->slurm.foreign_account, "") << "nobody pays for others' jobs";
  EXPECT_EQ(config->scheduling.half_life_ms, 14 * kDayMs);
  EXPECT_EQ(config->scheduling.refund_max_ms, 20 * kMinuteMs);
  EXPECT_EQ(config->rate_milli.at("h200-1g.18gb"), 125);
  EXPECT_EQ(config->classes.at("urgent").factor_milli, 1500);
  EXPECT_EQ(config->classes.at("urgent").user_limits.running_milli, 16'000);
  EXPECT_EQ(config->classes.at("urgent").user_limits.jobs_queued, 9);
  EXPECT_EQ(config->classes.at("urgent").user_limits.time_limit_ms, 90 * kMinuteMs);
  EXPECT_EQ(config->classes.at("normal").user_limits, Limits{});
  EXPECT_EQ(config->scheduling.kill_margin_ms, 45 * kSecondMs);
  EXPECT_EQ(config->scheduling.hold_beyond_ms, 2 * kHourMs);
  EXPECT_FALSE(config->classes.at("urgent").preemptible);
  EXPECT_FALSE(config->classes.at("urgent").preempts_lower);
  EXPECT_TRUE(config->classes.at("realtime").preempts_lower);
  EXPECT_TRUE(config->classes.contains("normal")) << "the usual classes stay";
  EXPECT_TRUE(config->log_json);
  EXPECT_EQ(config->http.listen, "127.0.0.1:9480");
  EXPECT_FALSE(config->http.metrics_token);
  EXPECT_EQ(config->http.connections, 64);
  EXPECT_EQ(config->http.idle_timeout_ms, 30 * kSecondMs);
  EXPECT_EQ(config->classifications, (std::vector<std::string>{"public", "internal"}));
  EXPECT_EQ(config->alone_from, "internal");
  EXPECT_TRUE(config->munge.on);
  EXPECT_EQ(config->munge.socket, "/run/munge/munge.socket.2");
  EXPECT_EQ(config->munge.token_lifetime_ms, 8 * kHourMs);
  EXPECT_EQ(config->limits.calls_per_second, 20);
  EXPECT_EQ(config->limits.leavers_percent, 5);
}

TEST(Config, LanesAreOfKnownNodesEachOfOneClass) {
  const std::vector<Node> nodes = {{.name = "n1"}, {.name = "n2"}};
  const auto outcome = [&nodes](std::vector<std::string> debug, std::vector<std::string> normal) {
    auto classes = DefaultClasses();
    classes["debug"].nodes = std::move(debug);
    classes["normal"].nodes = std::move(normal);
    const auto checked = CheckLanes(classes, nodes);
    return checked ? std::string("good") : checked.error().message;
  };
  EXPECT_EQ(outcome({"n1"}, {"n2"}), "good");
  EXPECT_EQ(outcome({"n1", "n3"}, {}), "classes.debug.nodes: the topology has no node n3");
  EXPECT_EQ(outcome({"n1"}, {"n1"}), "classes.normal.nodes: n1 is of class debug");
}

struct Fault {
  std::string find;
  std::string replace;
  std::string message;
};

TEST(Config, HttpCanBeOff) {
  std::string text = kGood;
  text.replace(text.find("127.0.0.1:9480"), 14, "off");
  const auto config = ParseConfig(text, "k.yaml");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->http.listen, "");
}

TEST(Config, AClassMayPreemptLowerOnesOfItsProject) {
  std::string text = kGood;
  text.replace(text.find("    rank: 0"), 0, "    preempts_lower: true\n");
  const auto config = ParseConfig(text, "k.yaml");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_TRUE(config->classes.at("urgent").preempts_lower);
}

TEST(Config, PromisesAreMadeUnlessTheFileSaysOtherwise) {
  EXPECT_EQ(ParseConfig(kGood, "k.yaml")->scheduling.reservations, 8);
  EXPECT_EQ(ParseConfig(kGood, "k.yaml")->scheduling.reserve_after_ms, 0);
  EXPECT_EQ(ParseConfig(kGood, "k.yaml")->scheduling.reserve_width_percent, 0);
  EXPECT_TRUE(ParseConfig(kGood, "k.yaml")->scheduling.reclaim);
  std::string text = kGood;
  text.replace(
      text.find("  half_life"), 0,
      "  reservations: 0\n  reserve_after: 4h\n  reserve_width_percent: 50\n  reclaim: false\n");
  const auto config = ParseConfig(text, "k.yaml");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->scheduling.reservations, 0);
  EXPECT_EQ(config->scheduling.reserve_after_ms, 4 * kHourMs);
  EXPECT_EQ(config->scheduling.reserve_width_percent, 50);
  EXPECT_FALSE(config->scheduling.reclaim);
}

TEST(Config, AClassMayHaveALane) {
  EXPECT_TRUE(ParseConfig(kGood, "k.yaml")->classes.at("urgent").nodes.empty());
  std::string text = kGood;
  text.replace(text.find("    rank: 0"), 0, "    nodes: \"n[01-02]\"\n");
  const auto config = ParseConfig(text, "k.yaml");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->classes.at("urgent").nodes, (std::vector<std::string>{"n01", "n02"}));
}

TEST(Config, OutputIsKeptForATimeUnlessForEver) {
  EXPECT_EQ(ParseConfig(kGood, "k.yaml")->output_keep_ms, 90 * kDayMs);
  EXPECT_EQ(ParseConfig(std::string("output_keep: 30d\n") + kGood, "k.yaml")->output_keep_ms,
            30 * kDayMs);
  EXPECT_EQ(ParseConfig(std::string("output_keep: 0s\n") + kGood, "k.yaml")->output_keep_ms, 0);
  EXPECT_FALSE(ParseConfig(std::string("output_keep: 30\n") + kGood, "k.yaml"));
}

TEST(Config, HoursOfTheHistoryAreKeptForATime) {
  EXPECT_EQ(ParseConfig(kGood, "k.yaml")->scheduling.history_hours_ms, 400 * kDayMs);
  std::string shorter = kGood;
  shorter.replace(shorter.find("  half_life"), 0, "  history_hours: 90d\n");
  EXPECT_EQ(ParseConfig(shorter, "k.yaml")->scheduling.history_hours_ms, 90 * kDayMs);
}

TEST(Config, SomebodyMayPayForJobsThatAreNotKezeks) {
  std::string text = kGood;
  const std::string keys = "  foreign_account: operations/outside\n  foreign_every: 90s\n";
  text.insert(text.find("scheduling:"), keys);
  const auto config = ParseConfig(text, "k.yaml");
  ASSERT_TRUE(config.has_value()) << config.error().message;
  EXPECT_EQ(config->slurm.foreign_account, "operations/outside");
  EXPECT_EQ(config->slurm.foreign_every_ms, 90 * kSecondMs);
}

TEST(Config, RefusesEachFaultWithKeyAndLine) {
  const std::vector<Fault> faults = {
      {"cluster: alem", "clustr: alem",
       "k.yaml:1: clustr: is not known here; did you mean cluster?"},
      {"cluster: alem", "x: 1", "k.yaml:1: cluster: is missing, and has no default"},
      {"readers: 8", "readers: many", "k.yaml:8: database.readers: must be a whole number"},
      {"readers: 8", "readers: 0", "k.yaml:8: database.readers: must be a whole number from 1"},
      {"readers: 8", "reader: 8", "k.yaml:8: database.reader: is not known here; did you mean"},
      {"90s", "90", "k.yaml:12: slurm.launch_timeout: must be a length of time"},
      {"90s", "10ms", "k.yaml:12: slurm.launch_timeout: must be a length of time"},
      {"  jwt_key_file: /etc/kezek/jwt.key\n", "", "give either token_file or jwt_key_file"},
      {"rate: 0.125", "rate: 0.1255", "k.yaml:22: gpu_types.h200-1g.18gb.rate: must be a number"},
      {"default_gpu_type: h200", "default_gpu_type: a100", "k.yaml:23: default_gpu_type: is not"},
      {"preemptible: false", "preemptible: nope", "k.yaml:28: classes.urgent.preemptible: must be"},
      {"jobs_running: 4", "jobs: 4", "k.yaml:29: classes.urgent.user_limits.jobs: is not known"},
      {"internal]", "public]", "k.yaml:32: classifications: has public twice"},
      {"alone_from: internal", "alone_from: secret", "k.yaml:33: alone_from: is not one of"},
      {"readers: 8", "url: twice", "k.yaml:8: database.url: is there twice"},
      {"log: {", "log: [", "k.yaml:30"},
      {"127.0.0.1:9480", "here", "k.yaml:31: http.listen: must be an address with a port"},
      {"127.0.0.1:9480", "localhost:9480", "k.yaml:31: http.listen: must be an address"},
      {"127.0.0.1:9480", "127.0.0.1:90000", "k.yaml:31: http.listen: must be an address"},
      {"127.0.0.1:9480", "0.0.0.0:9480", "k.yaml:31: http.listen: 0.0.0.0:9480 can be reached"},
      {"metrics_token: false", "token: false", "k.yaml:31: http.token: is not known here"},
      {"connections: 64", "connections: 0", "k.yaml:31: http.connections: must be a whole number"},
      {"database:", "database: x\nignored:", "k.yaml:6: database: must be a mapping"},
      {"127.0.0.1:9443", "0.0.0.0:9443", "k.yaml:2: grpc_listen: 0.0.0.0:9443 can be reached"},
      {"127.0.0.1:9443", "127.0.0.1.evil.kz:9443", "can be reached from other hosts"},
      {"127.0.0.1:9443", "0.0.0.0:1\nplain_text_off_loopback: \"yes\"",
       "k.yaml:3: plain_text_off_loopback: must be left out, or say"},
      {"log: {", "tls: {key: a}\nlog: {", "k.yaml:30: tls.certificate: is missing"},
  };
  for (const auto& fault : faults) {
    std::string text = kGood;
    text.replace(text.find(fault.find), fault.find.size(), fault.replace);
    const auto config = ParseConfig(text, "k.yaml");
    ASSERT_FALSE(config) << fault.replace;
    EXPECT_EQ(config.error().code, Code::kInvalidArgument);
    EXPECT_NE(config.error().message.find(fault.message), std::string::npos)
        << fault.replace << " gave " << config.error().message;
  }
}

TEST(Config, OffLoopbackWantsTlsOrTheWords) {
  const auto read = [](const std::string& lines) {
    std::string text = kGood;
    const std::string listen = "grpc_listen: 127.0.0.1:9443";
    return ParseConfig(text.replace(text.find(listen), listen.size(), lines), "k.yaml");
  };
  const auto tls = read("grpc_listen: 0.0.0.0:7443\ntls: {certificate: c, key: k, client_ca: a}");
  ASSERT_TRUE(tls) << tls.error().message;
  EXPECT_EQ(tls->tls, (TlsFiles{"c", "k", "a"}));
  const auto plain = read("grpc_listen: 0.0.0.0:7443\nplain_text_off_loopback: \"" +
                          std::string(kPlainTextWords) + "\"");
  ASSERT_TRUE(plain) << plain.error().message;
  EXPECT_TRUE(plain->plain_text_off_loopback);
  EXPECT_TRUE(read("grpc_listen: \"[::1]:7443\""));
  EXPECT_TRUE(read("grpc_listen: unix:/run/kezek.sock"));
  EXPECT_FALSE(read("grpc_listen: \"[::]:7443\""));
}

TEST(Config, ReportsAFileThatIsNotThere) {
  EXPECT_EQ(LoadConfig("/nonexistent/kezekd.yaml").error().code, Code::kNotFound);
}

TEST(Config, ContainersRunByOneSimpleCommand) {
  const auto problem = [](const std::string& launch) {
    const auto config = ParseConfig("containers: {launch: '" + launch + "'}\n", "k.yaml");
    return config ? std::string() : config.error().message;
  };
  EXPECT_EQ(problem("env A=1 apptainer exec -B {output}:{output} {image} {command}").find("launch"),
            std::string::npos);
  EXPECT_NE(problem("apptainer exec {command}").find("lacks {image}"), std::string::npos);
  EXPECT_NE(problem("a {image} {command} {out}").find("{out} is none of"), std::string::npos);
  EXPECT_NE(problem("a \"{image}\" {command}").find("wants no quotes"), std::string::npos);
  EXPECT_NE(problem("a ${image} {image} {command}").find("wants no quotes"), std::string::npos);
  EXPECT_NE(problem("cd /; a {image} {command}").find("one simple command"), std::string::npos);
  EXPECT_NE(problem("A=1 a {image} {command}").find("assignment"), std::string::npos);
}

TEST(Topology, PlacesNodesUnderLeaves) {
  const auto nodes = ParseTopology(
      "node: {gpu_type: h200, gpus: 8, cpus: 192, memory_mib: 2000000}\n"
      "leaves:\n  - {name: leaf1, block: b, nodes: 'n[01-02]'}\n"
      "  - {name: leaf2, block: b, nodes: n03, labels: [nvlink], gpus: 4}\n",
      "t.yaml");
  ASSERT_TRUE(nodes) << nodes.error().message;
  ASSERT_EQ(nodes->size(), 3U);
  EXPECT_EQ((*nodes)[1].name, "n02");
  EXPECT_EQ((*nodes)[1].leaf, "leaf1");
  EXPECT_EQ((*nodes)[1].gpus, 8);
  EXPECT_EQ((*nodes)[2].gpus, 4);
  EXPECT_EQ((*nodes)[2].memory_mib, 2'000'000);
  EXPECT_EQ((*nodes)[2].labels, std::vector<std::string>{"nvlink"});
  const auto twice =
      ParseTopology("leaves:\n  - {name: a, nodes: n1}\n  - {name: b, nodes: n1}\n", "t.yaml");
  ASSERT_FALSE(twice);
  EXPECT_NE(twice.error().message.find("t.yaml:3: leaves[1].nodes: n1 is in two leaves"),
            std::string::npos)
      << twice.error().message;
}

TEST(Topology, PartsOfAHostAreNodes) {
  const std::string head =
      "node: {gpu_type: h200, gpus: 8, cpus: 192, memory_mib: 2000000}\nleaves:\n";
  const std::string leaf =
      "  - {name: a, nodes: 'n[1-2]', labels: [x], gpus: 6, cpus: 144, parts: [";
  const std::string part = "{gpu_type: mig-1g, gpus: 14, cpus: 48, memory_mib: 500000}";
  const auto nodes = ParseTopology(head + leaf + part + "]}\n", "t.yaml");
  ASSERT_TRUE(nodes) << nodes.error().message;
  ASSERT_EQ(nodes->size(), 4U);
  EXPECT_EQ((*nodes)[0].name, "n1");
  EXPECT_EQ((*nodes)[0].gpus, 6);
  const Node& slices = (*nodes)[1];
  EXPECT_EQ(slices.name, "n1/mig-1g");
  EXPECT_EQ(slices.gpu_type, "mig-1g");
  EXPECT_EQ(slices.gpus, 14);
  EXPECT_EQ(slices.cpus, 48);
  EXPECT_EQ(slices.leaf, "a");
  EXPECT_EQ(slices.labels, std::vector<std::string>{"x"});
  const auto problem = [&](const std::string& text) {
    const auto parsed = ParseTopology(head + text, "t.yaml");
    return parsed ? std::string("none") : parsed.error().message;
  };
  const auto has = [](const std::string& text, const char* what) {
    return text.find(what) != std::string::npos;
  };
  EXPECT_TRUE(has(problem(leaf + part + ", " + part + "]}\n"), "a part of it has this type"));
  EXPECT_TRUE(has(problem(leaf + "{gpu_type: h200, gpus: 1, cpus: 1, memory_mib: 1}]}\n"),
                  "other than theirs"));
  EXPECT_TRUE(has(problem(leaf + "{gpu_type: mig-1g, gpus: 1}]}\n"), "cpus"));
  EXPECT_TRUE(has(problem("  - {name: a, nodes: n1/mig}\n"), "is no host"));
}

TEST(Topology, LevelsAboveBlocks) {
  const std::string levels = "levels: [row, hall]\nleaves:\n";
  const auto nodes = ParseTopology(levels +
                                       "  - {name: a, block: b1, row: r1, hall: h, nodes: n1}\n"
                                       "  - {name: b, block: b2, hall: h, nodes: n2}\n",
                                   "t.yaml");
  ASSERT_TRUE(nodes) << nodes.error().message;
  EXPECT_EQ((*nodes)[0].above, (std::vector<NodeDomain>{{"row", "r1"}, {"hall", "h"}}));
  EXPECT_EQ((*nodes)[1].above, (std::vector<NodeDomain>{{"row", ""}, {"hall", "h"}}));
  const auto problem = [](const std::string& text) {
    const auto parsed = ParseTopology(text, "t.yaml");
    return parsed ? std::string("none") : parsed.error().message;
  };
  EXPECT_NE(problem(levels + "  - {name: a, block: b, row: r1, nodes: n1}\n"
                             "  - {name: c, block: b, row: r2, nodes: n2}\n")
                .find("b is in two places"),
            std::string::npos);
  EXPECT_NE(problem("levels: [block]\nleaves: []\n").find("\"block\" cannot be"),
            std::string::npos);
  EXPECT_NE(problem("levels: [row, row]\nleaves: []\n").find("\"row\" cannot be"),
            std::string::npos);
}

TEST(Topology, ClearanceIsForAllDataUpToIt) {
  auto nodes = ParseTopology(
      "node: {clearance: internal}\n"
      "leaves:\n  - {name: a, nodes: n1}\n  - {name: b, nodes: n2, clearance: secret}\n",
      "t.yaml");
  ASSERT_TRUE(nodes) << nodes.error().message;
  nodes->push_back({.name = "n3"});
  const std::vector<std::string> all = {"open", "internal", "secret"};
  ASSERT_TRUE(ClearNodes(all, &*nodes));
  EXPECT_EQ((*nodes)[0].cleared, (std::vector<std::string>{"open", "internal"}));
  EXPECT_EQ((*nodes)[1].cleared, all);
  EXPECT_EQ((*nodes)[2].cleared, std::vector<std::string>{"open"});
  EXPECT_EQ(ClearNodes({"open"}, &*nodes).error().message,
            "topology: clearance internal of node n1 is not one of classifications");
  EXPECT_FALSE(ClearNodes({}, &*nodes));
}

TEST(Duration, Parses) {
  EXPECT_EQ(ParseDuration("250ms"), 250);
  EXPECT_EQ(ParseDuration("7d"), 7 * kDayMs);
  for (const char* bad : {"", "5", "s", "-1s", "1w", "1.5h", "99999999999d"}) {
    EXPECT_FALSE(ParseDuration(bad)) << bad;
  }
}

}  // namespace
}  // namespace kezek::config
