// Goal: host lists expand as Slurm means them, compress back to the same names, and refuse
// nonsense. Method: a table of both directions, random round trips, and a table of bad lists.
#include "kezek/host_list.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace kezek {
namespace {

using Names = std::vector<std::string>;

TEST(HostList, ExpandsNamesRangesAndSeveralBrackets) {
  EXPECT_EQ(*ExpandHostList(""), Names{});
  EXPECT_EQ(*ExpandHostList("n1"), Names{"n1"});
  EXPECT_EQ(*ExpandHostList("n[08-11]"), (Names{"n08", "n09", "n10", "n11"}));
  EXPECT_EQ(*ExpandHostList("n[1,3-4],login"), (Names{"n1", "n3", "n4", "login"}));
  EXPECT_EQ(*ExpandHostList("r[1-2]-n[1-2]"), (Names{"r1-n1", "r1-n2", "r2-n1", "r2-n2"}));
}

TEST(HostList, RefusesWhatIsNoList) {
  for (const char* bad : {"n[1-", "n[2-1]", "a,,b", ",", "n[]", "n[a-b]", "n[1-999999999]",
                          "n[1-400][1-400]", "n[-1]", "n[1--2]"}) {
    const auto names = ExpandHostList(bad);
    EXPECT_FALSE(names) << bad;
    EXPECT_EQ(names ? Code::kOk : names.error().code, Code::kInvalidArgument) << bad;
  }
}

TEST(HostList, RefusesNamesThatNoHostHas) {
  const std::string longest(kHostNameMax - 10, 'n');
  EXPECT_TRUE(ExpandHostList(longest + "[1-99999]"));
  for (const std::string& bad :
       {longest + "x[10000-99999]", std::string(60'000, 'n') + "[1-99999]",
        "[1-2]" + std::string(kHostNameMax, 'n'), std::string(kHostNameMax + 1, 'n')}) {
    const auto names = ExpandHostList(bad);
    ASSERT_FALSE(names) << bad.substr(0, 20);
    EXPECT_LT(names.error().message.size(), 500U);
  }
}

TEST(HostList, Compresses) {
  EXPECT_EQ(CompressHostList({}), "");
  EXPECT_EQ(CompressHostList({"n07"}), "n07");
  EXPECT_EQ(CompressHostList({"n05", "n06", "n07", "n09"}), "n[05-07,09]");
  EXPECT_EQ(CompressHostList({"b", "a"}), "a,b");
}

TEST(HostList, CompressedNamesExpandToThemselves) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    std::mt19937 random(seed);
    std::set<std::string> names;
    for (int i = 0; i < 40; ++i) {
      const std::string stem = random() % 3 == 0 ? "gpu-n" : "n";
      const std::string number = std::to_string(random() % 120);
      names.insert(random() % 10 == 0 ? "login" : stem + (random() % 2 == 0 ? "0" : "") + number);
    }
    const std::string list = CompressHostList({names.begin(), names.end()});
    const auto back = ExpandHostList(list);
    ASSERT_TRUE(back) << "seed " << seed << ": " << list;
    EXPECT_EQ(std::set<std::string>(back->begin(), back->end()), names) << "seed " << seed;
    EXPECT_EQ(back->size(), names.size()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace kezek
