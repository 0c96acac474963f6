#include <algorithm>
#include <cstddef>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "cmd/kezek/render.h"
#include "kezek/check.h"

namespace kezek::cli {
namespace {

constexpr std::size_t kGap = 2;
constexpr std::size_t kNarrowest = 10;      // of a column that may be cut
constexpr std::size_t kNarrowLast = 36;     // of the last one, before columns are left out
constexpr std::size_t kNarrowestLast = 20;  // then

bool Contains(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

template <class Columns>
std::size_t Total(const Columns& columns) {
  std::size_t total = 0;
  for (const auto& column : columns) total += column.width + kGap;
  return total - std::min(total, kGap);
}

// A row stays a row, whatever somebody has called a thing: of control characters only colours stay.
void Tame(std::string& cell) {
  for (std::size_t i = 0; i < cell.size(); ++i) {
    const auto byte = static_cast<unsigned char>(cell[i]);
    if (byte >= 0x20 && byte != 0x7F) continue;
    const std::size_t end =
        cell.compare(i, 2, "\x1b[") == 0 ? cell.find_first_not_of("0123456789;", i + 2) : i;
    if (end != i && end != std::string::npos && cell[end] == 'm') {
      i = end;
    } else {
      cell[i] = '?';
    }
  }
}

}  // namespace

Table::Table(std::vector<std::string> headings) : headings_(std::move(headings)) {}

void Table::Add(std::vector<std::string> cells) {
  KEZEK_CHECK(cells.size() == headings_.size(), "a row has a cell for each heading");
  for (std::string& cell : cells) {
    if (cell.empty()) cell = "-";
    Tame(cell);
  }
  rows_.push_back(std::move(cells));
}

void Table::Cut(std::vector<Column>& columns, std::size_t room, std::size_t narrow_last) const {
  while (Total(columns) > room) {
    Column* widest = nullptr;
    for (Column& column : columns) {
      const bool last = column.index + 1 == headings_.size();
      const std::size_t least =
          std::max(last ? narrow_last : kNarrowest, Width(headings_[column.index]));
      if (column.width <= least) continue;
      if (!last && !Contains(may_cut_, headings_[column.index])) continue;
      if (widest != nullptr && widest->index + 1 == headings_.size()) continue;
      if (widest == nullptr || last || column.width > widest->width) widest = &column;
    }
    if (widest == nullptr) return;
    --widest->width;
  }
}

std::vector<Table::Column> Table::ColumnsFor(const Host& host) const {
  std::vector<Column> all;
  for (std::size_t index = 0; index < headings_.size(); ++index) {
    std::size_t width = Width(headings_[index]);
    for (const auto& row : rows_) width = std::max(width, Width(row[index]));
    all.push_back({index, width});
  }
  if (whole_ || !host.out_is_terminal || host.columns == 0) return all;
  const auto room = static_cast<std::size_t>(host.columns);
  std::vector<Column> shown = all;
  Cut(shown, room, kNarrowLast);
  for (std::size_t out = 1; out <= may_leave_out_.size() && Total(shown) > room; ++out) {
    const std::vector<std::string> left_out(
        may_leave_out_.begin(), may_leave_out_.begin() + static_cast<std::ptrdiff_t>(out));
    shown.clear();
    for (const Column& column : all) {
      if (!Contains(left_out, headings_[column.index])) shown.push_back(column);
    }
    Cut(shown, room, kNarrowLast);
  }
  Cut(shown, room, kNarrowestLast);
  return shown;
}

void Table::Print(const Host& host) const {
  const std::vector<Column> columns = ColumnsFor(host);
  const auto print = [&](const std::vector<std::string>& row, bool heading) {
    for (const Column& column : columns) {
      const bool last = &column == &columns.back();
      if (!host.out_is_terminal) {
        *host.out << row[column.index] << (last ? "" : "\t");
        continue;
      }
      const std::string cut = CutTo(row[column.index], column.width);
      const std::string cell = heading ? Styled(host, Style::kBold, cut) : cut;
      *host.out << cell;
      if (!last) *host.out << std::string(column.width - Width(cell) + kGap, ' ');
    }
    *host.out << '\n';
  };
  print(headings_, true);
  for (const auto& row : rows_) print(row, false);
}

}  // namespace kezek::cli
