#include "rpc/doctor.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "rpc/cluster_service.h"
#include "rpc/status.h"
#include "rpc/streams.h"

namespace kezek::rpc {
namespace {

constexpr DurationMs kDoctorPatience = 15 * kSecondMs;
constexpr std::chrono::milliseconds kLookAgain{100};

// What the threads of one run bring in. Shared with those that are given up.
struct Results {
  explicit Results(std::size_t count) : found(count) {}
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::optional<std::vector<Finding>>> found;
  std::size_t missing = 0;
};

// What parts of the site say may have several lines.
std::string OneLine(const std::string& text) {
  std::string line;
  for (const char c : text) {
    const bool blank = c == '\n' || c == '\t' || c == '\r' || c == ' ';
    if (!blank) line += c;
    if (blank && !line.empty() && line.back() != ' ') line += ' ';
  }
  return line;
}

std::vector<Finding> Look(const SiteCheck& check, const std::shared_ptr<const View>& view) {
  try {
    auto findings = check.look(view);
    for (Finding& finding : findings) finding.found = OneLine(finding.found);
    if (!findings.empty()) return findings;
    return {{CheckState::kNotLookedAt, "the check has found nothing to look at", ""}};
  } catch (const std::exception& error) {
    const std::string what = OneLine(error.what());
    return {{CheckState::kNotLookedAt, "the check failed: " + what, ""}};
  }
}

bool IsOf(const std::string& check, const std::string& name) {
  return check == name || check.starts_with(name + "-");
}

v1::CheckResult ToResult(CheckState state) {
  switch (state) {
    case CheckState::kOk:
      return v1::CHECK_RESULT_OK;
    case CheckState::kWarning:
      return v1::CHECK_RESULT_WARNING;
    case CheckState::kProblem:
      return v1::CHECK_RESULT_FIX;
    case CheckState::kNotLookedAt:
      return v1::CHECK_RESULT_UNKNOWN;
  }
  return v1::CHECK_RESULT_UNSPECIFIED;
}

// The code of what was found. Not literals, for they are no reasons of the scheduler's.
std::string CodeOf(CheckState state) {
  static constexpr const char* kCodes[] = {"OK", "WARNING", "PROBLEM", "NOT_LOOKED_AT"};
  return kCodes[static_cast<std::size_t>(state)];
}

void Fill(const std::vector<CheckedLine>& lines, v1::DoctorResponse* response) {
  for (const CheckedLine& line : lines) {
    v1::DoctorLine& wire = *response->add_lines();
    wire.set_check(line.check);
    wire.set_result(ToResult(line.finding.state));
    wire.mutable_found()->set_code(CodeOf(line.finding.state));
    wire.mutable_found()->set_sentence(line.finding.found);
    wire.set_mend(line.finding.mend);
  }
}

}  // namespace

Result<std::vector<SiteCheck>> ChosenChecks(const std::vector<SiteCheck>& checks,
                                            const std::vector<std::string>& names) {
  if (names.empty()) return checks;
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto is_of = [&](const SiteCheck& check) { return IsOf(check.name, names[i]); };
    if (std::any_of(checks.begin(), checks.end(), is_of)) continue;
    std::string all;
    for (const SiteCheck& check : checks) all += (all.empty() ? "" : ", ") + check.name;
    return Invalid("checks[" + std::to_string(i) + "]",
                   "there is no check '" + names[i] + "'; there are " + all);
  }
  std::vector<SiteCheck> chosen;
  std::copy_if(checks.begin(), checks.end(), std::back_inserter(chosen), [&](const auto& check) {
    return std::any_of(names.begin(), names.end(),
                       [&](const std::string& name) { return IsOf(check.name, name); });
  });
  return chosen;
}

std::vector<CheckedLine> Doctor::Run(const std::vector<SiteCheck>& checks,
                                     const std::shared_ptr<const View>& view,
                                     DurationMs patience_ms, const std::atomic<bool>* stopping) {
  const auto results = std::make_shared<Results>(checks.size());
  for (std::size_t i = 0; i < checks.size(); ++i) {
    {
      const std::scoped_lock lock(under_way_->mutex);
      if (!under_way_->names.insert(checks[i].name).second) {
        results->found[i] = {{CheckState::kNotLookedAt,
                              "it still hangs since it was last looked at",
                              "see what that part of the site waits for"}};
        continue;
      }
    }
    {
      const std::scoped_lock lock(results->mutex);
      ++results->missing;
    }
    const auto done = [results, i, name = checks[i].name,
                       under_way = under_way_](std::vector<Finding> findings) {
      {
        const std::scoped_lock lock(under_way->mutex);
        under_way->names.erase(name);
      }
      const std::scoped_lock lock(results->mutex);
      results->found[i] = std::move(findings);
      --results->missing;
      results->changed.notify_all();
    };
    try {
      std::thread([done, check = checks[i], view] { done(Look(check, view)); }).detach();
    } catch (const std::system_error& error) {
      done({{CheckState::kNotLookedAt, std::string("no thread for it: ") + error.what(), ""}});
    }
  }
  std::unique_lock lock(results->mutex);
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(patience_ms);
  while (results->missing > 0 && std::chrono::steady_clock::now() < end &&
         (stopping == nullptr || !*stopping)) {
    results->changed.wait_for(lock, kLookAgain);
  }
  std::vector<CheckedLine> lines;
  for (std::size_t i = 0; i < checks.size(); ++i) {
    if (!results->found[i]) {
      lines.push_back({checks[i].name,
                       {CheckState::kNotLookedAt,
                        "no answer within " + std::to_string(patience_ms / kSecondMs) + " s",
                        "see what that part of the site waits for"}});
      continue;
    }
    for (const Finding& finding : *results->found[i]) lines.push_back({checks[i].name, finding});
  }
  return lines;
}

grpc::ServerUnaryReactor* ClusterServiceImpl::Doctor(grpc::CallbackServerContext* context,
                                                     const v1::DoctorRequest* request,
                                                     v1::DoctorResponse* response) {
  const auto handle = [&](const std::shared_ptr<const Caller>& caller, const Reply& reply) {
    static const std::vector<SiteCheck> kNone;
    const auto chosen = ChosenChecks(parts_.checks == nullptr ? kNone : *parts_.checks,
                                     {request->checks().begin(), request->checks().end()});
    if (!chosen) return reply.Fail(chosen.error());
    const auto started = site_.Start([this, chosen = *chosen, view = caller->view, response,
                                      reply](const std::atomic<bool>& stopping) {
      if (stopping) return reply.Fail(Stopping());
      Fill(doctor_.Run(chosen, view, kDoctorPatience, &stopping), response);
      if (stopping) return reply.Fail(Stopping());
      reply.Ok();
    });
    if (!started) reply.Fail(started.error());
  };
  return Serve(context, parts_, Method("Doctor"), *request,
               ForThisCluster(settings_, request, handle));
}

}  // namespace kezek::rpc
