// Goal: traces are found and read, plain or packed, whole or not at all; what is written of a
// comparison is complete. On the traces of real clusters, where they are (KEZEK_TRACES, else
// ../shared/traces; skipped where not), the baselines come to what others have measured. Method:
// small files in a temporary folder; JSON read back; figures of an independent simulator.

#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cmd/kezek-sim/comparison.h"
#include "cmd/kezek-sim/read_trace.h"
#include "scheduler/sim/replay/figures.h"
#include "scheduler/sim/replay/policies.h"
#include "scheduler/sim/replay/replay.h"
#include "scheduler/sim/replay/trace.h"

namespace kezek::simcmd {
namespace {

namespace fs = std::filesystem;

class SimCliTest : public ::testing::Test {
 protected:
  SimCliTest() {
    folder_ = fs::temp_directory_path() / ("kezek-sim-test-" + std::to_string(getpid()));
    fs::create_directories(folder_);
  }
  ~SimCliTest() override { fs::remove_all(folder_); }

  std::string Path(const std::string& name) const { return (folder_ / name).string(); }
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name), std::ios::binary) << text;
  }
  void WritePacked(const std::string& name, const std::string& text) const {
    gzFile const file = gzopen(Path(name).c_str(), "wb");
    gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
    gzclose(file);
  }

  fs::path folder_;
};

TEST_F(SimCliTest, ReadsPlainAndPackedFiles) {
  const std::string text(300'000, 'x');
  Write("plain.csv", text);
  WritePacked("packed.csv.gz", text);
  EXPECT_EQ(ReadFile(Path("plain.csv")).value(), text);
  EXPECT_EQ(ReadFile(Path("packed.csv.gz")).value(), text);
}

TEST_F(SimCliTest, RefusesFilesThatAreCutOffOrAbsent) {
  std::string text;
  for (int i = 0; i < 50'000; ++i) text += std::to_string(i * 7919) + ",";
  WritePacked("whole.gz", text);
  fs::copy(Path("whole.gz"), Path("cut.gz"));
  fs::resize_file(Path("cut.gz"), fs::file_size(Path("cut.gz")) / 2);
  const auto cut = ReadFile(Path("cut.gz"));
  ASSERT_FALSE(cut);
  EXPECT_EQ(cut.error().code, Code::kDataLoss);
  const auto absent = ReadFile(Path("absent.gz"));
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().message, Path("absent.gz") + ": No such file or directory");
}

TEST_F(SimCliTest, FindsTracesByNameAndPath) {
  Write("a.csv.gz", "x");
  Write("b.csv", "x");
  EXPECT_EQ(FindTrace("a", folder_.string()).value(), Path("a.csv.gz"));
  EXPECT_EQ(FindTrace("b", folder_.string()).value(), Path("b.csv"));
  EXPECT_EQ(FindTrace(Path("b.csv"), "/nowhere").value(), Path("b.csv"));
  const auto none = FindTrace("c", folder_.string());
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().message, "no trace 'c': neither a file nor below " + folder_.string() +
                                      " (KEZEK_TRACES); there are a, b");
}

Comparison Small() {
  const auto rows = replay::ParseTrace(
                        "submit_s,duration_s,gpus,vc,queue_delay_s\n0,100,8,<a>,1\n5,50,1,b,2\n"
                        "6,10,4,b,3\n")
                        .value();
  Comparison comparison{.trace = "small",
                        .estimates = "oracle",
                        .seed = 1,
                        .list = replay::MakeJobList(rows, {.capacity_gpus = 8}).value(),
                        .policies = {}};
  for (const replay::NamedPolicy& named : replay::Policies()) {
    const std::string name(named.name);
    const auto policy = replay::MakePolicy(name, comparison.list, {});
    comparison.policies.push_back(
        replay::Summarise(name, comparison.list, replay::Replay(comparison.list, *policy)));
    comparison.policies.back().parameters = policy->Parameters();
  }
  return comparison;
}

TEST_F(SimCliTest, JsonHasEveryFigureOfEveryPolicy) {
  const Comparison comparison = Small();
  const auto json = nlohmann::json::parse(JsonText(comparison));
  ASSERT_EQ(json["policies"].size(), replay::Policies().size());
  for (const auto& policy : json["policies"]) {
    for (const char* const figure : {"policy",
                                     "jobs",
                                     "mean_wait_s",
                                     "p50_wait_s",
                                     "p90_wait_s",
                                     "p99_wait_s",
                                     "longest_wait_s",
                                     "mean_completion_s",
                                     "bounded_slowdown",
                                     "utilisation",
                                     "fragmentation_gpu_hours",
                                     "preemptions",
                                     "gpu_hours_lost",
                                     "share_error",
                                     "jain",
                                     "tick_ms_p50",
                                     "tick_ms_p99",
                                     "by_size",
                                     "by_group",
                                     "parameters"}) {
      EXPECT_TRUE(policy.contains(figure)) << policy["policy"] << " has no " << figure;
    }
  }
  const auto& fifo = json["policies"][0];
  EXPECT_EQ(fifo["policy"], "fifo");
  EXPECT_EQ(fifo["jobs"], 3);
  EXPECT_NEAR(fifo["mean_wait_s"].get<double>(), (0 + 95 + 94) / 3.0, 1e-9);
  EXPECT_EQ(fifo["by_group"].size(), 2U);
  EXPECT_EQ(fifo["by_size"][0]["gpus"], "1");
}

TEST_F(SimCliTest, TablesAndPlotsNameEveryPolicy) {
  const Comparison comparison = Small();
  const std::string table = TableText(comparison);
  for (const std::string& text : {table, WaitPlot(comparison), UtilisationPlot(comparison)}) {
    for (const replay::NamedPolicy& named : replay::Policies()) {
      EXPECT_NE(text.find(named.name), std::string::npos) << named.name << " in\n" << text;
    }
  }
  EXPECT_NE(table.find("PriorityWeightFairshare=10000"), std::string::npos);
  EXPECT_NE(table.find("3 of them waited 2 s on average"), std::string::npos);
}

// --- Real traces ---

std::string TraceFolder() {
  for (const char* const name : {"KEZEK_TRACES", "KEZEK_SOURCE_DIR"}) {
    const char* const value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    return std::string(name) == "KEZEK_TRACES" ? value : std::string(value) + "/../shared/traces";
  }
  return "../shared/traces";
}

// Of one policy, or the test is skipped.
class RealTraceTest : public ::testing::Test {
 protected:
  void Read(const std::string& name, const replay::ListOptions& options) {
    const auto path = FindTrace(name, TraceFolder());
    if (!path) GTEST_SKIP() << path.error().message;
    const auto rows = replay::ParseTrace(ReadFile(*path).value());
    ASSERT_TRUE(rows) << rows.error().message;
    list_ = replay::MakeJobList(*rows, options).value();
  }
  replay::Figures By(const std::string& policy) const {
    const auto scheduler = replay::MakePolicy(policy, list_, {});
    return replay::Summarise(policy, list_, replay::Replay(list_, *scheduler));
  }

  replay::JobList list_;
};

TEST_F(RealTraceTest, PhillyIsAsTheHeliosSimulatorSaysIt) {
  Read("philly", {.capacity_gpus = 2816,
                  .from_s = 4'062'780,
                  .until_s = 9'333'120,
                  .group_nodes = {{"6214e9", 64},
                                  {"7f04ca", 32},
                                  {"11cb48", 16},
                                  {"b436b2", 64},
                                  {"ee9e8c", 64},
                                  {"e13805", 16},
                                  {"6c71a0", 32},
                                  {"2869ce", 16},
                                  {"ed69ec", 8},
                                  {"103959", 8},
                                  {"0e4a51", 32}},
                  .split = true});
  if (IsSkipped()) return;
  EXPECT_EQ(list_.jobs.size(), 88'470U);
  const replay::Figures fifo = By("fifo");
  EXPECT_NEAR(fifo.all.mean_s, 3704, 3704 * 0.05);
  EXPECT_NEAR(fifo.all.mean_completion_s, 27'134, 27'134 * 0.01);
  EXPECT_NEAR(fifo.jain, 0.877, 0.005);
  EXPECT_NEAR(By("qssf").all.mean_s, 1399, 1399 * 0.05);
  // Of a small independent check.
  EXPECT_NEAR(By("easy").all.mean_s, 1724, 1724 * 0.02);
  EXPECT_NEAR(By("sjf-oracle").all.mean_s, 869, 869 * 0.02);
}

TEST_F(RealTraceTest, ThetaWithUsersLimits) {
  Read("alcf_theta", {.capacity_gpus = 4392, .estimates = replay::Estimates::kUser});
  if (IsSkipped()) return;
  EXPECT_EQ(list_.gpus_per_node, 1);
  EXPECT_NEAR(By("easy").all.mean_s, 15'289, 15'289 * 0.05);
}

}  // namespace
}  // namespace kezek::simcmd
