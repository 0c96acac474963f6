#include "rpc/job_refs.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "kezek/bounds.h"
#include "kezek/index_ranges.h"
#include "rpc/status.h"

namespace kezek::rpc {
namespace {

// Digits only, nothing around them, at most `max`.
template <class Number>
std::optional<Number> ReadNumber(std::string_view text, Number max) {
  if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > max) return std::nullopt;
  return value;
}

// "3", "3-9" or "3-9:2".
std::optional<IndexRange> ReadRange(std::string_view text) {
  const auto colon = text.find(':');
  const std::string_view span = text.substr(0, colon);
  const auto dash = span.find('-');
  const auto first = ReadNumber<std::int32_t>(span.substr(0, dash), kIndexMax);
  const auto last = dash == std::string_view::npos
                        ? first
                        : ReadNumber<std::int32_t>(span.substr(dash + 1), kIndexMax);
  const auto step = colon == std::string_view::npos
                        ? std::optional<std::int32_t>(1)
                        : ReadNumber<std::int32_t>(text.substr(colon + 1), kIndexMax);
  if (!first || !last || !step || *step == 0 || *last < *first) return std::nullopt;
  if (colon != std::string_view::npos && dash == std::string_view::npos) return std::nullopt;
  return IndexRange{*first, *last, *step};
}

// Sorted, each once.
std::vector<IndexRange> Compress(const std::vector<std::int32_t>& indices) {
  std::vector<IndexRange> ranges;
  for (std::size_t i = 0; i < indices.size();) {
    std::size_t end = i + 1;
    const std::int32_t step = end < indices.size() ? indices[end] - indices[i] : 1;
    while (end < indices.size() && indices[end] - indices[end - 1] == step) ++end;
    // Two indices apart are no range.
    if (step != 1 && end - i == 2) end = i + 1;
    ranges.push_back({indices[i], indices[end - 1], end - i > 1 ? step : 1});
    i = end;
  }
  return ranges;
}

Error BadJob(std::string_view text, const std::string& field) {
  return Invalid(field, "'" + std::string(text.substr(0, 64)) +
                            "' is not the id of a job, such as 48211, 48211_7 or 48211_[3-9]");
}

}  // namespace

Result<JobRef> ParseJob(std::string_view text, const std::string& field) {
  const auto bar = text.find('_');
  const auto id = ReadNumber<std::int64_t>(text.substr(0, bar), INT64_MAX);
  if (!id || *id == 0) return BadJob(text, field);
  JobRef ref{JobId{*id}};
  if (bar == std::string_view::npos) return ref;
  const auto element = ReadNumber<std::int32_t>(text.substr(bar + 1), kIndexMax);
  if (!element) return BadJob(text, field);
  ref.element = *element;
  return ref;
}

Result<void> ParseJobs(std::string_view text, const std::string& field, std::vector<JobRef>* refs) {
  const auto open = text.find("_[");
  std::vector<IndexRange> ranges;
  JobRef ref;
  if (open == std::string_view::npos) {
    const auto parsed = ParseJob(text, field);
    if (!parsed) return parsed.error();
    ref = *parsed;
  } else {
    const auto id = ReadNumber<std::int64_t>(text.substr(0, open), INT64_MAX);
    if (!id || *id == 0 || !text.ends_with(']')) return BadJob(text, field);
    ref.id = JobId{*id};
    auto parsed = ParseIndices(text.substr(open + 2, text.size() - open - 3), field);
    if (!parsed) return parsed.error();
    ranges = std::move(*parsed);
  }
  const std::int64_t named = ranges.empty() ? 1 : CountIndices(ranges);
  if (refs->size() + static_cast<std::size_t>(named) > kElementsMost) {
    return FieldProblem(
        Code::kInvalidArgument,
        {field, "TOO_MANY", "names more than " + std::to_string(kElementsMost) + " jobs", {}});
  }
  if (ranges.empty()) refs->push_back(ref);
  for (const auto& range : ranges) {
    for (std::int32_t i = range.first; i <= range.last; i += range.step) {
      refs->push_back({ref.id, i});
    }
  }
  return {};
}

Result<std::vector<IndexRange>> ParseIndices(std::string_view text, const std::string& field) {
  std::vector<std::int32_t> indices;
  if (text.size() > 65'536) return Invalid(field, "is longer than 64 KiB");
  for (std::string_view rest = text;;) {
    const auto comma = rest.find(',');
    const auto range = ReadRange(rest.substr(0, comma));
    if (!range) {
      return Invalid(field, "'" + std::string(rest.substr(0, std::min<std::size_t>(comma, 64))) +
                                "' is not an index, a range such as 0-99, or one with a step such "
                                "as 8-20:4, up to " +
                                std::to_string(kIndexMax));
    }
    for (std::int32_t i = range->first; i <= range->last; i += range->step) {
      if (indices.size() == static_cast<std::size_t>(kElementsMost)) {
        return Invalid(field, "has more than " + std::to_string(kElementsMost) + " indices");
      }
      indices.push_back(i);
    }
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  std::sort(indices.begin(), indices.end());
  indices.erase(std::unique(indices.begin(), indices.end()), indices.end());
  return Compress(indices);
}

std::string FormatIndices(const std::vector<IndexRange>& ranges) {
  std::string text;
  for (const auto& range : ranges) {
    if (!text.empty()) text += ",";
    text += std::to_string(range.first);
    if (range.last != range.first) text += "-" + std::to_string(range.last);
    if (range.step != 1 && range.last != range.first) text += ":" + std::to_string(range.step);
  }
  return text;
}

}  // namespace kezek::rpc
