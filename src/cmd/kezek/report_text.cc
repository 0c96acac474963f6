#include <CLI/CLI.hpp>
#include <ostream>
#include <tuple>

#include "cmd/kezek/render.h"
#include "cmd/kezek/report.h"
#include "cmd/kezek/times.h"

namespace kezek::cli {

bool WritesCsv(const CLI::App& command) {
  const CLI::App* above = command.get_parent();
  return command.get_name() == "explain-share" ||
         (above != nullptr && above->get_name() == "report");
}

void ReportTimes::AddTo(CLI::App& command) {
  command.add_option("--since", since, "from then on; 30d if not given")->type_name("TIME");
  command.add_option("--until", until, "before then; now if not given")->type_name("TIME");
}

Result<void> ReadTimes(const Host& host, const ReportTimes& times, v1::TimeRange* range) {
  for (const auto& [option, text, set] :
       {std::tuple{"--since", &times.since, &v1::TimeRange::set_since_ms},
        std::tuple{"--until", &times.until, &v1::TimeRange::set_until_ms}}) {
    if (text->empty()) continue;
    const Result<std::int64_t> moment = ParsePast(*text, host.now_ms());
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
         std::to_string(basis.settings_version()) + ", " + ExactMoment(basis.time().since_ms()) +
         " to " + ExactMoment(basis.time().until_ms());
}

std::string WaitedText(const v1::WaitFigures& waits) {
  if (waits.jobs() == 0) return "";
  return Length(waits.p50_ms() / 1000 * 1000) + " / " + Length(waits.p95_ms() / 1000 * 1000);
}

}  // namespace kezek::cli
