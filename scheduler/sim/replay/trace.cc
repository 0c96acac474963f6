#include "scheduler/sim/replay/trace.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

namespace kezek::replay {
namespace {

enum Column : std::size_t {
  kId,
  kSubmit,
  kDuration,
  kGpus,
  kNodes,
  kUser,
  kGroup,
  kWaited,
  kAsked
};
constexpr std::array<std::string_view, 9> kNames = {"job_id", "submit_s",      "duration_s",
                                                    "gpus",   "nodes",         "user",
                                                    "vc",     "queue_delay_s", "req_walltime_s"};
constexpr std::size_t kNowhere = std::string_view::npos;
using Places = std::array<std::size_t, kNames.size()>;

// More than any trace holds, and far from the end of the integers.
constexpr std::int64_t kMost = 1'000'000'000'000;

Error Malformed(std::size_t line, const std::string& what) {
  return {Code::kInvalidArgument, "line " + std::to_string(line) + ": " + what, {}};
}

// The fields of one line; none: a quote is not closed, or something follows it.
std::optional<std::vector<std::string>> Split(std::string_view line) {
  std::vector<std::string> fields;
  std::size_t at = 0;
  while (true) {
    std::string field;
    if (at < line.size() && line[at] == '"') {
      ++at;
      while (true) {
        if (at >= line.size()) return std::nullopt;
        if (line[at] == '"' && (at + 1 >= line.size() || line[at + 1] != '"')) break;
        if (line[at] == '"') ++at;
        field += line[at++];
      }
      ++at;
      if (at < line.size() && line[at] != ',') return std::nullopt;
    } else {
      const std::size_t end = std::min(line.find(',', at), line.size());
      field = line.substr(at, end - at);
      at = end;
    }
    fields.push_back(std::move(field));
    if (at >= line.size()) return fields;
    ++at;
  }
}

// Thousandths of a number of zero or more; further digits are rounded. None: it is not one.
std::optional<std::int64_t> Milli(std::string_view text) {
  std::int64_t value = 0;
  int decimals = -1;  // read so far; -1: before the point
  bool digits = false;
  bool up = false;
  for (const char c : text) {
    if (c == '.' && decimals < 0) {
      decimals = 0;
      continue;
    }
    if (c < '0' || c > '9') return std::nullopt;
    digits = true;
    if (decimals == 3) up = c >= '5';
    if (decimals >= 3) {
      ++decimals;
      continue;
    }
    value = value * 10 + (c - '0');
    if (value > kMost * 1000) return std::nullopt;
    if (decimals >= 0) ++decimals;
  }
  if (!digits) return std::nullopt;
  for (int i = std::max(decimals, 0); i < 3; ++i) value *= 10;
  if (value > kMost * 1000) return std::nullopt;
  return value + (up ? 1 : 0);
}

// One line, field by field; the first thing that is wrong is kept.
class Row {
 public:
  Row(std::vector<std::string> fields, const Places& places)
      : fields_(std::move(fields)), places_(places) {}

  std::string Text(Column column) const {
    const std::size_t place = places_[column];
    return place == kNowhere ? "" : fields_[place];
  }
  std::optional<std::int64_t> Thousandths(Column column) {
    const std::string text = Text(column);
    if (text.empty()) return std::nullopt;
    const std::optional<std::int64_t> value = Milli(text);
    if (!value && wrong_.empty()) {
      wrong_ = std::string(kNames[column]) + ": '" + text.substr(0, 40) +
               "' is not a number from 0 to 10^12";
    }
    return value;
  }
  std::optional<std::int64_t> Whole(Column column) {
    const std::optional<std::int64_t> value = Thousandths(column);
    if (!value) return std::nullopt;
    return (*value + 500) / 1000;
  }
  const std::string& wrong() const { return wrong_; }

 private:
  std::vector<std::string> fields_;
  const Places& places_;
  std::string wrong_;
};

Result<Places> ReadHeader(const std::vector<std::string>& fields) {
  Places places;
  places.fill(kNowhere);
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const auto name = std::find(kNames.begin(), kNames.end(), fields[i]);
    if (name == kNames.end()) continue;
    std::size_t& place = places[static_cast<std::size_t>(name - kNames.begin())];
    if (place != kNowhere) return Malformed(1, "the column " + fields[i] + " is there twice");
    place = i;
  }
  for (const Column needed : {kSubmit, kDuration, kGpus}) {
    if (places[needed] != kNowhere) continue;
    return Malformed(1, "there is no column " + std::string(kNames[needed]) +
                            "; a header line names the columns");
  }
  return places;
}

Result<TraceRow> ReadRow(std::vector<std::string> fields, const Places& places, std::size_t line) {
  Row row(std::move(fields), places);
  TraceRow read;
  read.id = row.Text(kId);
  read.user = row.Text(kUser);
  read.group = row.Text(kGroup);
  const std::optional<std::int64_t> submit = row.Whole(kSubmit);
  read.duration_s = row.Whole(kDuration);
  read.milli_gpus = row.Thousandths(kGpus);
  read.nodes = row.Whole(kNodes);
  read.waited_s = row.Whole(kWaited);
  read.requested_s = row.Whole(kAsked);
  if (!row.wrong().empty()) return Malformed(line, row.wrong());
  if (!submit) return Malformed(line, "submit_s: is empty; every job was submitted at some time");
  read.submit_s = *submit;
  return read;
}

// "# gpus: 512" -> 512, of this name; none: it says nothing of it.
std::optional<std::int64_t> Said(std::string_view line, std::string_view name) {
  if (!line.starts_with("# ")) return std::nullopt;
  line.remove_prefix(2);
  if (!line.starts_with(name) || !line.substr(name.size()).starts_with(": ")) return std::nullopt;
  line.remove_prefix(name.size() + 2);
  if (line.ends_with('\r')) line.remove_suffix(1);
  const std::optional<std::int64_t> milli = Milli(line);
  if (!milli || *milli % 1000 != 0) return std::nullopt;
  return *milli / 1000;
}

}  // namespace

TraceMachine ParseMachine(std::string_view text) {
  TraceMachine machine;
  while (text.starts_with('#')) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    if (const auto gpus = Said(line, "gpus")) machine.gpus = *gpus;
    if (const auto each = Said(line, "gpus_per_node"); each && *each <= 1024) {
      machine.gpus_per_node = static_cast<std::int32_t>(*each);
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (machine.gpus_per_node > 0) machine.gpus -= machine.gpus % machine.gpus_per_node;
  return machine;
}

Result<std::vector<TraceRow>> ParseTrace(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  std::vector<TraceRow> rows;
  std::optional<Places> places;
  std::size_t columns = 0;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || (!places && line.front() == '#')) continue;
    std::optional<std::vector<std::string>> fields = Split(line);
    if (!fields) return Malformed(number, "a quote is not closed, or something follows it");
    if (!places) {
      Result<Places> header = ReadHeader(*fields);
      if (!header) return header.error();
      places = *header;
      columns = fields->size();
      continue;
    }
    if (fields->size() != columns) {
      return Malformed(number, std::to_string(fields->size()) + " fields, but the header has " +
                                   std::to_string(columns));
    }
    Result<TraceRow> row = ReadRow(*std::move(fields), *places, number);
    if (!row) return row.error();
    rows.push_back(*std::move(row));
  }
  if (!places) return Malformed(1, "there is nothing; a header line names the columns");
  return rows;
}

}  // namespace kezek::replay
