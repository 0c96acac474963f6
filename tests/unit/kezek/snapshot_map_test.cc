// Goal: a SnapshotMap holds what a std::map would, and a snapshot never changes. Method: random
// operations beside a std::map; snapshots are compared with the copies made at their time, at once
// and at the end. A failure prints its seed.

#include "kezek/snapshot_map.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

namespace kezek {
namespace {

using Map = SnapshotMap<int, std::string>;
using Model = std::map<int, std::string>;

Model All(const Map::Snapshot& snapshot) {
  Model all;
  int last = -1;
  snapshot.ForEach([&](int key, const std::string& value) {
    EXPECT_LT(last, key);
    last = key;
    all[key] = value;
  });
  return all;
}

void ExpectSame(const Map::Snapshot& snapshot, const Model& model) {
  EXPECT_EQ(snapshot.size(), model.size());
  EXPECT_EQ(All(snapshot), model);
  for (int key = 0; key < 2000; key += 7) {
    const std::string* found = snapshot.Find(key);
    const auto expected = model.find(key);
    ASSERT_EQ(found != nullptr, expected != model.end()) << key;
    if (found == nullptr) continue;
    EXPECT_EQ(*found, expected->second);
  }
}

TEST(SnapshotMapTest, EmptyOneFindsNothing) {
  Map map;
  EXPECT_EQ(map.Take().Find(3), nullptr);
  EXPECT_EQ(map.Take().size(), 0U);
  map.Erase(3);
  map.Set(3, "three");
  map.Erase(3);
  EXPECT_EQ(map.size(), 0U);
  EXPECT_EQ(map.Take().Find(3), nullptr);
  EXPECT_EQ(Map::Snapshot().Find(3), nullptr);
}

TEST(SnapshotMapTest, EqualsAMapAndSnapshotsStay) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    Map map;
    Model model;
    std::vector<std::pair<Map::Snapshot, Model>> taken;
    int next = 0;
    for (int step = 0; step < 4000; ++step) {
      const auto choice = random() % 100;
      const int key = static_cast<int>(random() % 2000);
      if (choice < 50) {  // mostly in order, as jobs come
        const int at = choice < 35 ? next++ % 2000 : key;
        map.Set(at, std::to_string(step));
        model[at] = std::to_string(step);
      } else if (choice < 98) {
        map.Erase(key);
        model.erase(key);
      } else {
        taken.emplace_back(map.Take(), model);
        ExpectSame(taken.back().first, model);
      }
      ASSERT_EQ(map.size(), model.size());
    }
    for (const auto& [snapshot, then] : taken) ExpectSame(snapshot, then);
  }
}

}  // namespace
}  // namespace kezek
