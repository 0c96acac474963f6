// Goal: what is stored as JSON comes back equal; what cannot be stored or read is refused with the
// member's name. Method: random values of every type there and back, the seed printed on failure;
// tables of texts and of JSON that are wrong.

#include "postgres/codec.h"

#include <gtest/gtest.h>

#include <string>

#include "kezek/names.h"
#include "postgres/array_literal.h"
#include "tests/support/random_values.h"

namespace kezek::postgres {
namespace {

template <class T>
void ExpectSameBack(const T& value, std::uint64_t seed) {
  const auto json = Encode(value);
  const auto back = Decode<T>(json);
  ASSERT_TRUE(back.has_value()) << "seed " << seed << ": " << back.error().message << "\n" << json;
  EXPECT_TRUE(*back == value) << "seed " << seed << ": " << json;
}

TEST(CodecTest, RandomValuesComeBackEqual) {
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    test::RandomValues random(seed);
    ExpectSameBack(random.Spec(), seed);
    ExpectSameBack(random.ReasonValue(), seed);
    ExpectSameBack(random.PlacementValue(), seed);
    ExpectSameBack(random.Settings(), seed);
    ExpectSameBack(TextMap{{random.Text(), random.Text()}, {"k", ""}}, seed);
    ExpectSameBack(TextList{random.Text(), "", random.Text()}, seed);
    ExpectSameBack(IndexRanges{{0, 9, 1}, {12, 20, 4}}, seed);
    if (HasFailure()) return;
  }
}

TEST(CodecTest, DefaultsAndZerosComeBackEqual) {
  ExpectSameBack(JobSpec{}, 0);
  ExpectSameBack(AccountSettings{}, 0);
  ExpectSameBack(Reason{}, 0);
  JobSpec zero;
  zero.shape.nodes = 0;
  zero.max_attempts = 0;
  zero.job_class = "";
  zero.kill_on_invalid_dependency = false;
  zero.array = ArraySpec{};
  ExpectSameBack(zero, 0);
}

// A default that changes in the struct must not change an old row.
TEST(CodecTest, WhatIsMissingIsZeroNotTheDefault) {
  const auto spec = Decode<JobSpec>("{}");
  ASSERT_TRUE(spec.has_value());
  EXPECT_EQ(spec->job_class, "");
  EXPECT_EQ(spec->shape.nodes, 0);
  EXPECT_FALSE(spec->kill_on_invalid_dependency);
}

TEST(CodecTest, TextThatCannotBeStoredShowsAndCanBeMended) {
  JobSpec spec;
  spec.comment = "\xff";
  spec.shape.gpu_type = std::string("h\0", 2);
  const std::string json = Encode(spec);
  EXPECT_FALSE(IsStorable(json));
  const auto mended = Decode<JobSpec>(MakeStorable(json));
  ASSERT_TRUE(mended.has_value()) << mended.error().message;
  EXPECT_EQ(mended->comment, "?");
  EXPECT_EQ(mended->shape.gpu_type, "h?");
}

TEST(CodecTest, WrongJsonIsDataLoss) {
  for (const char* json :
       {"", "[]", "null", "{", R"({"nodes":"x"})", R"({"umask":2147483648})", R"({"umask":1.5})",
        R"({"kind":"dance"})", R"({"shape":[]})", R"({"array":{"indices":[[1,2]]}})",
        R"({"requeue":1})", R"({"nobody_knows":1})", R"({"dependencies":[{"on":7}]})"}) {
    const auto spec = Decode<JobSpec>(json);
    ASSERT_FALSE(spec.has_value()) << json;
    EXPECT_EQ(spec.error().code, Code::kDataLoss) << json;
  }
}

TEST(EnumNamesTest, ThereAndBack) {
  for (int i = 0; i <= static_cast<int>(JobState::kCancelled); ++i) {
    const auto state = static_cast<JobState>(i);
    EXPECT_EQ(FromName<JobState>(NameOf(state)), state);
  }
  EXPECT_EQ(FromName<JobState>("nothing"), std::nullopt);
}

}  // namespace
}  // namespace kezek::postgres
