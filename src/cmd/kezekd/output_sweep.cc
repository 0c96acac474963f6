#include "cmd/kezekd/output_sweep.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <vector>

namespace kezek::kezekd {
namespace {

constexpr DurationMs kStepMs = kSecondMs;
constexpr std::int64_t kRoundsPerKeep = 24;

// On the read pool, and waited for: the pool answers every question, at its end too.
Result<std::vector<JobRecord>> Find(ReadStore& store, const JobQuery& query) {
  std::promise<Result<std::vector<JobRecord>>> answer;
  store.Read([&](Reader& reader) { answer.set_value(reader.ListJobs(query)); });
  return answer.get_future().get();
}

}  // namespace

void OutputSweep::Start(const std::string& root, DurationMs keep_ms) {
  if (keep_ms <= 0) return;
  auto sweeper = output::Sweeper::Open(root, {.keep_ms = keep_ms});
  if (!sweeper) {
    spdlog::error("output is not removed reason='{}'", sweeper.error().message);
    return;
  }
  sweeper_ = std::move(*sweeper);
  const DurationMs rest_ms = std::clamp(keep_ms / kRoundsPerKeep, kStepMs, kHourMs);
  thread_ = std::thread([this, rest_ms] { Run(rest_ms); });
}

void OutputSweep::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void OutputSweep::Run(DurationMs rest_ms) {
  while (Wait(Step() ? kStepMs : rest_ms)) {
  }
}

bool OutputSweep::Step() {
  const auto swept =
      sweeper_->Step([this](const JobQuery& query) { return Find(store_, query); }, clock_.Now());
  if (!swept) {
    if (swept.error().message != said_) {
      spdlog::warn("output is not looked at reason='{}'", swept.error().message);
    }
    said_ = swept.error().message;
    return true;
  }
  said_.clear();
  for (const auto& one : swept->removed) {
    spdlog::info("output removed job={} ended_ms={} entries={} bytes={}", ToText(one.job),
                 one.ended_ms, one.entries, one.bytes);
  }
  for (const std::string& problem : swept->problems) {
    spdlog::warn("output stays reason='{}'", problem);
  }
  return !swept->round_over;
}

bool OutputSweep::Wait(DurationMs wait_ms) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::milliseconds(wait_ms), [this] { return stopping_; });
  return !stopping_;
}

}  // namespace kezek::kezekd
