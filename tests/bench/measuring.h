// What the benchmarks that are programs share: chance that is the same everywhere, and time.
#pragma once

#include <time.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace kezek::bench {

class Dice {
 public:
  explicit Dice(std::int64_t seed = 1) : state_(static_cast<std::uint64_t>(seed)) {}
  // least…most, both included.
  std::int64_t Roll(std::int64_t least, std::int64_t most) {
    state_ += 0x9e3779b97f4a7c15U;
    std::uint64_t z = (state_ ^ (state_ >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return least + static_cast<std::int64_t>((z ^ (z >> 31)) %
                                             static_cast<std::uint64_t>(most - least + 1));
  }

 private:
  std::uint64_t state_;
};

// Of this thread's own processor time: other work on the machine counts only as colder caches.
inline std::int64_t NowNs() {
  timespec now{};
  if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0) std::abort();
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

template <class Act>
std::int64_t Took(const Act& act) {
  const std::int64_t began = NowNs();
  act();
  return NowNs() - began;
}

// A million dependent multiplications: what a processor without other work does in about 1.5 ms.
inline std::int64_t Calibrate() {
  static volatile std::uint64_t sink = 1;
  return Took([] {
    std::uint64_t value = sink;
    for (int i = 0; i < 1'000'000; ++i) value = value * 0x9e3779b97f4a7c15U + 1;
    sink = value;
  });
}

// Of what was decided, word by word: two versions that decide the same have the same (FNV-1a).
class Digest {
 public:
  void Add(std::string_view word) {
    for (const char c : word) Add(static_cast<unsigned char>(c));
    Add(0);
  }
  std::uint32_t value() const { return static_cast<std::uint32_t>(value_ ^ (value_ >> 32)); }

 private:
  void Add(unsigned char byte) { value_ = (value_ ^ byte) * 0x100000001b3U; }
  std::uint64_t value_ = 0xcbf29ce484222325U;
};

// Times in ns, for quantiles.
class Times {
 public:
  void Add(std::int64_t ns) { ns_.push_back(ns); }
  std::size_t size() const { return ns_.size(); }
  void Clear() { ns_.clear(); }
  // The least such that so many of a thousand are no longer.
  std::int64_t Quantile(std::size_t thousandths) {
    if (ns_.empty()) return 0;
    std::sort(ns_.begin(), ns_.end());
    const std::size_t at = (ns_.size() * thousandths + 999) / 1000;
    return ns_[std::clamp<std::size_t>(at, 1, ns_.size()) - 1];
  }

 private:
  std::vector<std::int64_t> ns_;
};

}  // namespace kezek::bench
