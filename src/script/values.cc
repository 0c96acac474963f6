#include "script/values.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <optional>
#include <set>
#include <utility>

#include "script/text.h"

namespace kezek::script {
namespace {

constexpr std::int64_t kMaxGpus = 1'000'000;
constexpr std::int64_t kMaxNodes = 100'000;
constexpr std::int64_t kMaxIndex = 4'000'000;  // Slurm's own bound of an array index
constexpr std::int64_t kMaxElements = 1'000'000;
constexpr std::int64_t kMaxMemoryMib = std::int64_t{1} << 40;

std::optional<std::int64_t> Digits(std::string_view text) {
  if (!IsDigits(text) || text.size() > 18) return std::nullopt;
  std::int64_t value = 0;
  for (const char c : text) value = value * 10 + (c - '0');
  return value;
}

Result<GpuCount> TypedCount(std::string_view text, std::string_view expected) {
  const std::size_t colon = text.rfind(':');
  GpuCount gpus;
  if (colon != std::string_view::npos) {
    gpus.type = std::string(text.substr(0, colon));
    if (gpus.type.empty() || gpus.type.find(':') != std::string::npos) {
      return Bad(Quoted(text) + " is not a number of GPUs: expected " + std::string(expected));
    }
    text.remove_prefix(colon + 1);
  }
  Result<std::int64_t> count = ParseNumber(text, 0, kMaxGpus);
  if (!count) {
    return Bad(Quoted(text) + " is not a number of GPUs: expected " + std::string(expected));
  }
  gpus.count = *count;
  return gpus;
}

}  // namespace

Result<std::int64_t> ParseNumber(std::string_view text, std::int64_t min, std::int64_t max) {
  const bool negative = min < 0 && text.starts_with('-');
  const std::optional<std::int64_t> digits = Digits(negative ? text.substr(1) : text);
  if (!digits) {
    return Bad(Quoted(text) + " is not a whole number from " + std::to_string(min) + " to " +
               std::to_string(max));
  }
  const std::int64_t value = negative ? -*digits : *digits;
  if (value < min || value > max) {
    return Bad(std::to_string(value) + " is not from " + std::to_string(min) + " to " +
               std::to_string(max));
  }
  return value;
}

Result<Memory> ParseMemory(std::string_view text) {
  const Error bad =
      Bad(Quoted(text) + " is not a memory size: expected a whole number with K, M, " +
          "G or T, such as 64G (without a letter: MiB)");
  std::string lower = Lower(text);
  if (lower.size() > 2 && lower.ends_with('b')) lower.pop_back();
  std::int64_t kib = 1024;
  if (!lower.empty()) {
    const std::size_t unit = std::string_view("kmgt").find(lower.back());
    if (unit != std::string_view::npos) {
      kib = std::int64_t{1} << (10 * unit);
      lower.pop_back();
    }
  }
  const std::optional<std::int64_t> number = Digits(lower);
  if (!number) return bad;
  if (*number > kMaxMemoryMib * 1024 / kib) return Bad(Quoted(text) + " is more than any node has");
  return Memory{(*number * kib + 1023) / 1024};
}

Result<NodeRange> ParseNodes(std::string_view text) {
  const Error bad = Bad(Quoted(text) + " is not a number of nodes: expected 4 or 2-4");
  NodeRange range;
  const std::vector<std::string_view> ends = Split(text, '-');
  if (ends.size() > 2) return bad;
  std::array<std::int64_t, 2> values = {0, 0};
  for (std::size_t i = 0; i < ends.size(); ++i) {
    const bool thousands = ends[i].ends_with('k') || ends[i].ends_with('K');
    const std::optional<std::int64_t> number =
        Digits(thousands ? ends[i].substr(0, ends[i].size() - 1) : ends[i]);
    if (!number || *number > kMaxNodes) return bad;
    values.at(i) = *number * (thousands ? 1024 : 1);
  }
  range.min = values[0];
  range.max = ends.size() == 2 ? values[1] : values[0];
  if (range.min < 1 || range.max > kMaxNodes) {
    return Bad(Quoted(text) + " is not from 1 to " + std::to_string(kMaxNodes) + " nodes");
  }
  if (range.max < range.min) return Bad(Quoted(text) + " has its larger number first");
  return range;
}

Result<GpuCount> ParseGpus(std::string_view text) {
  if (text.find(',') != std::string_view::npos) {
    return Bad(Quoted(text) + " names several types of GPU: a job has one");
  }
  return TypedCount(text, "8 or h200:8");
}

Result<GpuCount> ParseGres(std::string_view text) {
  if (text.find(',') != std::string_view::npos) {
    return Bad(Quoted(text) + " names several resources: a job has one type of GPU");
  }
  std::string_view rest = text;
  if (rest.starts_with("gres:") || rest.starts_with("gres/")) rest.remove_prefix(5);
  if (rest == "none" || rest == "NONE") return GpuCount{};
  if (rest == "gpu") return GpuCount{"", 1};
  if (!rest.starts_with("gpu:")) {
    return Bad(Quoted(text) + " is not a resource Kezek hands out: expected gpu:4 or gpu:h200:4");
  }
  rest.remove_prefix(4);
  const bool type_alone = !rest.empty() && rest.find(':') == std::string_view::npos &&
                          (rest[0] < '0' || rest[0] > '9') && rest[0] != '-';
  if (type_alone) return GpuCount{std::string(rest), 1};
  return TypedCount(rest, "gpu:4 or gpu:h200:4");
}

Result<ArraySpec> ParseArray(std::string_view text) {
  ArraySpec array;
  std::string_view indices = text;
  if (const std::size_t percent = text.find('%'); percent != std::string_view::npos) {
    const std::optional<std::int64_t> limit = Digits(text.substr(percent + 1));
    if (!limit || *limit < 1 || *limit > kMaxIndex) {
      return Bad(Quoted(text.substr(percent)) +
                 " is not a limit of running elements: expected %4 or the like at the end");
    }
    array.max_running = *limit;
    indices = text.substr(0, percent);
  }
  std::int64_t elements = 0;
  for (const std::string_view piece : Split(indices, ',')) {
    const Error bad =
        Bad(Quoted(piece) + " is not an array index: expected 3, 0-15 or 0-30:2, joined by commas");
    ArrayRange range;
    std::string_view ends = piece;
    if (const std::size_t colon = piece.find(':'); colon != std::string_view::npos) {
      const std::optional<std::int64_t> step = Digits(piece.substr(colon + 1));
      if (!step || piece.find('-') == std::string_view::npos) return bad;
      if (*step < 1 || *step > kMaxIndex) return Bad(Quoted(piece) + " has a step of 0");
      range.step = *step;
      ends = piece.substr(0, colon);
    }
    const std::size_t dash = ends.find('-');
    const std::optional<std::int64_t> first = Digits(ends.substr(0, dash));
    const std::optional<std::int64_t> last =
        dash == std::string_view::npos ? first : Digits(ends.substr(dash + 1));
    if (!first || !last) return bad;
    if (*first > kMaxIndex || *last > kMaxIndex) {
      return Bad(Quoted(piece) + " is beyond the largest index, " + std::to_string(kMaxIndex));
    }
    if (*last < *first) return Bad(Quoted(piece) + " has its larger index first");
    range.first = *first;
    const std::int64_t steps = (*last - *first) / range.step;
    range.last = *first + steps * range.step;
    elements += steps + 1;
    if (elements > kMaxElements) return Bad(Quoted(text) + " has more than a million elements");
    array.ranges.push_back(range);
  }
  return array;
}

namespace {

std::set<std::int64_t> Elements(const ArraySpec& array) {
  std::set<std::int64_t> elements;
  for (const ArrayRange& range : array.ranges) {
    for (std::int64_t i = range.first; i <= range.last; i += range.step) elements.insert(i);
  }
  return elements;
}

}  // namespace

std::string FormatIndices(const ArraySpec& array) {
  std::string text;
  const std::set<std::int64_t> elements = Elements(array);
  const std::vector<std::int64_t> sorted(elements.begin(), elements.end());
  for (std::size_t i = 0; i < sorted.size();) {
    // The longest run with one step; two of a kind are better written apart unless adjacent.
    std::size_t end = i + 1;
    const std::int64_t step = end < sorted.size() ? sorted[end] - sorted[i] : 1;
    while (end < sorted.size() && sorted[end] - sorted[end - 1] == step) ++end;
    if (step != 1 && end - i < 3) end = i + 1;
    if (!text.empty()) text += ',';
    text += std::to_string(sorted[i]);
    if (end - i > 1) text += "-" + std::to_string(sorted[end - 1]);
    if (end - i > 1 && step != 1) text += ":" + std::to_string(step);
    i = end;
  }
  return text;
}

}  // namespace kezek::script
