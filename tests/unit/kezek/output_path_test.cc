// Goal: a job's output is where sbatch would put it, by names that Kezek knows. Method: patterns
// and the paths they become, most of them tried with sbatch 22.05.
#include "kezek/output_path.h"

#include <gtest/gtest.h>

namespace kezek {
namespace {

OutputNames NamesOf(std::int32_t element) {
  return {.attempt = {{JobId{48}, element}, 2},
          .job_name = "nm",
          .unix_account = "kz-a",
          .node = "n07",
          .node_index = 1,
          .task = 12};
}

TEST(OutputPath, SymbolsAreReplaced) {
  const OutputNames job = NamesOf(kNoElement);
  const struct {
    const char* pattern;
    const char* path;
  } kCases[] = {
      {"o-%A-%j-%J-%a", "o-48-48-48-0"},
      {"%x-%u-%N-%n-%t-%s", "nm-kz-a-n07-1-12-batch"},
      {"%4j-%06t-%3n", "0048-000012-001"},
      {"%1A-%12j-%99999999999999999999t", "48-0000000048-0000000012"},
      {"%4x-%12u-%8N-%5s", "nm-kz-a-n07-batch"},
      {"50%%j", "50%j"},
      {"%%4j-%%%j", "%4j-%48"},
      {"%z-%5z-%5", "%z-%5z-%5"},
      {"%", "%"},
      {R"(d\%j)", "d%j"},
      {R"(e\\%j)", R"(e\%j)"},
      {R"(f%%-\%j\)", "f%%-%j"},
  };
  for (const auto& [pattern, path] : kCases) EXPECT_EQ(ExpandOutputPath(pattern, job), path);
}

TEST(OutputPath, AnElementHasItsOwnNumber) {
  const OutputNames element = NamesOf(7);
  EXPECT_EQ(ExpandOutputPath("%A_%a", element), "48_7");
  EXPECT_EQ(ExpandOutputPath("%5A_%4a", element), "00048_0007");
  EXPECT_EQ(ExpandOutputPath("%j-%9j", element), "48_7-48_7");
}

TEST(OutputPath, FilesOfEachTaskAreTold) {
  for (const char* pattern : {"o-%t", "o-%3t", "%j-%N", "%%%02n"}) {
    EXPECT_TRUE(IsForEachTask(pattern)) << pattern;
  }
  for (const char* pattern : {"", "out", "%j", "%%t", "%%3t", "%3", R"(\o-%t)"}) {
    EXPECT_FALSE(IsForEachTask(pattern)) << pattern;
  }
}

}  // namespace
}  // namespace kezek
