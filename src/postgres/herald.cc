#include "postgres/herald.h"

#include <utility>

namespace kezek::postgres {

void Item::Answer() {
  if (!done) {
    committed.set_value(write.error ? Result<void>(*write.error) : Result<void>());
  } else if (write.error) {
    done(*std::move(write.error));
  } else {
    done(std::move(write.submitted));
  }
}

Herald::Herald(std::vector<CommitObserver*> observers)
    : observers_(std::move(observers)), thread_([this] { Loop(); }) {}

Herald::~Herald() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Herald::Say(std::vector<Committed> committed, Items items) {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back({std::move(committed), std::move(items)});
  }
  wake_.notify_one();
}

void Herald::Finish() {
  std::unique_lock lock(mutex_);
  silent_.wait(lock, [this] { return waiting_.empty() && !speaking_; });
}

void Herald::Loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    News news = std::move(waiting_.front());
    waiting_.pop_front();
    speaking_ = true;
    lock.unlock();
    Tell(std::move(news));
    lock.lock();
    speaking_ = false;
    if (waiting_.empty()) silent_.notify_all();
  }
}

void Herald::Tell(News news) {
  for (const Committed& one : news.committed) {
    if (one.submitted.empty() && one.events.empty()) continue;
    for (CommitObserver* observer : observers_) observer->OnCommitted(one);
  }
  for (ItemPtr& item : news.items) {
    item->Answer();
    item.reset();
  }
}

}  // namespace kezek::postgres
