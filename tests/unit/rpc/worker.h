// A thread for fakes that answer from another one.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

namespace kezek::rpc {

// A thread that does one thing after the other.
class Worker {
 public:
  Worker() : thread_([this] { Run(); }) {}
  ~Worker();
  void Post(std::function<void()> task);

 private:
  void Run();
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  std::thread thread_;
};

}  // namespace kezek::rpc
