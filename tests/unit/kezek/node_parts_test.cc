// Goal: names of hosts and of their parts lead to each other. Method: a machine of which one host
// has two parts, and one whose name is the beginning of another's.
#include "kezek/node_parts.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace kezek {
namespace {

std::map<std::string, Node> Machine() {
  std::map<std::string, Node> nodes;
  const auto add = [&nodes](const std::string& name, const std::string& type) {
    nodes[name].name = name;
    nodes[name].gpu_type = type;
  };
  add("n1", "h200");
  add("n1/mig-1g", "mig-1g");
  add("n1/mig-2g", "mig-2g");
  add("n10", "h200");
  add("n1x", "mig-1g");
  return nodes;
}

using Names = std::vector<std::string>;

TEST(NodeParts, Names) {
  const auto nodes = Machine();
  EXPECT_EQ(HostOf("n1/mig-1g"), "n1");
  EXPECT_EQ(HostOf("n10"), "n10");
  EXPECT_FALSE(IsPart("n1"));
  EXPECT_TRUE(IsPart(PartName("n1", "mig-1g")));
  EXPECT_TRUE(SharesHost(nodes, "n1"));
  EXPECT_TRUE(SharesHost(nodes, "n1/mig-2g"));
  EXPECT_FALSE(SharesHost(nodes, "n10"));
  EXPECT_FALSE(SharesHost(nodes, "n1x"));
}

TEST(NodeParts, OnAHost) {
  const auto nodes = Machine();
  EXPECT_EQ(OnHost(nodes, "n1", "h200"), "n1");
  EXPECT_EQ(OnHost(nodes, "n1", "mig-2g"), "n1/mig-2g");
  EXPECT_EQ(OnHost(nodes, "n1", "b200"), "n1");
  EXPECT_EQ(OnHost(nodes, "n1/mig-1g", "mig-1g"), "n1/mig-1g");
  EXPECT_EQ(OnHost(nodes, "elsewhere", "h200"), "elsewhere");
  EXPECT_EQ(WithParts(nodes, {"n1x", "n1"}), (Names{"n1", "n1/mig-1g", "n1/mig-2g", "n1x"}));
  EXPECT_EQ(WithParts(nodes, {"n1/mig-2g", "n10", "n10"}), (Names{"n1/mig-2g", "n10"}));
}

}  // namespace
}  // namespace kezek
