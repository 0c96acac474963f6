// The commands that report, and what they share: the time asked for, how figures are written.
#pragma once

#include <kezek/v1/reports.pb.h>

#include <cstdint>
#include <string>
#include <vector>

#include "cmd/kezek/session.h"
#include "kezek/result.h"

namespace kezek::cli {

void AddReport(CLI::App& app, Session& session);
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

// A line of comma-separated values, as RFC 4180 has them but for the end of the line.
void PrintCsv(const Host& host, const std::vector<std::string>& cells);

// `figures from ledger entries 1…8,412,006, settings version 15, …`.
std::string BasisText(const v1::ReportBasis& basis);

// Median and 95th percentile: `4 min / 3 h 10 min`; empty if nothing started.
std::string WaitedText(const v1::WaitFigures& waits);

}  // namespace kezek::cli
