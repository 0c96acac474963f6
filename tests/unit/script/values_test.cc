// Goal: every form of a value that Slurm's manual or Kezek's own names becomes the right number.
// Method: tables of text and meaning; what sbatch 22.05 makes of the same text was looked up once.

#include "script/values.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

namespace kezek::script {
namespace {

constexpr std::int64_t kSecond = 1000;
constexpr std::int64_t kMinute = 60 * kSecond;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kDay = 24 * kHour;

TEST(ValuesTest, DurationsInAllForms) {
  const std::vector<std::pair<std::string, std::int64_t>> table = {
      {"90", 90 * kMinute},
      {"5:30", 5 * kMinute + 30 * kSecond},
      {"1:70:99", kHour + 70 * kMinute + 99 * kSecond},
      {"2-0", 2 * kDay},
      {"1-2", kDay + 2 * kHour},
      {"1-2:03", kDay + 2 * kHour + 3 * kMinute},
      {"1-02:03:04", kDay + 2 * kHour + 3 * kMinute + 4 * kSecond},
      {"30m", 30 * kMinute},
      {"12h", 12 * kHour},
      {"2d", 2 * kDay},
      {"90s", 90 * kSecond},
      {"1h30m", 90 * kMinute},
      {"1D12H", 36 * kHour},
  };
  for (const auto& [text, expected] : table) {
    const Result<std::int64_t> parsed = ParseDuration(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(*parsed, expected) << text;
  }
}

TEST(ValuesTest, MemoryIsMibRoundedUp) {
  const std::vector<std::pair<std::string, std::int64_t>> table = {
      {"512", 512}, {"4G", 4096}, {"4GB", 4096}, {"1T", 1 << 20},
      {"1K", 1},    {"1025k", 2}, {"0", 0},      {"7m", 7},
  };
  for (const auto& [text, expected] : table) {
    const Result<Memory> parsed = ParseMemory(text);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(parsed->mib, expected) << text;
  }
}

TEST(ValuesTest, NodesAndGpus) {
  EXPECT_EQ(*ParseNodes("4"), (NodeRange{4, 4}));
  EXPECT_EQ(*ParseNodes("2-4"), (NodeRange{2, 4}));
  EXPECT_EQ(*ParseNodes("1k"), (NodeRange{1024, 1024}));
  EXPECT_EQ(*ParseGpus("8"), (GpuCount{"", 8}));
  EXPECT_EQ(*ParseGpus("h200-1g.18gb:2"), (GpuCount{"h200-1g.18gb", 2}));
  EXPECT_EQ(*ParseGpus("0"), (GpuCount{"", 0}));
  EXPECT_EQ(*ParseGres("gpu"), (GpuCount{"", 1}));
  EXPECT_EQ(*ParseGres("gpu:4"), (GpuCount{"", 4}));
  EXPECT_EQ(*ParseGres("gpu:h200"), (GpuCount{"h200", 1}));
  EXPECT_EQ(*ParseGres("gres:gpu:h200:4"), (GpuCount{"h200", 4}));
  EXPECT_EQ(*ParseGres("none"), (GpuCount{"", 0}));
}

TEST(ValuesTest, Arrays) {
  const Result<ArraySpec> array = ParseArray("0-15,20-30:2%4");
  ASSERT_TRUE(array);
  EXPECT_EQ(array->max_running, 4);
  EXPECT_EQ(array->ranges, (std::vector<ArrayRange>{{0, 15, 1}, {20, 30, 2}}));
  EXPECT_EQ(FormatIndices(*array), "0-15,20-30:2");
  EXPECT_EQ(FormatIndices(*ParseArray("9,3-5,4,1")), "1,3-5,9");
  EXPECT_EQ(FormatIndices(*ParseArray("7")), "7");
  EXPECT_EQ(FormatIndices(*ParseArray("0-9:4")), "0-8:4");
  EXPECT_EQ(ParseArray("0-9:4")->ranges[0].last, 8);
}

TEST(ValuesTest, DependenciesAndSignals) {
  const Result<std::vector<Dependency>> list =
      ParseDependencies("afterok:1:2,afterany:3_4,after:5+10,afternotok:6");
  ASSERT_TRUE(list);
  ASSERT_EQ(list->size(), 5U);
  EXPECT_EQ((*list)[1], (Dependency{DependencyKind::kAfterOk, 2, std::nullopt, 0}));
  EXPECT_EQ((*list)[2], (Dependency{DependencyKind::kAfterAny, 3, 4, 0}));
  EXPECT_EQ((*list)[3], (Dependency{DependencyKind::kAfter, 5, std::nullopt, 10 * kMinute}));
  EXPECT_EQ((*list)[4].kind, DependencyKind::kAfterNotOk);
  EXPECT_EQ(*ParseSignal("USR1"), (SignalSpec{"USR1", 60, false}));
  EXPECT_EQ(*ParseSignal("B:SIGUSR1@120"), (SignalSpec{"USR1", 120, true}));
  EXPECT_EQ(*ParseSignal("10@5"), (SignalSpec{"USR1", 5, false}));
  EXPECT_EQ(*ParseSignal("term"), (SignalSpec{"TERM", 60, false}));
}

TEST(ValuesTest, Environment) {
  EXPECT_EQ(*ParseExport("ALL"), (ExportSpec{true, {}, {}}));
  EXPECT_EQ(*ParseExport("none"), (ExportSpec{false, {}, {}}));
  EXPECT_EQ(*ParseExport("A,B=2"), (ExportSpec{false, {"A"}, {{"B", "2"}}}));
  EXPECT_EQ(*ParseExport("ALL,X='a,b=c'"), (ExportSpec{true, {}, {{"X", "a,b=c"}}}));
}

TEST(ValuesTest, HostsAndLabels) {
  EXPECT_EQ(*ParseHostList("n[01-03,10],x1"),
            (std::vector<std::string>{"n01", "n02", "n03", "n10", "x1"}));
  EXPECT_EQ(*ParseHostList("r[1-2]-gpu"), (std::vector<std::string>{"r1-gpu", "r2-gpu"}));
  EXPECT_EQ(*ParseConstraints("nvme&ib400,a100x"),
            (std::vector<std::string>{"nvme", "ib400", "a100x"}));
}

TEST(ValuesTest, MomentsInTheLocalZone) {
  ASSERT_EQ(setenv("TZ", "UTC-5", 1), 0);  // five hours ahead of UTC
  tzset();
  const std::int64_t zone = 5 * kHour;
  const std::int64_t midnight = 1'795'046'400'000 - zone;  // 2026-11-19T00:00 there
  const std::int64_t now = midnight + 12 * kHour;
  const std::vector<std::pair<std::string, std::int64_t>> table = {
      {"now", now},
      {"now+60", now + kMinute},
      {"now+90minutes", now + 90 * kMinute},
      {"now+1hour", now + kHour},
      {"now+2days", now + 2 * kDay},
      {"now+1week", now + 7 * kDay},
      {"16:00", midnight + 16 * kHour},
      {"08:00", midnight + kDay + 8 * kHour},
      {"4:30pm", midnight + 16 * kHour + 30 * kMinute},
      {"12:05AM", midnight + kDay + 5 * kMinute},
      {"noon", midnight + kDay + 12 * kHour},
      {"teatime", midnight + 16 * kHour},
      {"midnight", midnight + kDay},
      {"today", midnight},
      {"tomorrow", midnight + kDay},
      {"tomorrowT08:00", midnight + kDay + 8 * kHour},
      {"2026-11-20", midnight + kDay},
      {"2026-11-20T08:00:30", midnight + kDay + 8 * kHour + 30 * kSecond},
      {"11/20/26", midnight + kDay},
      {"11.20.26", midnight + kDay},
      {"112026", midnight + kDay},
      {"11/20", midnight + kDay},
  };
  for (const auto& [text, expected] : table) {
    const Result<std::int64_t> parsed = ParseMoment(text, now);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(*parsed, expected) << text;
  }
}

}  // namespace
}  // namespace kezek::script
