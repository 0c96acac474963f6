// Seeds of property tests: KEZEK_SEEDS says how many (default 200), KEZEK_SEED runs only that one.
// A failing seed prints the one line that runs it again.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>

namespace kezek::property {

// The same numbers everywhere: no distribution of the library, which may differ.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : engine_(seed * 0x9E3779B97F4A7C15U + 1) {}
  // least…most, both included.
  std::int64_t Roll(std::int64_t least, std::int64_t most) {
    const auto span = static_cast<std::uint64_t>(most - least) + 1;
    return least + static_cast<std::int64_t>(engine_() % span);
  }
  bool Chance(std::int64_t percent) { return Roll(1, 100) <= percent; }

 private:
  std::mt19937_64 engine_;
};

inline std::int64_t FromEnvironment(const char* name, std::int64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr || *text == '\0' ? otherwise : std::stoll(text);
}

// Calls check(seed) for each seed, up to the first that fails.
template <class Check>
void ForEachSeed(Check check) {
  const std::int64_t only = FromEnvironment("KEZEK_SEED", -1);
  const std::int64_t first = only >= 0 ? only : 0;
  const std::int64_t end = only >= 0 ? only + 1 : FromEnvironment("KEZEK_SEEDS", 200);
  for (std::int64_t seed = first; seed < end; ++seed) {
    check(static_cast<std::uint64_t>(seed));
    if (!::testing::Test::HasFailure()) continue;
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    std::cerr << "again: KEZEK_SEED=" << seed << " " << ::testing::internal::GetArgvs().front()
              << " --gtest_filter=" << info->test_suite_name() << "." << info->name() << "\n";
    return;
  }
}

}  // namespace kezek::property
