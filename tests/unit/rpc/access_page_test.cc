// Goal: docs/access.md says of every role and every rpc what the server does.
// Method: the page's tables are made of the access table and compared with the file; with
// KEZEK_REWRITE_GOLDEN=1 the file is written anew. That the server does what the access table says
// is tested through gRPC in attack_test.cc.

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "kezek/names.h"
#include "rpc/access_table.h"

namespace kezek::rpc {
namespace {

constexpr const char* kBegin = "<!-- made by tests/unit/rpc/access_page_test.cc -->\n";
constexpr const char* kEnd = "<!-- end of what is made -->\n";

std::string Reached(const AccessRow& row, std::size_t role) {
  if (!row.signed_in) return "anybody";
  switch (row.reach[role]) {
    case Reach::kNone:
      return row.everybody ? "own" : "no";
    case Reach::kOwn:
      return "own";
    case Reach::kAccount:
      return "below";
    case Reach::kAll:
      return "all";
  }
  return "";
}

std::string Tables() {
  std::string text;
  std::string service;
  for (const auto& row : AccessTable()) {
    const std::string method(row.method);
    const auto slash = method.rfind('/');
    const auto dot = method.rfind('.');
    const bool http = dot == std::string::npos;
    const std::string name = http ? "over HTTP" : method.substr(dot + 1, slash - dot - 1);
    if (name != service) {
      service = name;
      text += "\n| " + service +
              " | scope | researcher | lead | institution admin | cluster admin | auditor | "
              "metrics reader |\n| --- | --- | --- | --- | --- | --- | --- | --- |\n";
    }
    text += "| " + (http ? method : method.substr(slash + 1)) + " | " +
            (row.signed_in ? std::string(NameOf(row.scope)) : std::string("no token")) + " |";
    for (std::size_t role = 0; role < kRoles; ++role) text += " " + Reached(row, role) + " |";
    text += "\n";
  }
  return text + "\n";
}

TEST(AccessPage, SaysWhatTheTableSays) {
  const char* source = std::getenv("KEZEK_SOURCE_DIR");
  const std::string path = std::string(source == nullptr ? "." : source) + "/docs/access.md";
  std::ostringstream file;
  file << std::ifstream(path).rdbuf();
  const std::string text = file.str();
  const auto begin = text.find(kBegin);
  const auto end = text.find(kEnd);
  ASSERT_TRUE(begin != std::string::npos && end != std::string::npos) << path;
  const auto first = begin + std::string(kBegin).size();
  const char* rewrite = std::getenv("KEZEK_REWRITE_GOLDEN");
  if (rewrite != nullptr && std::string(rewrite) == "1") {
    std::ofstream(path) << text.substr(0, first) << Tables() << text.substr(end);
    return;
  }
  EXPECT_EQ(text.substr(first, end - first), Tables())
      << "KEZEK_REWRITE_GOLDEN=1 writes " << path << " anew";
}

}  // namespace
}  // namespace kezek::rpc
