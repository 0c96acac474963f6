#include "cmd/kezekd/doctor.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <sstream>
#include <vector>

#include "cmd/kezekd/daemon.h"
#include "cmd/kezekd/site_checks.h"
#include "rpc/doctor.h"

namespace kezek::kezekd {
namespace {

constexpr DurationMs kReadPatience = 10 * kSecondMs;
constexpr DurationMs kLookPatience = 15 * kSecondMs;

// What the database stores, read in a thread that may hang. Null: it cannot be read now.
std::shared_ptr<const View> StoredView(const config::Config& config, rpc::Doctor& doctor) {
  struct Kept {
    std::mutex mutex;
    std::shared_ptr<const View> view;
  };
  const auto kept = std::make_shared<Kept>();
  const SiteCheck read{"kezek-stored", [config, kept](const auto&) -> std::vector<Finding> {
                         auto view = ReadStored(config);
                         const std::scoped_lock lock(kept->mutex);
                         if (view) kept->view = std::move(*view);
                         return {{CheckState::kOk, "", ""}};
                       }};
  doctor.Run({read}, nullptr, kReadPatience);
  const std::scoped_lock lock(kept->mutex);
  return kept->view;
}

const char* WordOf(CheckState state) {
  switch (state) {
    case CheckState::kOk:
      return "ok";
    case CheckState::kWarning:
      return "warning";
    case CheckState::kProblem:
      return "PROBLEM";
    case CheckState::kNotLookedAt:
      return "not looked at";
  }
  return "";
}

}  // namespace

int RunDoctor(const config::Config& config, const std::string& config_file, std::ostream& out) {
  rpc::Doctor doctor;
  const auto view = StoredView(config, doctor);
  const auto lines = doctor.Run(SiteChecks(config, config_file), view, kLookPatience);
  for (const rpc::CheckedLine& line : lines) {
    out << WordOf(line.finding.state) << '\t' << line.check << '\t' << line.finding.found << '\n';
    if (line.finding.state == CheckState::kOk) continue;
    std::istringstream mend(line.finding.mend);
    for (std::string step; std::getline(mend, step);) out << "\t\t  " << step << '\n';
  }
  out.flush();
  return std::any_of(lines.begin(), lines.end(), [](const rpc::CheckedLine& line) {
    return line.finding.state == CheckState::kProblem;
  });
}

}  // namespace kezek::kezekd
