// Goal: text ids, ranges and indices mean one thing or are refused; page tokens open only for the
// request they were made for.
// Method: tables; indices against a set made one by one from a seeded generator.

#include "rpc/job_refs.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>

#include "kezek/index_ranges.h"
#include "rpc/field_checks.h"
#include "rpc/logs.h"
#include "rpc/sealed_token.h"
#include "rpc/tokens.h"

namespace kezek::rpc {
namespace {

std::string Parsed(const std::string& text) {
  std::vector<JobRef> refs;
  if (!ParseJobs(text, "jobs[0]", &refs)) return "refused";
  std::string names;
  for (const auto& ref : refs) names += (names.empty() ? "" : " ") + ToText(ref);
  return names;
}

TEST(JobRefs, AreReadAsWritten) {
  EXPECT_EQ(Parsed("48211"), "48211");
  EXPECT_EQ(Parsed("48211_7"), "48211_7");
  EXPECT_EQ(Parsed("48211_[3-5,12]"), "48211_3 48211_4 48211_5 48211_12");
  EXPECT_EQ(Parsed("1_[0-8:4]"), "1_0 1_4 1_8");
  EXPECT_EQ(Parsed("9223372036854775807"), "9223372036854775807");
}

TEST(JobRefs, AWholeArrayOfTheLargestSizeIsOneRange) {
  std::vector<JobRef> refs;
  ASSERT_TRUE(ParseJobs("1_[0-9999]", "jobs[0]", &refs));
  EXPECT_EQ(refs.size(), 10'000U);
  EXPECT_FALSE(ParseJobs("1_[0]", "jobs[1]", &refs));
}

TEST(JobRefs, RefuseWhatIsNoId) {
  for (const auto* text : {"",
                           "0",
                           "-1",
                           "+1",
                           " 1",
                           "1 ",
                           "1x",
                           "x",
                           "1_",
                           "1_-1",
                           "1_x",
                           "1_[",
                           "1_[]",
                           "1_[1-]",
                           "1_[3-1]",
                           "1_[1",
                           "1_[1]x",
                           "1.5",
                           "9223372036854775808",
                           "1_4000001",
                           "_1",
                           "1__1",
                           "1_[0-10000]",
                           "1_[1,]",
                           "1_[a]",
                           "0_1",
                           "0_[1]",
                           "1_99999999999999"}) {
    EXPECT_EQ(Parsed(text), "refused") << "'" << text << "'";
  }
}

TEST(JobRefs, ManyAreBounded) {
  std::vector<JobRef> refs;
  ASSERT_TRUE(ParseJobs("1_[0-9998]", "jobs", &refs));
  const auto more = ParseJobs("2_[0-9]", "jobs", &refs);
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().details.at(0).reason, "TOO_MANY");
}

TEST(Indices, AreNormalised) {
  const auto normal = [](const std::string& text) {
    const auto ranges = ParseIndices(text, "f");
    return ranges ? FormatIndices(*ranges) : "refused";
  };
  EXPECT_EQ(normal("0-99"), "0-99");
  EXPECT_EQ(normal("3,1,2"), "1-3");
  EXPECT_EQ(normal("1,3,8-20:4"), "1,3,8-20:4");
  EXPECT_EQ(normal("5,5,5"), "5");
  EXPECT_EQ(normal("0-9,5-14"), "0-14");
  EXPECT_EQ(normal("0-9:20"), "0");
  EXPECT_EQ(normal("0-9:9"), "0,9");
}

TEST(Indices, HoldExactlyWhatWasWritten) {
  for (unsigned seed = 1; seed <= 300; ++seed) {
    std::mt19937 random(seed);
    const auto upto = [&](int most) { return static_cast<int>(random() % unsigned(most + 1)); };
    std::set<int> model;
    std::string text;
    for (int parts = upto(5) + 1; parts > 0; --parts) {
      const int first = upto(60);
      const int last = first + upto(30);
      const int step = upto(4) + 1;
      for (int i = first; i <= last; i += step) model.insert(i);
      text += (text.empty() ? "" : ",") + std::to_string(first) + "-" + std::to_string(last) + ":" +
              std::to_string(step);
    }
    SCOPED_TRACE("repro: seed " + std::to_string(seed) + ", indices " + text);
    const auto ranges = ParseIndices(text, "f");
    ASSERT_TRUE(ranges);
    EXPECT_EQ(CountIndices(*ranges), static_cast<std::int64_t>(model.size()));
    std::int32_t before = -1;
    for (const auto& range : *ranges) {
      EXPECT_GT(range.first, before) << "ascending and disjoint";
      before = range.last;
    }
    for (int i = 0; i < 100; ++i) ASSERT_EQ(ContainsIndex(*ranges, i), model.contains(i)) << i;
    const auto again = ParseIndices(FormatIndices(*ranges), "f");
    ASSERT_TRUE(again);
    EXPECT_EQ(*again, *ranges);
  }
}

TEST(SealedToken, OpensOnlyForItsRequestAndUnchanged) {
  const TokenSealer sealer;
  const Sha256 request = HashBytes("a request");
  for (const std::string content : {"", "1 48211 -1 ", "text with spaces and \xff bytes"}) {
    const std::string token = sealer.Seal(content, request);
    EXPECT_EQ(sealer.Open(token, request), content);
    EXPECT_FALSE(sealer.Open(token, HashBytes("another request")));
    EXPECT_FALSE(TokenSealer().Open(token, request)) << "another process";
    for (std::size_t i = 0; i < token.size(); ++i) {
      std::string forged = token;
      forged[i] = forged[i] == 'A' ? 'B' : 'A';
      // The last letter may hold bits that stand for nothing.
      if (i + 1 < token.size()) {
        EXPECT_FALSE(sealer.Open(forged, request)) << i;
      }
    }
    EXPECT_NE(sealer.Seal(content, request), token) << "no two tokens are alike";
  }
  for (const std::string token : {"", "x", "!!!!", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}) {
    EXPECT_FALSE(sealer.Open(token, request)) << token;
  }
  EXPECT_FALSE(sealer.Open(std::string(100'000, 'A'), request));
}

TEST(OwnFolder, IsTheAttemptsAlone) {
  const AttemptRef attempt{{JobId{48211}, 7}, 2};
  EXPECT_TRUE(InOwnFolder("/out/48211_7/2/stdout", "/out", attempt));
  EXPECT_TRUE(InOwnFolder("/out/48211_7/2/a/b", "/out", attempt));
  for (const auto* path :
       {"/out/48211_7/1/stdout", "/out/48211/2/stdout", "/out/48211_7/2", "/out/48211_7/2x",
        "/out/48211_7/2/../../9/1/stdout", "/out/48211_7/2/..", "/etc/kezek/token", "stdout",
        "/out/48211_7/2//x", "/out/48211_7/2/./x", "/outx/48211_7/2/stdout"}) {
    EXPECT_FALSE(InOwnFolder(path, "/out", attempt)) << path;
  }
}

}  // namespace
}  // namespace kezek::rpc
