// admin doctor: what of the site is not as it should be, and how to mend it.
#include <kezek/v1/cluster.pb.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <memory>
#include <ostream>
#include <sstream>
#include <string>
#include <vector>

#include "cmd/kezek/commands.h"
#include "cmd/kezek/render.h"
#include "cmd/kezek/way_out.h"

namespace kezek::cli {
namespace {

struct ResultWord {
  v1::CheckResult result;
  const char* word;
  Style style;
};

constexpr std::array kResults = {
    ResultWord{v1::CHECK_RESULT_FIX, "problem", Style::kBad},
    ResultWord{v1::CHECK_RESULT_WARNING, "warning", Style::kBusy},
    ResultWord{v1::CHECK_RESULT_UNKNOWN, "not looked at", Style::kDim},
    ResultWord{v1::CHECK_RESULT_OK, "ok", Style::kGood},
};

// A newer daemon's results are shown as what could not be looked at.
const ResultWord& WordOfResult(v1::CheckResult result) {
  const auto found = std::find_if(kResults.begin(), kResults.end(),
                                  [result](const auto& one) { return one.result == result; });
  return found == kResults.end() ? kResults[2] : *found;
}

std::string Padded(const std::string& text, std::size_t width) {
  return text + std::string(width - std::min(width, Width(text)), ' ');
}

void PrintForTerminal(const Host& host, const std::vector<v1::DoctorLine>& lines) {
  std::size_t results = 0;
  std::size_t checks = 0;
  for (const v1::DoctorLine& line : lines) {
    results = std::max(results, Width(WordOfResult(line.result()).word));
    checks = std::max(checks, Width(line.check()));
  }
  for (const v1::DoctorLine& line : lines) {
    const ResultWord& result = WordOfResult(line.result());
    *host.out << Styled(host, result.style, Padded(result.word, results)) << "  "
              << Padded(line.check(), checks) << "  " << line.found().sentence() << '\n';
    std::istringstream mend(line.mend());
    for (std::string step; std::getline(mend, step);) {
      *host.out << std::string(results + checks + 4, ' ') << "mend: " << step << '\n';
    }
  }
}

// A line each, with tabs; steps of mending are joined.
void PrintForPrograms(const Host& host, const std::vector<v1::DoctorLine>& lines) {
  for (const v1::DoctorLine& line : lines) {
    std::string mend = line.mend();
    for (auto at = mend.find('\n'); at != std::string::npos; at = mend.find('\n', at)) {
      mend.replace(at, 1, "; ");
    }
    *host.out << WordOfResult(line.result()).word << '\t' << line.check() << '\t'
              << line.found().sentence() << '\t' << (mend.empty() ? "-" : mend) << '\n';
  }
}

// `17 checks ok, 1 problem`.
std::string Summary(const v1::DoctorResponse& answer) {
  std::string text;
  for (const ResultWord& result : kResults) {
    const auto count =
        std::count_if(answer.lines().begin(), answer.lines().end(),
                      [&](const auto& line) { return &WordOfResult(line.result()) == &result; });
    if (count > 0) text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + result.word;
  }
  return text;
}

Result<int> RunDoctor(Session& session, const std::vector<std::string>& names) {
  v1::DoctorRequest request;
  for (const std::string& name : names) request.add_checks(name);
  const auto answer = AskPatiently<v1::DoctorResponse>(session, request);
  if (!answer) return WithFlags(answer.error(), {{"checks", ""}});
  const bool problem =
      std::any_of(answer->lines().begin(), answer->lines().end(),
                  [](const auto& line) { return line.result() == v1::CHECK_RESULT_FIX; });
  const int code = problem ? kFailed : kDone;
  const Host& host = session.host;
  if (PrintMessage(host, session.format(), *answer)) return code;
  std::vector<v1::DoctorLine> lines;
  for (const v1::DoctorLine& line : answer->lines()) {
    if (line.result() != v1::CHECK_RESULT_OK || session.format() == Format::kWide) {
      lines.push_back(line);
    }
  }
  if (session.format() == Format::kName) {
    for (const v1::DoctorLine& line : lines) *host.out << line.check() << '\n';
    return code;
  }
  if (host.out_is_terminal) {
    PrintForTerminal(host, lines);
  } else {
    PrintForPrograms(host, lines);
  }
  *host.out << Summary(*answer) << '\n';
  return code;
}

}  // namespace

void AddAdminDoctor(CLI::App& admin, Session& session) {
  CLI::App* command = admin.add_subcommand("doctor", "what of the site is to be mended, and how");
  const auto names = std::make_shared<std::vector<std::string>>();
  command->add_option("CHECK", *names,
                      "only these, or those that begin so: slurm, database-role; without: all");
  command->footer(
      "Looks at Slurm, the database, users, the shared file system, clocks and files from "
      "kezekd's\n"
      "host; changes nothing. What is as it should be is listed by -o wide. The exit code is 1 if\n"
      "something must be mended. Before the first start: kezekd doctor.\n"
      "Examples:\n"
      "  kezek admin doctor\n"
      "  kezek admin doctor slurm -o wide");
  command->callback([&session, names] {
    session.action = [&session, names] { return RunDoctor(session, *names); };
  });
}

}  // namespace kezek::cli
