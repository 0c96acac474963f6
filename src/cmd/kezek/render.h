// Values as people read them, and tables.
#pragma once

#include <kezek/v1/jobs.pb.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cmd/kezek/host.h"

namespace kezek::v1 {
class EntitlementRow;
}

namespace kezek::cli {

// Columns on a terminal, aligned and with a bold heading; in a pipe, fields between tabs. On a
// terminal that is too narrow the last column is cut, then those that MayCut names, widest first;
// then columns are left out as MayLeaveOut lists them; then the last is cut more. A cut cell ends
// with `…`.
class Table {
 public:
  explicit Table(std::vector<std::string> headings);
  void MayCut(std::vector<std::string> headings) { may_cut_ = std::move(headings); }
  void MayLeaveOut(std::vector<std::string> headings) { may_leave_out_ = std::move(headings); }
  // Never cuts nor leaves out.
  void KeepWhole() { whole_ = true; }
  // As many cells as there are headings. An empty cell is shown as `-`.
  void Add(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  void Print(const Host& host) const;

 private:
  struct Column {
    std::size_t index = 0;
    std::size_t width = 0;
  };
  std::vector<Column> ColumnsFor(const Host& host) const;
  void Cut(std::vector<Column>& columns, std::size_t room, std::size_t narrow_last) const;

  std::vector<std::string> headings_;
  std::vector<std::vector<std::string>> rows_;
  std::vector<std::string> may_cut_;
  std::vector<std::string> may_leave_out_;
  bool whole_ = false;
};

// Lines `name  value`, aligned on a terminal, with a tab in a pipe. Empty values are left out.
class Facts {
 public:
  void Add(std::string name, std::string value);
  void Print(const Host& host) const;
  const std::vector<std::pair<std::string, std::string>>& all() const { return facts_; }

 private:
  std::vector<std::pair<std::string, std::string>> facts_;
};

enum class Style { kBold, kGood, kBad, kBusy, kDim };

// The text in a colour, where there is colour.
std::string Styled(const Host& host, Style style, const std::string& text);

// Columns a text takes on a terminal; colour takes none.
std::size_t Width(std::string_view text);
// The text in so many columns at most, ending with `…` if it was longer.
std::string CutTo(const std::string& text, std::size_t width);

// `14:20` for today, `tomorrow 14:20`, `22 Nov 14:20`, with the year if it is another, in the
// user's zone; empty for 0.
std::string Moment(const Host& host, std::int64_t utc_ms);
// `2026-11-22 14:20:05` in the user's zone; empty for 0.
std::string ExactMoment(std::int64_t utc_ms);
// `0:42`, `10:12`, `3-04:10`: hours and minutes, days in front; `14 s` below a minute.
std::string Elapsed(std::int64_t ms);
// `30 min`, `12 h`, `1 h 30 min`, `2 d`.
std::string Length(std::int64_t ms);
// Milli-GPUs: `8`, `0.5`, `1.125`.
std::string Gpus(std::int64_t milli_gpus);
// Milli-GPU-milliseconds as GPU-hours: `3,210.5`.
std::string GpuHours(std::int64_t milli_gpu_ms);
// `1,234,567`.
std::string Thousands(std::int64_t number);
// MiB as `512 MiB`, `64 GiB`, `1.5 TiB`.
std::string Memory(std::int64_t mib);
// Millionths as `38.1 %`.
std::string Percent(std::int64_t ppm);
// `1 job`, `3 jobs`.
std::string Count(std::int64_t number, const std::string& one);

// A reason's sentence, with times in the user's zone instead of UTC.
// What an entitlement stopped at: `demand`, `borrow max 16`; empty if it is not known.
std::string BoundBy(const v1::EntitlementRow& row);
std::string SentenceOf(const Host& host, const v1::Reason& reason);
// A sentence without its full stop, to stand in a cell.
std::string WithoutStop(const std::string& sentence);

// Of jobs.
std::string StateName(const v1::Job& job);                   // a held one is `held`
std::string JobName(const v1::Job& job);                     // text id; of a redacted one `-`
std::string JobGpus(const v1::Job& job);                     // `32 (4×8)`
std::string JobShape(const v1::Job& job);                    // `4 nodes × 8 H200 under one leaf`
std::string JobWhere(const Host& host, const v1::Job& job);  // what it waits for, or runs on
bool IsFinal(v1::JobState state);
Style StateStyle(const v1::Job& job);
// Upper case enumerators as words: `JOB_STATE_TIMED_OUT` less its first `skip` bytes: `timed out`.
std::string Words(std::string_view enumerator, std::size_t skip);

}  // namespace kezek::cli
