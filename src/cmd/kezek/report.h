// The commands that report, and what they share: the time asked for, how figures are written.
#pragma once

#include <kezek/v1/reports.pb.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "cmd/kezek/session.h"
#include "kezek/result.h"

namespace kezek::cli {

void AddReport(CLI::App& app, Session& session);
void AddReportBudgets(CLI::App& report, Session& session);
void AddReportReconcile(CLI::App& report, Session& session);
void AddAdminLedger(CLI::App& admin, Session& session);
void AddAdminExplainShare(CLI::App& admin, Session& session);

// Reports have one form more than other commands.
inline constexpr const char* kCsv = "csv";
inline bool IsCsv(const Session& session) { return session.format_name == kCsv; }
// Whether the command has it.
bool WritesCsv(const CLI::App& command);

struct ReportTimes {
  std::string since = "30d";
  std::string until;  // empty: now

  // --since and --until.
  void AddTo(CLI::App& command);
};

// INVALID_ARGUMENT names the option.
Result<void> ReadTimes(const Host& host, const ReportTimes& times, v1::TimeRange* range);

// What an earlier report was made from, so that it comes out the same.
struct BasisFlags {
  std::int64_t settings_version = 0;  // 0: now's
  std::int64_t ledger_until = 0;      // 0: all
  std::vector<std::string> rates;     // `h200=1000`

  // --settings-version, --ledger-until and --rates-milli.
  void AddTo(CLI::App& command);

  // INVALID_ARGUMENT names the option.
  template <class Request>
  Result<void> Set(Request* request) const {
    request->set_settings_version(settings_version);
    request->set_last_ledger_seq(ledger_until);
    for (const std::string& rate : rates) {
      const auto read = ReadRate(rate);
      if (!read) return read.error();
      (*request->mutable_rates_milli())[read->first] = read->second;
    }
    return {};
  }

 private:
  static Result<std::pair<std::string, std::int64_t>> ReadRate(const std::string& text);
};

// A line of comma-separated values, as RFC 4180 has them but for the end of the line.
void PrintCsv(const Host& host, const std::vector<std::string>& cells);

// `figures from ledger entries 1…8,412,006, settings version 15, …`.
std::string BasisText(const v1::ReportBasis& basis);

// A line on what ran on dedicated nodes and lanes; none where nothing did.
void SayApart(const Host& host, std::int64_t milli_gpu_ms);

// The same as lines of a table that begin with `# `: what a report's last lines are, with the flags
// that make it again.
void PrintCsvBasis(const Host& host, const v1::ReportBasis& basis);

// Median and 95th percentile: `4 min / 3 h 10 min`; empty if nothing started.
std::string WaitedText(const v1::WaitFigures& waits);

}  // namespace kezek::cli
