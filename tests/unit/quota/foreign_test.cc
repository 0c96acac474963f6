// Goal: what a job beside Kezek kept from others is counted as a job of Kezek's is, of what the
// cluster's books tell, and is booked in pieces that add up to one charge, to the unit.
// Method: jobs by hand on two sizes of nodes.

#include "quota/foreign.h"

#include <gtest/gtest.h>

#include "quota/charge.h"

namespace kezek::quota {
namespace {

std::map<std::string, Node> Nodes() {
  std::map<std::string, Node> nodes;
  for (const char* name : {"n1", "n2"}) {
    nodes[name] = {.name = name, .gpu_type = "h200", .gpus = 8, .cpus = 64, .memory_mib = 64'000};
  }
  nodes["a1"] = {.name = "a1", .gpu_type = "a100", .gpus = 4, .cpus = 32, .memory_mib = 32'000};
  nodes["login"] = {.name = "login", .gpus = 0, .cpus = 8, .memory_mib = 8000};
  return nodes;
}

BookedRun Ran(const std::vector<std::string>& nodes, std::int64_t gpus, std::int64_t cpus,
              std::int64_t memory_mib) {
  BookedRun run;
  for (const std::string& node : nodes) run.granted.push_back({node, 0, {}});
  run.gpus = gpus;
  run.cpus = cpus;
  run.memory_mib = memory_mib;
  return run;
}

TEST(CountForeign, TheLargestOfItsParts) {
  const auto nodes = Nodes();
  const auto counted = [&](const BookedRun& run) {
    const auto parts = CountForeign(run, nodes);
    return parts.contains("h200") ? parts.at("h200").counted_milli : 0;
  };
  EXPECT_EQ(counted(Ran({"n1"}, 2, 2, 1000)), 2000) << "its GPUs";
  EXPECT_EQ(counted(Ran({"n1"}, 1, 32, 1000)), 4000) << "half of the CPUs";
  EXPECT_EQ(counted(Ran({"n1"}, 0, 1, 48'000)), 6000) << "three quarters of the memory";
  EXPECT_EQ(counted(Ran({"n1"}, 0, 64, 1000)), 8000) << "alone on the node: it has all CPUs";
  EXPECT_EQ(counted(Ran({"n1"}, 0, 1, 0)), 125);
  EXPECT_EQ(counted(Ran({"n1"}, 9, 128, 99'000)), 8000) << "no more than there is";
  EXPECT_EQ(counted(Ran({"n1", "n2"}, 3, 2, 2000)), 3000) << "two and one";
  EXPECT_EQ(counted(Ran({"n1", "n2"}, 4, 64, 2000)), 8000) << "half of the CPUs of both";
}

TEST(CountForeign, OnlyNodesWithGpusThatAreKnown) {
  const auto nodes = Nodes();
  EXPECT_TRUE(CountForeign(Ran({}, 4, 4, 4000), nodes).empty());
  EXPECT_TRUE(CountForeign(Ran({"login", "x9"}, 0, 8, 8000), nodes).empty());
  const auto parts = CountForeign(Ran({"a1", "login", "n1"}, 6, 3, 300), nodes);
  ASSERT_EQ(parts.size(), 2U);
  EXPECT_EQ(parts.at("a100"), (ForeignPart{{"a1"}, 2000}));
  EXPECT_EQ(parts.at("h200"), (ForeignPart{{"n1"}, 2000}));
}

TEST(ForeignEntries, PiecesAddUpToTheCharge) {
  ForeignCharge charge;
  charge.run = {.cluster_job_id = 77, .start_ms = 1'000'500};
  charge.end_ms = charge.run.start_ms + 2 * kHourMs + 20 * kMinuteMs + 999;
  charge.gpu_type = "h200";
  charge.counted_milli = 1333;
  charge.rate_milli = 1100;
  charge.project = AccountId{5};
  charge.settings_version = 9;
  const auto entries = ForeignEntries(charge, 50 * kHourMs);
  ASSERT_EQ(entries.size(), 4U);
  MilliGpuMs usage = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(entries[i].book, Book::kUsage);
    EXPECT_EQ(entries[i].date_ms, charge.run.start_ms + static_cast<TimeMs>(i) * kHourMs);
    usage += entries[i].amount;
  }
  const LedgerEntry& last = entries.back();
  EXPECT_EQ(last.book, Book::kCharge);
  EXPECT_EQ(last.amount, Charge(1333, 2 * kHourMs + 20 * kMinuteMs, 1100, 1000));
  EXPECT_EQ(usage, last.amount);
  EXPECT_EQ(last.date_ms, charge.run.start_ms);
  for (const LedgerEntry& entry : entries) {
    EXPECT_EQ(entry.kind, EntryKind::kForeign);
    EXPECT_EQ(entry.foreign_job, 77);
    EXPECT_EQ(entry.project, AccountId{5});
    EXPECT_EQ(entry.user, UserId{});
    EXPECT_EQ(entry.attempt, AttemptRef{});
    EXPECT_EQ(entry.settings_version, 9);
    EXPECT_EQ(entry.time_ms, 50 * kHourMs);
    EXPECT_EQ(entry.contra, "machine");
    EXPECT_EQ(entry.budget, BudgetRef{});
  }
}

}  // namespace
}  // namespace kezek::quota
