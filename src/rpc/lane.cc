#include "rpc/lane.h"

#include <utility>

namespace kezek::rpc {

void Lane::Work(UserId user, std::function<void(Reader&)> work) {
  {
    const std::lock_guard lock(mutex_);
    if (under_way_ == most_) return waiting_[user].push_back(std::move(work));
    ++under_way_;
  }
  Start(std::move(work));
}

void Lane::Start(std::function<void(Reader&)> work) {
  read_->Read([self = shared_from_this(), work = std::move(work)](Reader& reader) {
    work(reader);
    self->StartNext();
  });
}

void Lane::StartNext() {
  std::function<void(Reader&)> work;
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.empty()) {
      --under_way_;
      return;
    }
    auto next = waiting_.upper_bound(served_);
    if (next == waiting_.end()) next = waiting_.begin();
    served_ = next->first;
    work = std::move(next->second.front());
    next->second.pop_front();
    if (next->second.empty()) waiting_.erase(next);
  }
  Start(std::move(work));
}

}  // namespace kezek::rpc
