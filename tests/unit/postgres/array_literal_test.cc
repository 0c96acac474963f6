// Goal: an array literal means exactly the elements put in, whatever bytes they hold. Method: the
// literal's text for each kind of element and each character that needs care; tables of texts that
// PostgreSQL can and cannot store. tests/pg sends random ones through a server and back.

#include "postgres/array_literal.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>

namespace kezek::postgres {
namespace {

using std::literals::string_literals::operator""s;

std::string LiteralOf(std::string_view text) {
  ArrayLiteral literal;
  literal.AddText(text);
  return literal.Text();
}

TEST(ArrayLiteralTest, EmptyArray) { EXPECT_EQ(ArrayLiteral().Text(), "{}"); }

TEST(ArrayLiteralTest, EveryKindOfElement) {
  ArrayLiteral literal;
  literal.AddInt(-7);
  literal.AddBool(true);
  literal.AddBool(false);
  literal.AddText("a");
  literal.AddBytes(std::array<std::uint8_t, 3>{0x00, 0x5c, 0xff});
  EXPECT_EQ(literal.Text(), R"({-7,t,f,"a","\\x005cff"})");
  EXPECT_EQ(literal.count(), 5U);
}

TEST(ArrayLiteralTest, SpecialTexts) {
  EXPECT_EQ(LiteralOf(""), R"({""})");
  EXPECT_EQ(LiteralOf("NULL"), R"({"NULL"})");
  EXPECT_EQ(LiteralOf(R"(a"b\c)"), R"({"a\"b\\c"})");
  EXPECT_EQ(LiteralOf("{x, y}"), R"({"{x, y}"})");
  EXPECT_EQ(LiteralOf(" \n"), "{\" \n\"}");
}

TEST(ArrayLiteralTest, AppendsLiterals) {
  ArrayLiteral all;
  all.Append(ArrayLiteral());
  ArrayLiteral one;
  one.AddText("x");
  all.Append(one);
  all.Append(ArrayLiteral());
  all.Append(one);
  EXPECT_EQ(all.Text(), R"({"x","x"})");
  EXPECT_EQ(all.count(), 2U);
}

TEST(ArrayLiteralTest, WhatCannotBeStoredIsMarked) {
  EXPECT_EQ(LiteralOf("a\0b"s), R"({"a?b"})");
  EXPECT_EQ(LiteralOf("\xc0\xaf\0қ"s), R"({"???қ"})");
}

TEST(StorableTest, Texts) {
  for (const std::string& good : {""s, "a"s, "қ"s, "€"s, "🚀"s, "\x7f"s, "\xc2\x80"s,
                                  "\xed\x9f\xbf"s, "\xee\x80\x80"s, "\xf4\x8f\xbf\xbf"s}) {
    EXPECT_TRUE(IsStorable(good)) << good;
  }
  const std::array bad = {"\0"s,
                          "a\0"s,
                          "\x80"s,
                          "\xc0\x80"s,
                          "\xc1\xbf"s,
                          "\xe0\x80\x80"s,
                          "\xed\xa0\x80"s,
                          "\xf0\x80\x80\x80"s,
                          "\xf4\x90\x80\x80"s,
                          "\xf8\x88\x80\x80\x80"s,
                          "\xff"s,
                          "\xc3"s,
                          "\xe2\x82"s,
                          "\xf0\x9f\x9a"s,
                          "\xc3("s};
  for (const std::string& text : bad)
    EXPECT_FALSE(IsStorable(text)) << testing::PrintToString(text);
}

}  // namespace
}  // namespace kezek::postgres
