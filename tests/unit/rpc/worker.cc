#include "tests/unit/rpc/worker.h"

#include <utility>

namespace kezek::rpc {

Worker::~Worker() {
  Post({});
  thread_.join();
}

void Worker::Post(std::function<void()> task) {
  const std::lock_guard lock(mutex_);
  tasks_.push_back(std::move(task));
  changed_.notify_one();
}

void Worker::Run() {
  for (;;) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !tasks_.empty(); });
    const auto task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    if (!task) return;
    task();
  }
}

}  // namespace kezek::rpc
