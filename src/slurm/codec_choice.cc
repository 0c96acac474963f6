#include "slurm/codec_choice.h"

#include <spdlog/spdlog.h>

#include <set>

namespace kezek::slurm {
namespace {

constexpr long kNotServed = 404;

std::string List(const std::set<std::string>& versions) {
  std::string text;
  for (const auto& version : versions) text += (text.empty() ? "" : ", ") + version;
  return text;
}

// From the paths in the description that every release serves of itself.
std::set<std::string> VersionsIn(std::string_view description) {
  constexpr std::string_view kStart = "\"/slurm/v";
  std::set<std::string> versions;
  for (auto at = description.find(kStart); at != std::string_view::npos;
       at = description.find(kStart, at + 1)) {
    const auto begin = at + kStart.size() - 1;
    const std::string_view version =
        description.substr(begin, description.find_first_of("/\"", begin) - begin);
    if (version.size() < 16) versions.emplace(version);
  }
  return versions;
}

Error NoneFits(const HttpOutcome& description) {
  std::set<std::string> spoken;
  for (const auto& codec : Codecs()) spoken.emplace(codec.version());
  const auto served = VersionsIn(description.body);
  return {Code::kUnavailable,
          "slurmrestd serves " + (served.empty() ? "no version of its API" : List(served)) +
              "; Kezek speaks " + List(spoken) + " (Slurm 22.05 to 26.05)",
          {}};
}

}  // namespace

Result<std::string> CodecChoice::Choose(const Get& get) {
  for (const auto& codec : Codecs()) {
    const HttpOutcome ping = get(codec.Path("/ping"));
    if (ping.kind != HttpOutcome::Kind::kAnswered) return Error{Code::kUnavailable, ping.text, {}};
    if (ping.status == kNotServed) continue;
    auto release = ParsePing(ping.status, ping.body);
    if (!release) return release;
    if (chosen_.exchange(&codec) != &codec) {
      spdlog::info("slurm release={} api={}", *release, codec.version());
    }
    return release;
  }
  return NoneFits(get("/openapi/v3"));
}

}  // namespace kezek::slurm
