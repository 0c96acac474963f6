#include "postgres/read_pool.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "postgres/database_reader.h"

namespace kezek::postgres {

struct ReadPool::State {
  State(const ReadOptions& given, Clock& clock) : options(given) {
    for (std::size_t i = 0; i < options.threads; ++i) {
      threads.emplace_back([this, &clock] { Run(clock); });
    }
  }
  ~State() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    wake.notify_all();
    for (std::thread& thread : threads) thread.join();
  }

  void Run(Clock& clock) {
    DatabaseReader reader(options, clock);
    for (;;) {
      std::function<void(Reader&)> work;
      {
        std::unique_lock lock(mutex);
        wake.wait(lock, [this] { return stopping || !waiting.empty(); });
        if (waiting.empty()) return;
        work = std::move(waiting.front());
        waiting.pop_front();
      }
      work(reader);
    }
  }

  const ReadOptions options;
  std::mutex mutex;
  std::condition_variable wake;
  bool stopping = false;
  std::deque<std::function<void(Reader&)>> waiting;
  std::vector<std::thread> threads;
};

ReadPool::ReadPool(ReadOptions options, Clock& clock)
    : state_(std::make_unique<State>(options, clock)) {}

ReadPool::~ReadPool() = default;

void ReadPool::Read(std::function<void(Reader&)> work) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->waiting.push_back(std::move(work));
  }
  state_->wake.notify_one();
}

}  // namespace kezek::postgres
