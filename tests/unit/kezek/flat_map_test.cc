// Goal: a FlatMap reads like the std::map of the same items. Method: random items beside a
// std::map. A failure prints its seed.
#include "kezek/flat_map.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <stdexcept>
#include <utility>
#include <vector>

namespace kezek {
namespace {

void ExpectSame(const FlatMap<int, int>& map, const std::map<int, int>& model) {
  ASSERT_EQ(map.size(), model.size());
  ASSERT_TRUE(std::equal(map.begin(), map.end(), model.begin(), [](const auto& a, const auto& b) {
    return a.first == b.first && a.second == b.second;
  }));
  for (int key = -1; key <= 40; ++key) {
    const auto known = model.find(key);
    ASSERT_EQ(map.find(key) == map.end(), known == model.end()) << key;
    ASSERT_EQ(map.lower_bound(key) - map.begin(),
              std::distance(model.begin(), model.lower_bound(key)))
        << key;
    if (known != model.end()) {
      ASSERT_EQ(map.at(key), known->second);
    } else {
      ASSERT_THROW(map.at(key), std::out_of_range);
    }
  }
}

TEST(FlatMap, ReadsLikeAMap) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    std::map<int, int> model;
    for (auto i = random() % 30; i > 0; --i) {
      model[static_cast<int>(random() % 40)] = static_cast<int>(random() % 9);
    }
    std::vector<std::pair<int, int>> items(model.begin(), model.end());
    std::shuffle(items.begin(), items.end(), random);
    FlatMap<int, int> map(std::move(items));
    ExpectSame(map, model);
    for (int i = 0; i < 10; ++i) {
      const int key = static_cast<int>(random() % 40);
      ASSERT_EQ(map[key], model[key]) << key;
      map[key] = model[key] = i;
    }
    ExpectSame(map, model);
    map.clear();
    ExpectSame(map, {});
  }
}

}  // namespace
}  // namespace kezek
