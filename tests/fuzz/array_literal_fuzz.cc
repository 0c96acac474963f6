// Goal: no input makes an array literal that PostgreSQL would read as other elements. Method: the
// input is cut into texts at 0xFE, each made storable; a reader of literals written from
// PostgreSQL's manual ("Array Input and Output Syntax"), independent of the encoder, must find the
// same texts again.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kezek/check.h"
#include "postgres/array_literal.h"

namespace {

// Only quoted elements, as the encoder promises for texts.
std::vector<std::string> ReadLiteral(std::string_view literal) {
  std::vector<std::string> elements;
  KEZEK_CHECK(literal.size() >= 2 && literal.front() == '{' && literal.back() == '}', "braces");
  literal = literal.substr(1, literal.size() - 2);
  while (!literal.empty()) {
    KEZEK_CHECK(literal.front() == '"', "an element that is not quoted");
    std::string element;
    std::size_t at = 1;
    for (; at < literal.size() && literal[at] != '"'; ++at) {
      if (literal[at] == '\\') ++at;
      KEZEK_CHECK(at < literal.size(), "a backslash at the end");
      element += literal[at];
    }
    KEZEK_CHECK(at < literal.size(), "an element without its end");
    elements.push_back(element);
    literal.remove_prefix(at + 1);
    if (literal.empty()) break;
    KEZEK_CHECK(literal.front() == ',' && literal.size() > 1, "a comma between elements");
    literal.remove_prefix(1);
  }
  return elements;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  kezek::postgres::ArrayLiteral literal;
  std::vector<std::string> expected;
  for (bool more = true; more;) {
    const std::size_t cut = input.find('\xFE');
    const std::string_view text = input.substr(0, cut);
    more = cut != std::string_view::npos;
    if (more) input.remove_prefix(cut + 1);
    literal.AddText(text);
    const bool good = kezek::postgres::IsStorable(text);
    KEZEK_CHECK(!good || text.find('\0') == std::string_view::npos, "a NUL is not storable");
    expected.push_back(kezek::postgres::MakeStorable(text));
    KEZEK_CHECK(kezek::postgres::IsStorable(expected.back()), "what was made storable is");
    KEZEK_CHECK(!good || expected.back() == text, "what is storable stays as it is");
  }
  KEZEK_CHECK(ReadLiteral(literal.Text()) == expected, "other elements came back");
  return 0;
}
