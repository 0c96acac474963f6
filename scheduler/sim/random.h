// A seeded generator for the simulator (SplitMix64: Steele, Lea, Flood, "Fast splittable
// pseudorandom number generators", 2014). The same seed gives the same numbers everywhere.
#pragma once

#include <cstdint>

namespace kezek::sim {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15ULL;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  // In [low, high].
  std::int64_t Between(std::int64_t low, std::int64_t high) {
    const auto width = static_cast<std::uint64_t>(high - low) + 1;
    return low + static_cast<std::int64_t>(Next() % width);
  }
  // True with this probability, in thousandths.
  bool Permille(std::int64_t of_thousand) { return Between(0, 999) < of_thousand; }

 private:
  std::uint64_t state_;
};

}  // namespace kezek::sim
