#include <CLI/CLI.hpp>
#include <limits>
#include <map>
#include <ostream>
#include <tuple>

#include "cmd/kezek/render.h"
#include "cmd/kezek/report.h"
#include "cmd/kezek/times.h"
#include "cmd/kezek/usage_error.h"
#include "script/values.h"

namespace kezek::cli {
namespace {

constexpr std::int64_t kMostRate = 1'000'000'000;

// The versions by which hours were kept: only their ends, and one if they are the same.
std::string TicksText(const v1::ReportBasis& basis) {
  const std::int64_t first = basis.first_tick_settings_version();
  const std::int64_t last = basis.last_tick_settings_version();
  if (last == 0) return "";
  const std::string from = first == 0 ? "?" : std::to_string(first);
  return " (ticks by " + (first == last ? "" : from + "…") + std::to_string(last) + ")";
}

}  // namespace

bool WritesCsv(const CLI::App& command) {
  const CLI::App* above = command.get_parent();
  return command.get_name() == "explain-share" || command.get_name() == "ledger" ||
         command.get_name() == "events" || (above != nullptr && above->get_name() == "report");
}

void ReportTimes::AddTo(CLI::App& command) {
  command.add_option("--since", since, "from then on; " + since + " if not given")
      ->type_name("TIME");
  command.add_option("--until", until, "before then; now if not given")->type_name("TIME");
}

void BasisFlags::AddTo(CLI::App& command) {
  command
      .add_option("--settings-version", settings_version,
                  "accounts as they were under it; as they are if not given")
      ->type_name("N")
      ->check(Between(1, std::numeric_limits<std::int64_t>::max()));
  command.add_option("--ledger-until", ledger_until, "no ledger entry after this one")
      ->type_name("N")
      ->check(Between(1, std::numeric_limits<std::int64_t>::max()));
  command.add_option("--rates-milli", rates, "rates in place of today's, thousandths")
      ->type_name("TYPE=N")
      ->delimiter(',')
      ->allow_extra_args(false);
}

Result<std::pair<std::string, std::int64_t>> BasisFlags::ReadRate(const std::string& text) {
  const std::size_t equals = text.find('=');
  const Result<std::int64_t> number =
      equals == std::string::npos ? Result<std::int64_t>(Error{Code::kInvalidArgument, "", {}})
                                  : script::ParseNumber(text.substr(equals + 1), 0, kMostRate);
  if (!number || equals == 0) {
    return Error{
        Code::kInvalidArgument, "--rates-milli: '" + text + "' is no rate: expected h200=1000", {}};
  }
  return std::pair{text.substr(0, equals), *number};
}

Result<void> ReadTimes(const Host& host, const ReportTimes& times, v1::TimeRange* range) {
  for (const auto& [option, text, set] :
       {std::tuple{"--since", &times.since, &v1::TimeRange::set_since_ms},
        std::tuple{"--until", &times.until, &v1::TimeRange::set_until_ms}}) {
    if (text->empty()) continue;
    const bool exact = text->starts_with('@');
    const Result<std::int64_t> moment = exact
                                            ? script::ParseNumber(text->substr(1), 0, host.now_ms())
                                            : ParsePast(*text, host.now_ms());
    if (!moment) {
      return Error{Code::kInvalidArgument, std::string(option) + ": " + moment.error().message, {}};
    }
    (range->*set)(*moment);
  }
  return {};
}

void PrintCsv(const Host& host, const std::vector<std::string>& cells) {
  for (std::size_t i = 0; i < cells.size(); ++i) {
    std::string cell = cells[i];
    if (cell.find_first_of(",\"\n") != std::string::npos) {
      std::string quoted = "\"";
      for (const char c : cell) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
      cell = quoted + "\"";
    }
    *host.out << (i == 0 ? "" : ",") << cell;
  }
  *host.out << '\n';
}

std::string BasisText(const v1::ReportBasis& basis) {
  return "figures from ledger entries " + Thousands(basis.first_ledger_seq()) + "…" +
         Thousands(basis.last_ledger_seq()) + ", settings version " +
         std::to_string(basis.settings_version()) + TicksText(basis) + ", " +
         ExactMoment(basis.time().since_ms()) + " to " + ExactMoment(basis.time().until_ms());
}

void SayApart(const Host& host, std::int64_t milli_gpu_ms) {
  if (milli_gpu_ms == 0) return;
  *host.out << "Besides, " << GpuHours(milli_gpu_ms)
            << " GPU-h ran on dedicated nodes and lanes of classes: shares are of shared nodes.\n";
}

void PrintCsvBasis(const Host& host, const v1::ReportBasis& basis) {
  std::ostream& out = *host.out;
  out << "# basis: ledger entries " << basis.first_ledger_seq() << " to " << basis.last_ledger_seq()
      << ", settings version " << basis.settings_version() << TicksText(basis)
      << ", UTC milliseconds from " << basis.time().since_ms() << " to " << basis.time().until_ms()
      << '\n';
  out << "# again: --since @" << basis.time().since_ms() << " --until @" << basis.time().until_ms();
  if (basis.settings_version() > 0) out << " --settings-version " << basis.settings_version();
  if (basis.last_ledger_seq() > 0) out << " --ledger-until " << basis.last_ledger_seq();
  const std::map<std::string, std::int64_t> rates(basis.rates_milli().begin(),
                                                  basis.rates_milli().end());
  std::string joined;
  for (const auto& [type, rate] : rates) {
    joined += (joined.empty() ? "" : ",") + type + "=" + std::to_string(rate);
  }
  if (!joined.empty()) out << " --rates-milli " << joined;
  out << '\n';
}

std::string WaitedText(const v1::WaitFigures& waits) {
  if (waits.jobs() == 0) return "";
  return Length(waits.p50_ms() / 1000 * 1000) + " / " + Length(waits.p95_ms() / 1000 * 1000);
}

}  // namespace kezek::cli
