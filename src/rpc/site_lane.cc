#include "rpc/site_lane.h"

#include <utility>

#include "rpc/streams.h"

namespace kezek::rpc {
namespace {

constexpr std::size_t kWaitingMost = 4;

}  // namespace

SiteLane::~SiteLane() {
  Stop();
  if (thread_.joinable()) thread_.join();
}

Result<void> SiteLane::Start(Work work) {
  const std::scoped_lock lock(mutex_);
  if (stopping_) return Stopping();
  if (waiting_.size() >= kWaitingMost) {
    return FieldProblem(
        Code::kResourceExhausted,
        {"", "SITE_BUSY", "others are asking the same of the site: try again in a minute", {}});
  }
  waiting_.push_back(std::move(work));
  if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
  changed_.notify_one();
  return {};
}

void SiteLane::Stop() {
  const std::scoped_lock lock(mutex_);
  stopping_ = true;
  changed_.notify_one();
}

void SiteLane::Run() {
  while (true) {
    Work work;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      work = std::move(waiting_.front());
      waiting_.pop_front();
    }
    work(stopping_);
  }
}

}  // namespace kezek::rpc
