// Goal: an answer about 10,000 jobs, 78 MB, is read with little memory beside its text.
// Method: the recorded job of v0.0.42 with more cores, as often as that; what is allocated is
// counted.
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <nlohmann/json.hpp>
#include <string>

#include "slurm/codec.h"
#include "tests/unit/slurm/fixture.h"

namespace {

std::atomic<std::size_t> allocated{0};
std::atomic<std::size_t> most{0};

void* Allocate(std::size_t size) {
  void* block = std::malloc(size);
  if (block == nullptr) throw std::bad_alloc();
  const std::size_t now = allocated += malloc_usable_size(block);
  if (now > most) most = now;
  return block;
}

void Release(void* block) {
  if (block != nullptr) allocated -= malloc_usable_size(block);
  std::free(block);
}

}  // namespace

void* operator new(std::size_t size) { return Allocate(size); }
void* operator new[](std::size_t size) { return Allocate(size); }
void operator delete(void* block) noexcept { Release(block); }
void operator delete[](void* block) noexcept { Release(block); }
void operator delete(void* block, std::size_t) noexcept { Release(block); }
void operator delete[](void* block, std::size_t) noexcept { Release(block); }

namespace kezek::slurm {
namespace {

constexpr std::size_t kJobs = 10'000;
constexpr std::size_t kTextMin = 78'000'000;
constexpr std::size_t kBesideMax = std::size_t{32} << 20;

std::string LongAnswer() {
  auto answer = nlohmann::json::parse(Record("24.11/07-job-running").body);
  auto job = answer["jobs"][0];
  for (auto& node : job["job_resources"]["nodes"]["allocation"]) {
    auto& cores = node["sockets"][0]["cores"];
    while (cores.size() < 42) cores.push_back(cores[0]);
  }
  const std::string one = job.dump();
  std::string text = R"({"errors":[],"warnings":[],"jobs":[)";
  text.reserve(kJobs * (one.size() + 1) + 100);
  for (std::size_t i = 0; i < kJobs; ++i) text += (i == 0 ? "" : ",") + one;
  return text + "]}";
}

TEST(LongAnswers, AreReadBesideTheirTextInABoundedPlace) {
  const std::string text = LongAnswer();
  ASSERT_GE(text.size(), kTextMin);
  const std::size_t before = allocated;
  most = before;
  const auto answer = ParseJobs(200, text);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->jobs.size(), kJobs);
  EXPECT_EQ(answer->jobs.back().job.granted.size(), 2U);
  const std::size_t beside = most - before;
  std::printf("%zu MB of text, %zu kB beside it, %zu kB of that kept\n", text.size() / 1'000'000,
              beside / 1000, (allocated - before) / 1000);
  EXPECT_LE(beside, kBesideMax);
}

}  // namespace
}  // namespace kezek::slurm
