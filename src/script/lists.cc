// The values that are lists: dependencies, signals, environment, hosts, features.
#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <utility>

#include "kezek/host_list.h"
#include "kezek/names.h"
#include "script/text.h"
#include "script/values.h"

namespace kezek::script {
namespace {

constexpr std::int64_t kMaxJobId = std::int64_t{1} << 53;
constexpr std::int64_t kMaxDelayMinutes = 14'400'000;

Result<Dependency> ParseDependencyJob(DependencyKind kind, std::string_view text) {
  Dependency dependency;
  dependency.kind = kind;
  std::string_view job = text;
  if (const std::size_t plus = text.find('+'); plus != std::string_view::npos) {
    if (kind != DependencyKind::kAfter) {
      return Bad(Quoted(text) + ": only after: takes a delay, in minutes");
    }
    Result<std::int64_t> minutes = ParseNumber(text.substr(plus + 1), 0, kMaxDelayMinutes);
    if (!minutes) return Bad(Quoted(text) + " has no delay in minutes after its +");
    dependency.delay_ms = *minutes * 60'000;
    job = text.substr(0, plus);
  }
  if (const std::size_t bar = job.find('_'); bar != std::string_view::npos) {
    Result<std::int64_t> element = ParseNumber(job.substr(bar + 1), 0, 4'000'000);
    if (!element) return Bad(Quoted(text) + " is not a job: expected 48211 or 48211_7");
    dependency.element = *element;
    job = job.substr(0, bar);
  }
  Result<std::int64_t> id = ParseNumber(job, 1, kMaxJobId);
  if (!id) return Bad(Quoted(text) + " is not a job: expected 48211 or 48211_7");
  dependency.job = *id;
  return dependency;
}

constexpr std::array<std::string_view, 31> kSignals = {
    "HUP",  "INT",  "QUIT", "ILL",    "TRAP",   "ABRT",  "BUS",  "FPE",  "KILL", "USR1", "SEGV",
    "USR2", "PIPE", "ALRM", "TERM",   "STKFLT", "CHLD",  "CONT", "STOP", "TSTP", "TTIN", "TTOU",
    "URG",  "XCPU", "XFSZ", "VTALRM", "PROF",   "WINCH", "IO",   "PWR",  "SYS"};

bool IsVariableName(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

// Pieces between commas that are not inside quotes, the quotes taken away.
Result<std::vector<std::string>> SplitQuoted(std::string_view text) {
  std::vector<std::string> pieces(1);
  char quote = '\0';
  for (const char c : text) {
    if (quote != '\0') {
      if (c == quote) {
        quote = '\0';
      } else {
        pieces.back() += c;
      }
    } else if (c == '\'' || c == '"') {
      quote = c;
    } else if (c == ',') {
      pieces.emplace_back();
    } else {
      pieces.back() += c;
    }
  }
  if (quote != '\0') return Bad(Quoted(text) + " has a quote that is not closed");
  return pieces;
}

bool IsHostName(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  });
}

}  // namespace

Result<std::vector<Dependency>> ParseDependencies(std::string_view text) {
  std::vector<Dependency> dependencies;
  if (text.find('?') != std::string_view::npos) {
    return Bad(Quoted(text) + ": alternatives (?) are not known to Kezek: all must be met");
  }
  for (const std::string_view piece : Split(text, ',')) {
    const std::vector<std::string_view> parts = Split(piece, ':');
    const auto kind = FromName<DependencyKind>(Lower(parts[0]));
    if (!kind) {
      return Bad(Quoted(parts[0]) +
                 " is not a dependency: expected afterok, afterany, afternotok or after");
    }
    if (parts.size() < 2) return Bad(Quoted(piece) + " names no job: expected afterok:48211");
    for (std::size_t i = 1; i < parts.size(); ++i) {
      Result<Dependency> dependency = ParseDependencyJob(*kind, parts[i]);
      if (!dependency) return dependency.error();
      dependencies.push_back(*dependency);
    }
  }
  return dependencies;
}

Result<SignalSpec> ParseSignal(std::string_view text) {
  SignalSpec signal;
  std::string_view rest = text;
  if (const std::size_t colon = text.find(':'); colon != std::string_view::npos) {
    const std::string flags = Lower(text.substr(0, colon));
    if (flags != "b") {
      return Bad(Quoted(text.substr(0, colon)) + " is not a flag of a signal: expected B");
    }
    signal.batch_shell_only = true;
    rest = text.substr(colon + 1);
  }
  if (const std::size_t at = rest.find('@'); at != std::string_view::npos) {
    Result<std::int64_t> seconds = ParseNumber(rest.substr(at + 1), 0, 65'535);
    if (!seconds) {
      return Bad(Quoted(rest.substr(at + 1)) + " is not a time in seconds from 0 to 65535");
    }
    signal.seconds_before = *seconds;
    rest = rest.substr(0, at);
  }
  std::string name(rest);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  if (name.starts_with("SIG")) name.erase(0, 3);
  if (IsDigits(name)) {
    Result<std::int64_t> number = ParseNumber(name, 1, std::int64_t{kSignals.size()});
    if (!number) return Bad(Quoted(rest) + " is not a signal: numbers are from 1 to 31");
    name = std::string(kSignals.at(static_cast<std::size_t>(*number - 1)));
  }
  if (std::find(kSignals.begin(), kSignals.end(), name) == kSignals.end()) {
    return Bad(Quoted(rest) + " is not a signal: expected USR1, TERM, 10 or the like");
  }
  signal.name = name;
  return signal;
}

Result<ExportSpec> ParseExport(std::string_view text) {
  const std::string lower = Lower(text);
  if (lower == "all") return ExportSpec{true, {}, {}};
  if (lower == "none" || lower == "nil") return ExportSpec{false, {}, {}};
  Result<std::vector<std::string>> pieces = SplitQuoted(text);
  if (!pieces) return pieces.error();
  ExportSpec spec{false, {}, {}};
  for (const std::string& piece : *pieces) {
    if (piece == "ALL") {
      spec.all = true;
      continue;
    }
    const std::size_t equals = piece.find('=');
    const std::string name = piece.substr(0, equals);
    if (!IsVariableName(name)) {
      return Bad(Quoted(piece) + " is not a variable: expected ALL, NONE, NAME or NAME=value");
    }
    if (equals == std::string::npos) {
      spec.names.push_back(name);
    } else {
      spec.assignments.emplace_back(name, piece.substr(equals + 1));
    }
  }
  return spec;
}

Result<std::vector<std::string>> ParseHostList(std::string_view text) {
  Result<std::vector<std::string>> hosts = ExpandHostList(text);
  if (!hosts) return Bad(hosts.error().message);
  if (hosts->empty() || !std::all_of(hosts->begin(), hosts->end(), IsHostName)) {
    return Bad(Quoted(text) + " is no list of nodes: expected n05 or n[05-08,12]");
  }
  return hosts;
}

Result<std::vector<std::string>> ParseConstraints(std::string_view text) {
  std::vector<std::string> features;
  std::string joined(text);
  std::replace(joined.begin(), joined.end(), ',', '&');
  for (const std::string_view feature : Split(joined, '&')) {
    if (!IsHostName(feature)) {
      return Bad(Quoted(feature) + " is not a label of nodes: expected nvme or nvme&ib400; " +
                 "alternatives and counts are not known to Kezek");
    }
    features.emplace_back(feature);
  }
  return features;
}

}  // namespace kezek::script
