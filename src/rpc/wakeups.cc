#include "rpc/wakeups.h"

#include <utility>

namespace kezek::rpc {

Wakeups::Wakeups() : thread_([this] { Run(); }) {}

Wakeups::~Wakeups() { Stop(); }

void Wakeups::After(DurationMs delay_ms, std::function<void()> wake) {
  const Time time = std::chrono::steady_clock::now() + std::chrono::milliseconds(delay_ms);
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) return;
    const auto placed = due_.emplace(time, std::move(wake));
    first = placed == due_.begin();
  }
  if (first) changed_.notify_one();
}

void Wakeups::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Wakeups::Run() {
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    if (due_.empty()) {
      changed_.wait(lock);
      continue;
    }
    const Time next = due_.begin()->first;
    if (std::chrono::steady_clock::now() < next) {
      changed_.wait_until(lock, next);
      continue;
    }
    const auto wake = std::move(due_.extract(due_.begin()).mapped());
    lock.unlock();
    wake();
    lock.lock();
  }
}

}  // namespace kezek::rpc
