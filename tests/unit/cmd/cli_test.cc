// Goal: what the command line prints and reads is right in the corners that transcripts do not
// reach: lengths, moments and sizes, YAML that reads back as the JSON it came from, configuration
// files that are wrong, the order in which flag, environment and file override each other, the
// environment of a job, quoting for the shell. Method: tables and files in a folder of its own.

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "cmd/kezek/context.h"
#include "cmd/kezek/output.h"
#include "cmd/kezek/render.h"
#include "cmd/kezek/spec.h"
#include "script/values.h"

namespace kezek::cli {
namespace {

constexpr std::int64_t kNowMs = 1'795'246'200'000;  // 2026-11-21 12:30 at UTC+5
constexpr std::int64_t kHour = 3'600'000;

Host HostAt(std::int64_t now_ms) {
  Host host;
  host.now_ms = [now_ms] { return now_ms; };
  host.directory = "/home/aizhan";
  return host;
}

TEST(RenderTest, LengthsOfTime) {
  const std::vector<std::pair<std::int64_t, std::string>> lengths = {
      {0, "0 s"},           {90'000, "1 min 30 s"}, {30 * 60'000, "30 min"},  {12 * kHour, "12 h"},
      {36 * kHour, "36 h"}, {48 * kHour, "2 d"},    {90 * kHour, "3 d 18 h"},
  };
  for (const auto& [ms, text] : lengths) EXPECT_EQ(Length(ms), text);
  EXPECT_EQ(Elapsed(42 * 60'000), "0:42");
  EXPECT_EQ(Elapsed(10 * kHour + 12 * 60'000), "10:12");
  EXPECT_EQ(Elapsed(76 * kHour + 5 * 60'000), "3-04:05");
  EXPECT_EQ(Elapsed(-5), "0 s");
  EXPECT_EQ(Elapsed(59'999), "59 s");
}

TEST(RenderTest, MomentsNameTheDayOnlyWhereItIsNotToday) {
  ASSERT_EQ(setenv("TZ", "<+05>-5", 1), 0);
  tzset();
  const Host host = HostAt(kNowMs);
  EXPECT_EQ(Moment(host, 0), "");
  EXPECT_EQ(Moment(host, kNowMs + 2 * kHour), "14:30");
  EXPECT_EQ(Moment(host, kNowMs + 24 * kHour), "tomorrow 12:30");
  EXPECT_EQ(Moment(host, kNowMs + 72 * kHour), "24 Nov 12:30");
  EXPECT_EQ(Moment(host, kNowMs + 100 * 24 * kHour), "1 Mar 2027 12:30");
  EXPECT_EQ(ExactMoment(kNowMs), "2026-11-21 12:30:00");
}

TEST(RenderTest, Quantities) {
  EXPECT_EQ(Gpus(8000), "8");
  EXPECT_EQ(Gpus(1125), "1.125");
  EXPECT_EQ(Gpus(500), "0.5");
  EXPECT_EQ(GpuHours(std::int64_t{3'210'500} * 3'600'000), "3,210.5");
  EXPECT_EQ(GpuHours(std::int64_t{-500} * 3'600'000), "-0.5");
  EXPECT_EQ(GpuHours(std::int64_t{-1'012'500} * 3'600'000), "-1,012.5");
  EXPECT_EQ(GpuHours(std::int64_t{83} * 3'600'000), "0.083");
  EXPECT_EQ(GpuHours(std::int64_t{9'250} * 3'600'000), "9.25");
  EXPECT_EQ(GpuHours(std::int64_t{10'250} * 3'600'000), "10.2");
  EXPECT_EQ(GpuHours(0), "0.0");
  EXPECT_EQ(Thousands(-1'234'567), "-1,234,567");
  EXPECT_EQ(Thousands(123), "123");
  EXPECT_EQ(Memory(512), "512 MiB");
  EXPECT_EQ(Memory(64 * 1024), "64 GiB");
  EXPECT_EQ(Memory(1536 * 1024), "1.5 TiB");
  EXPECT_EQ(Percent(381'000), "38.1 %");
  EXPECT_EQ(Percent(1'000'000), "100.0 %");
  EXPECT_EQ(Count(1, "job"), "1 job");
  EXPECT_EQ(Count(1200, "job"), "1,200 jobs");
  EXPECT_EQ(Width("32 (4×8)"), 8U);
  EXPECT_EQ(Width("\x1b[32mrun\x1b[0m"), 3U);
}

TEST(OutputTest, YamlReadsBackAsTheSameTexts) {
  const std::string json = R"({"plain":"normal","number":"12","yes":"yes","empty":"","no":null,
    "colon":"a: b","dash":"- x","hash":"a #b","lines":"a\nb\t\"c\\","n":5,"b":true,"list":[],
    "map":{},"deep":[{"a":[1,[2,"3"]]},"x"],"қазақ":"тіл"})";
  const YAML::Node from = YAML::Load(json);
  const YAML::Node back = YAML::Load(YamlFromJson(json));
  for (const auto& entry : from) {
    const std::string key = entry.first.Scalar();
    ASSERT_TRUE(back[key].IsDefined()) << key;
    if (!entry.second.IsScalar()) continue;
    EXPECT_EQ(back[key].Scalar(), entry.second.Scalar()) << key;
  }
  // What was a text in JSON is quoted where YAML would take it for something else.
  const std::string yaml = YamlFromJson(json);
  EXPECT_NE(yaml.find("number: \"12\"\n"), std::string::npos) << yaml;
  EXPECT_NE(yaml.find("\"yes\": \"yes\"\n"), std::string::npos) << yaml;
  EXPECT_NE(yaml.find("plain: normal\n"), std::string::npos) << yaml;
  EXPECT_NE(yaml.find("n: 5\n"), std::string::npos) << yaml;
  EXPECT_EQ(back["deep"][0]["a"][1][1].Scalar(), "3");
}

class ContextTest : public testing::Test {
 protected:
  ContextTest()
      : folder_(std::filesystem::temp_directory_path() /
                ("kezek-context-" + std::to_string(getpid()))),
        host_(HostAt(kNowMs)) {
    std::filesystem::create_directories(folder_);
    host_.environment["HOME"] = folder_.string();
  }
  ~ContextTest() override { std::filesystem::remove_all(folder_); }

  std::string Write(const std::string& text) {
    const std::string path = (folder_ / "config.yaml").string();
    std::ofstream(path) << text;
    std::filesystem::permissions(path, std::filesystem::perms(0600));
    return path;
  }

  std::filesystem::path folder_;
  Host host_;
};

TEST_F(ContextTest, WrongFilesAreRefusedWithTheirLine) {
  const std::vector<std::pair<std::string, std::string>> table = {
      {"current: a\ncolour: red\n", "line 2: unknown or misplaced key 'colour'"},
      {"contexts:\n  a:\n    endpoint: x\n    tokn: y\n", "line 4: unknown key 'tokn'"},
      {"contexts:\n  a: 5\n", "line 2: a context is a mapping of keys"},
      {"contexts:\n  a:\n    token: [1]\n", "line 3: token: not a text"},
      {"contexts: {a: {\n", "line 2: "},
      {"- x\n", "line 1: expected the keys current and contexts"},
  };
  for (const auto& [text, message] : table) {
    const Result<Configuration> loaded = LoadConfiguration(Write(text));
    ASSERT_FALSE(loaded) << text;
    EXPECT_EQ(loaded.error().code, Code::kInvalidArgument);
    EXPECT_NE(loaded.error().message.find(message), std::string::npos) << loaded.error().message;
  }
}

TEST_F(ContextTest, FlagOverridesEnvironmentOverridesFile) {
  const std::string token = (folder_ / "token").string();
  std::ofstream(token) << "from-file\n";
  std::filesystem::permissions(token, std::filesystem::perms(0600));
  const std::string path =
      Write("current: a\ncontexts:\n  a: {endpoint: 'h:1', project: p}\n" +
            std::string("  b: {endpoint: 'h:2', token_file: ") + token + "}\n");
  ContextFlags flags;
  flags.config = path;
  Result<Context> context = ResolveContext(host_, flags);
  ASSERT_TRUE(context);
  EXPECT_EQ(context->endpoint, "h:1");
  EXPECT_EQ(context->project, "p");
  host_.environment["KEZEK_CONTEXT"] = "b";
  context = ResolveContext(host_, flags);
  ASSERT_TRUE(context);
  EXPECT_EQ(context->endpoint, "h:2");
  EXPECT_EQ(context->token, "from-file");
  host_.environment["KEZEK_ENDPOINT"] = "h:3";
  host_.environment["KEZEK_TOKEN"] = "from-environment";
  context = ResolveContext(host_, flags);
  ASSERT_TRUE(context);
  EXPECT_EQ(context->endpoint, "h:3");
  EXPECT_EQ(context->token, "from-environment");
  flags.endpoint = "h:4";
  flags.context = "a";
  context = ResolveContext(host_, flags);
  ASSERT_TRUE(context);
  EXPECT_EQ(context->endpoint, "h:4");
  flags.context = "c";
  EXPECT_EQ(ResolveContext(host_, flags).error().code, Code::kNotFound);
}

TEST_F(ContextTest, WithoutAFileTheDefaultsHold) {
  host_.environment["KEZEK_SITE_CONFIG"] = (folder_ / "none").string();
  const Result<Context> context = ResolveContext(host_, {});
  ASSERT_TRUE(context);
  EXPECT_EQ(context->endpoint, "127.0.0.1:7443");
  EXPECT_EQ(ConfigurationPath(host_, {}), folder_.string() + "/.config/kezek/config.yaml");
}

TEST_F(ContextTest, TheSiteSaysTheEndpointToWhoSaysNone) {
  host_.environment["KEZEK_SITE_CONFIG"] =
      Write("endpoint: 'site:1'\nca_file: /site.crt\ntoken: shared\n");
  Result<Context> context = ResolveContext(host_, {});
  ASSERT_TRUE(context) << context.error().message;
  EXPECT_EQ(context->endpoint, "site:1");
  EXPECT_EQ(context->ca_file, "/site.crt");
  EXPECT_EQ(context->token, "") << "a token is nobody's but a user's";
  ContextFlags flags;
  flags.endpoint = "mine:2";
  context = ResolveContext(host_, flags);
  ASSERT_TRUE(context);
  EXPECT_EQ(context->endpoint, "mine:2");
  EXPECT_EQ(context->ca_file, "");
  host_.environment["KEZEK_SITE_CONFIG"] = Write("endpont: 'site:1'\n");
  EXPECT_EQ(ResolveContext(host_, {}).error().code, Code::kInvalidArgument);
}

TEST_F(ContextTest, WhatIsSavedIsReadBackAndPrivate) {
  Configuration configuration;
  configuration.current = "demo";
  configuration.contexts["demo"] = {"h:1", "to\"ken: #1", "", "p/q", ""};
  const std::string path = (folder_ / "deep" / "er" / "config.yaml").string();
  ASSERT_TRUE(SaveConfiguration(path, configuration));
  const Result<Configuration> loaded = LoadConfiguration(path);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->current, "demo");
  EXPECT_EQ(loaded->contexts, configuration.contexts);
  struct stat status = {};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST(SpecTest, EnvironmentFollowsExport) {
  Host host = HostAt(kNowMs);
  host.environment = {{"A", "1"}, {"B", "2"}, {"KEZEK_TOKEN", "secret"}, {"BAD", "\xff"}};
  Draft draft;
  Result<MadeSpec> made = MakeSpec(draft, host);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->spec.environment_size(), 3);  // neither the token nor what is no text
  EXPECT_EQ(made->spec.environment().at("SLURM_PRIO_PROCESS"), "0");
  ASSERT_EQ(made->warnings.size(), 1U);
  EXPECT_NE(made->warnings[0].find("BAD"), std::string::npos);
  draft.options.environment = {*script::ParseExport("B,C,D=4"), {}, ""};
  made = MakeSpec(draft, host);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->spec.environment().at("B"), "2");
  EXPECT_EQ(made->spec.environment().at("D"), "4");
  EXPECT_EQ(made->spec.environment_size(), 5);
  EXPECT_EQ(made->spec.environment().at("SLURM_GET_USER_ENV"), "1") << "the login's goes beneath";
  // How much is too much is the server's to say.
  host.environment["BIG"] = std::string(std::size_t{3} << 20, 'x');
  draft.options.environment.reset();
  made = MakeSpec(draft, host);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->spec.environment().at("BIG").size(), std::size_t{3} << 20);
}

TEST(SpecTest, PathsAreAbsoluteAndBelowTheWorkingDirectory) {
  Draft draft;
  draft.options.working_directory = {"sub", {}, ""};
  draft.options.output = {"logs/%j", {}, ""};
  draft.options.error = {"/var/err", {}, ""};
  const Result<MadeSpec> made = MakeSpec(draft, HostAt(kNowMs));
  ASSERT_TRUE(made);
  EXPECT_EQ(made->spec.working_dir(), "/home/aizhan/sub");
  EXPECT_EQ(made->spec.stdout_path(), "/home/aizhan/sub/logs/%j");
  EXPECT_EQ(made->spec.stderr_path(), "/var/err");
}

TEST(SpecTest, ARangeOfNodesIsTakenByItsLowerEndAndSaid) {
  Draft draft;
  draft.file = "t.sh";
  draft.options.nodes = {{2, 4}, {script::Source::kSbatch, 3}, "-N 2-4"};
  const Result<MadeSpec> made = MakeSpec(draft, HostAt(kNowMs));
  ASSERT_TRUE(made);
  EXPECT_EQ(made->spec.shape().nodes(), 2);
  ASSERT_EQ(made->warnings.size(), 1U);
  EXPECT_EQ(made->warnings[0],
            "t.sh line 3: #SBATCH -N 2-4: a job has one size here: 2 nodes are asked for");
}

TEST(SpecTest, NoNodeIsWithoutATask) {
  Draft draft;
  draft.file = "t.sh";
  draft.options.nodes = {{4, 4}, {script::Source::kFlag, 0}, "-N 4"};
  draft.options.ntasks = {2, {script::Source::kSbatch, 3}, "-n 2"};
  const Result<MadeSpec> made = MakeSpec(draft, HostAt(kNowMs));
  ASSERT_TRUE(made);
  EXPECT_EQ(made->spec.shape().nodes(), 2);
  ASSERT_EQ(made->warnings.size(), 1U);
  EXPECT_EQ(made->warnings[0], "-N 4: 2 tasks cannot be on more nodes than that: 2 are asked for");
}

TEST(SpecTest, ErrorsOfSeveralFieldsKeepTheirPlaces) {
  Draft draft;
  draft.file = "t.sh";
  draft.options.nodes = {{9, 9}, {script::Source::kKezek, 4}, "-N 9"};
  Error error{Code::kInvalidArgument,
              "two things",
              {{"spec.shape.nodes", "X", "too many", {}}, {"spec.comment", "X", "too long", {}}}};
  const Error located = Located(error, draft);
  EXPECT_EQ(located.details[0].field, "t.sh line 4: #KEZEK -N 9");
  EXPECT_EQ(located.details[1].field, "spec.comment");
}

TEST(SpecTest, ShellQuoting) {
  EXPECT_EQ(ShellQuoted("it's $HOME"), "'it'\\''s $HOME'");
  EXPECT_EQ(ShellQuoted(""), "''");
}

}  // namespace
}  // namespace kezek::cli
