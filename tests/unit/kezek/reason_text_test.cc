// Goal: every reason code has a stable wire name that leads back to it and a sentence that reads
// well with and without its fields. Method: walk the whole enumeration; a few sentences in full.

#include "kezek/reason_text.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <string>

namespace kezek {
namespace {

TEST(ReasonTextTest, EveryCodeHasOneNameThatLeadsBack) {
  std::set<std::string_view> names;
  for (const ReasonText& row : reason_text::kTable) {
    EXPECT_EQ(WireName(row.code), row.name);
    EXPECT_EQ(ReasonFromWire(row.name), row.code);
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_TRUE(std::all_of(row.name.begin(), row.name.end(), [](char c) {
      return c == '_' || std::isupper(static_cast<unsigned char>(c)) != 0;
    })) << row.name;
  }
  EXPECT_EQ(ReasonFromWire("WAITS_FOR_GODOT"), std::nullopt);
  EXPECT_EQ(ReasonFromWire(""), std::nullopt);
}

TEST(ReasonTextTest, EveryTemplateIsWellFormedAndEndsWithAStop) {
  for (const ReasonText& row : reason_text::kTable) {
    if (row.code == ReasonCode::kNone) continue;
    for (const auto& [open, close] : {std::pair{'[', ']'}, std::pair{'{', '}'}}) {
      int depth = 0;
      for (const char c : row.sentence) {
        depth += c == open ? 1 : c == close ? -1 : 0;
        ASSERT_TRUE(depth == 0 || depth == 1) << row.sentence;
      }
      EXPECT_EQ(depth, 0) << row.sentence;
    }
    const std::string bare = Sentence({row.code, {}});
    ASSERT_FALSE(bare.empty()) << row.name;
    EXPECT_EQ(bare.back(), '.') << bare;
    EXPECT_EQ(bare.find_first_of("[]{}|"), std::string::npos) << bare;
  }
}

TEST(ReasonTextTest, FieldsAreShown) {
  EXPECT_EQ(Sentence({}), "");
  EXPECT_EQ(
      Sentence({ReasonCode::kWaitsForGpus,
                {{"nodes", "4"}, {"gpus_per_node", "8"}, {"gpu_type", "h200"}, {"free", "6"}}}),
      "Waits for 4 nodes with 8 free h200 each; 6 GPUs free now.");
  EXPECT_EQ(Sentence({ReasonCode::kWaitsForGpus, {{"nodes", "4"}}}), "Waits for free resources.");
  EXPECT_EQ(Sentence({ReasonCode::kWaitsForGpus, {{"free", "1"}}}),
            "Waits for free resources; 1 GPU free now.");
  EXPECT_EQ(
      Sentence({ReasonCode::kLimitBorrow,
                {{"account", "kaznu/nlp"},
                 {"limit", "10"},
                 {"running", "9"},
                 {"asked", "2"},
                 {"fits", "1"}}}),
      "Account kaznu/nlp borrows as many GPUs as it may: 9 of 10, its guarantee and what it may"
      " borrow; it asks for 2; 1 GPU would fit now.");
  EXPECT_EQ(Sentence({ReasonCode::kLimitUserGpus,
                      {{"class", "debug"}, {"limit", "4"}, {"running", "4"}, {"asked", "1"}}}),
            "Its user runs as many GPUs as one may in class debug: 4 of 4; it asks for 1.");
  EXPECT_EQ(Sentence({ReasonCode::kWaitsForGpus, {{"free", "1"}, {"wider_than_share", "8"}}}),
            "Waits for free resources; 1 GPU free now; wider than the 8 GPUs that its project is"
            " guaranteed or entitled to.");
  EXPECT_EQ(Sentence({ReasonCode::kFinished, {{"exit_code", "3"}}}), "Ended with exit code 3.");
  EXPECT_EQ(Sentence({ReasonCode::kClassNotAllowed, {{"class", "realtime"}}}),
            "Class realtime is not allowed in its account.");
  EXPECT_EQ(Sentence({ReasonCode::kDependency, {}}), "Waits for job ?.");
}

TEST(ReasonTextTest, TimesAreShownInUtc) {
  EXPECT_EQ(Sentence({ReasonCode::kBeginTime, {{"at_ms", "1795271995000"}}}),
            "Asked not to start before 2026-11-21 14:39 UTC.");
  EXPECT_EQ(reason_text::UtcText(0), "1970-01-01 00:00 UTC");
  EXPECT_EQ(reason_text::UtcText(951'782'400'000), "2000-02-29 00:00 UTC");
  EXPECT_EQ(reason_text::UtcText(4'107'542'399'999), "2100-02-28 23:59 UTC");
  EXPECT_EQ(Sentence({ReasonCode::kBeginTime, {{"at_ms", "soon"}}}),
            "Asked not to start before soon.");
}

TEST(ReasonTextTest, LengthsOfTimeAreShownAsPeopleSayThem) {
  EXPECT_EQ(Sentence({ReasonCode::kTimeLimitTooLong,
                      {{"asked", "21600000"}, {"limit", "5400000"}, {"whose", "debug"}}}),
            "The time limit of 6 h is longer than allowed: 1 h 30 min (debug).");
  EXPECT_EQ(Sentence({ReasonCode::kTimeLimitTooLong, {{"limit", "a day"}}}),
            "The time limit is longer than allowed: a day.");
  EXPECT_EQ(reason_text::LengthText(0), "0 s");
  EXPECT_EQ(reason_text::LengthText(93'785'000), "1 d 2 h 3 min 5 s");
}

TEST(ReasonTextTest, GpuFigures) {
  EXPECT_EQ(GpuText(0), "0");
  EXPECT_EQ(GpuText(8000), "8");
  EXPECT_EQ(GpuText(500), "0.5");
  EXPECT_EQ(GpuText(12'125), "12.125");
  EXPECT_EQ(GpuText(-1050), "-1.05");
}

}  // namespace
}  // namespace kezek
