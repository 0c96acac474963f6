#include "output/highest_look.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>

namespace kezek::output {
namespace {

Error DoesNotAnswer(const std::string& since) {
  return Error{Code::kUnavailable,
               "output_root does not answer " + since +
                   ": which numbers of jobs were handed over is not known",
               {}};
}

}  // namespace

struct HighestLook::Shared {
  explicit Shared(Look its_look) : look(std::move(its_look)) {}

  const Look look;
  std::mutex mutex;
  std::condition_variable changed;
  // Under mutex.
  bool looking = false;
  std::optional<Result<JobId>> answer;
};

HighestLook::HighestLook(Look look, DurationMs patience_ms)
    : patience_ms_(patience_ms), shared_(std::make_shared<Shared>(std::move(look))) {}

HighestLook::~HighestLook() = default;

void HighestLook::Run(const std::shared_ptr<Shared>& shared) {
  Result<JobId> highest = shared->look();
  const std::lock_guard lock(shared->mutex);
  shared->answer = std::move(highest);
  shared->looking = false;
  shared->changed.notify_all();
}

// An answer that came too late is of a time when another may have led: it is thrown away.
Result<JobId> HighestLook::Ask() {
  std::unique_lock lock(shared_->mutex);
  if (shared_->looking) return DoesNotAnswer("yet");
  shared_->looking = true;
  shared_->answer.reset();
  std::thread([shared = shared_] { Run(shared); }).detach();
  shared_->changed.wait_for(lock, std::chrono::milliseconds(patience_ms_),
                            [this] { return shared_->answer.has_value(); });
  if (!shared_->answer) {
    return DoesNotAnswer("after " + std::to_string(patience_ms_ / kSecondMs) + " s");
  }
  return *std::exchange(shared_->answer, std::nullopt);
}

}  // namespace kezek::output
