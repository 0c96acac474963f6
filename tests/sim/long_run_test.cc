// Goal: over days of full queues every account and user holds on average what it is entitled to,
// and the judge of that can fail. Method: the long run of `kezek-sim shares` on a tree small enough
// for every build, by seed: each line within what is allowed, twice the same; then the same run
// with an engine that is told other weights, or no guarantees, than those it is judged by.

#include "scheduler/sim/long_run.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace kezek::sim {
namespace {

LongRunOptions Small(std::uint64_t seed) {
  LongRunOptions options;
  options.seed = seed;
  options.sizes = {
      .sectors = 2, .institutions = 3, .projects = 2, .users = 2, .rows = 2, .largest_job = 4};
  options.gpus = 400;
  options.days = 3;
  return options;
}

std::string LineText(const ShareLine& line) {
  return line.path + " entitled " + std::to_string(line.entitled_milli) + " holds " +
         std::to_string(line.allocated_milli) + " allowed " + std::to_string(line.allowed_milli) +
         "\n";
}

// The lines outside.
std::string Outside(const LongRunResult& result) {
  std::string text;
  for (const ShareLine& line : result.lines) {
    if (!line.within()) text += LineText(line);
  }
  return text;
}

std::string Text(const LongRunResult& result) {
  std::string text = std::to_string(result.jobs) + " jobs\n";
  for (const ShareLine& line : result.lines) text += LineText(line);
  return text;
}

TEST(LongRunTest, EveryAccountAndUserHoldsWhatItIsEntitledTo) {
  for (const std::uint64_t seed : {1U, 2U}) {
    const LongRunResult result = RunLong(Small(seed));
    EXPECT_EQ(result.lines.size(), 2U + 6U + 12U + 24U);
    EXPECT_EQ(result.samples, 2 * 24 * 60);
    EXPECT_GT(result.jobs, 5'000);
    EXPECT_GT(result.allocated_milli, 395'000) << "the machine is not full";
    EXPECT_EQ(Outside(result), "") << "seed " << seed;
  }
}

TEST(LongRunTest, IsTheSameTwice) {
  LongRunOptions options = Small(3);
  options.days = 2;
  EXPECT_EQ(Text(RunLong(options)), Text(RunLong(options)));
}

TEST(LongRunTest, AnEngineThatIgnoresWeightsIsFoundOutside) {
  LongRunOptions options = Small(1);
  options.days = 2;
  options.mistell = [](Directory& directory) {
    for (auto& [id, account] : directory.accounts) {
      for (auto& [type, share] : account.settings.shares) share.weight_milli = 1000;
    }
  };
  EXPECT_NE(Outside(RunLong(options)), "");
}

TEST(LongRunTest, AnEngineThatIgnoresGuaranteesIsFoundOutside) {
  LongRunOptions options = Small(1);
  options.days = 2;
  options.mistell = [](Directory& directory) {
    for (auto& [id, account] : directory.accounts) {
      for (auto& [type, share] : account.settings.shares) share.guarantee_milli = 0;
    }
  };
  EXPECT_NE(Outside(RunLong(options)), "");
}

}  // namespace
}  // namespace kezek::sim
