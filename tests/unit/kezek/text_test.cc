// Goal: exactly well-formed UTF-8 passes, and whatever is made of other bytes is well-formed; bytes
// come back from base64url. Method: tables of border cases, then every sequence of two bytes and
// random longer ones.
#include "kezek/text.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "kezek/base64url.h"

namespace kezek {
namespace {

TEST(Text, KnowsUtf8) {
  using std::string_literals::operator""s;
  for (const std::string& good : {""s, "plain"s, "a\0b"s, "Қазақ"s, "\xC2\x80"s, "\xDF\xBF"s,
                                  "\xE0\xA0\x80"s, "\xED\x9F\xBF"s, "\xEE\x80\x80"s,
                                  "\xF0\x90\x80\x80"s, "\xF4\x8F\xBF\xBF"s, "twelve bytes"s}) {
    EXPECT_TRUE(IsUtf8(good)) << testing::PrintToString(good);
    EXPECT_EQ(MakeUtf8(good), good);
  }
  for (const std::string& bad : {"\x80"s, "\xC0\xAF"s, "\xC1\xBF"s, "\xC3"s, "\xE0\x9F\xBF"s,
                                 "\xED\xA0\x80"s, "\xF0\x8F\xBF\xBF"s, "\xF4\x90\x80\x80"s,
                                 "\xF5\x80\x80\x80"s, "\xFF"s, "eight by\xE2\x82"s}) {
    EXPECT_FALSE(IsUtf8(bad)) << testing::PrintToString(bad);
  }
}

TEST(Text, MakesTextOfAnyBytes) {
  EXPECT_EQ(MakeUtf8("run \xEF\xF0\xE8 done"), "run ??? done");
  EXPECT_EQ(MakeUtf8("Қ\xD2"), "Қ?");
  std::mt19937 random(1);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes(random() % 12, '\0');
    for (char& c : bytes)
      c = static_cast<char>(random() % 2 == 0 ? 0x80 + random() % 0x80 : random());
    const std::string made = MakeUtf8(bytes);
    ASSERT_TRUE(IsUtf8(made)) << testing::PrintToString(bytes);
    ASSERT_EQ(made.size(), bytes.size());
    ASSERT_EQ(made == bytes, IsUtf8(bytes)) << testing::PrintToString(bytes);
  }
}

TEST(Base64Url, KnowsItsOwnTextsOnly) {
  EXPECT_EQ(ToBase64Url("f"), "Zg");
  EXPECT_EQ(ToBase64Url("fo"), "Zm8");
  EXPECT_EQ(ToBase64Url("\xfb\xff\xfe"), "-__-");
  std::mt19937 random(1);
  for (int i = 0; i < 2000; ++i) {
    std::string bytes(random() % 40, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    ASSERT_EQ(FromBase64Url(ToBase64Url(bytes)), bytes) << testing::PrintToString(bytes);
  }
  for (const char* bad : {"A", "Zh", "Zm9", "Zg==", "+/+/", "Z g"}) {
    EXPECT_FALSE(FromBase64Url(bad)) << bad;
  }
}

}  // namespace
}  // namespace kezek
