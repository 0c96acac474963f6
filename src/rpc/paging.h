// Pages: of a listing that fits in memory the token is where the next one begins, of rows with
// numbers the last one's number.
#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <utility>

#include "kezek/result.h"
#include "kezek/v1/common.pb.h"
#include "rpc/status.h"

namespace kezek::rpc {

inline constexpr std::size_t kRowsMost = 100'000'000;  // far more than fit in memory

struct Page {
  std::size_t begin = 0;
  std::size_t size = 100;
};

// Size of a page: 100 if not given. INVALID_ARGUMENT FIELD_INVALID: outside 0 to 1000.
inline Result<std::int32_t> ReadPageSize(const v1::PageRequest& request) {
  if (request.size() < 0 || request.size() > 1000) {
    return Invalid("page.size", "must be from 0 to 1000; 0 means 100");
  }
  return request.size() == 0 ? 100 : request.size();
}

inline Error PageTokenInvalid() {
  return FieldProblem(Code::kInvalidArgument,
                      {"page.token",
                       "PAGE_TOKEN_INVALID",
                       "is not a token that the page before gave: start again without one",
                       {}});
}

// INVALID_ARGUMENT FIELD_INVALID, PAGE_TOKEN_INVALID.
inline Result<Page> ReadPage(const v1::PageRequest& request) {
  const auto size = ReadPageSize(request);
  if (!size) return size.error();
  Page page{0, static_cast<std::size_t>(*size)};
  const std::string& token = request.token();
  if (token.empty()) return page;
  const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), page.begin);
  const bool number = error == std::errc() && end == token.data() + token.size();
  if (!number || page.begin > kRowsMost) return PageTokenInvalid();
  return page;
}

// Where a listing by numbers goes on.
struct Place {
  std::int64_t behind = 0;  // this number; 0: at its begin
  std::int32_t size = 0;
};

// INVALID_ARGUMENT FIELD_INVALID, PAGE_TOKEN_INVALID.
inline Result<Place> PlaceOf(const v1::PageRequest& page) {
  const auto size = ReadPageSize(page);
  if (!size) return size.error();
  Place place{.size = *size};
  const std::string& token = page.token();
  if (token.empty()) return place;
  const auto [end, error] =
      std::from_chars(token.data(), token.data() + token.size(), place.behind);
  const bool number = error == std::errc() && end == token.data() + token.size();
  if (!number || place.behind <= 0) return PageTokenInvalid();
  return place;
}

// Adds the rows of the page to `out`, one by `add(row)`, and says where the next page begins.
template <class Rows, class Add>
void FillPage(const Rows& rows, const Page& page, v1::PageInfo* info, const Add& add) {
  for (std::size_t i = page.begin; i < rows.size() && i - page.begin < page.size; ++i) add(rows[i]);
  if (page.begin + page.size < rows.size()) {
    info->set_next_token(std::to_string(page.begin + page.size));
  }
}

}  // namespace kezek::rpc
