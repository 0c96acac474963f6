#include "rpc/ring.h"

#include <algorithm>
#include <utility>

namespace kezek::rpc {

Ring::Ring(std::size_t capacity, std::function<void(std::function<void()>)> defer)
    : capacity_(capacity), defer_(std::move(defer)) {}

void Ring::OnCommitted(const Committed& committed) {
  if (committed.events.empty()) return;
  std::vector<std::shared_ptr<const Event>> fresh;
  fresh.reserve(committed.events.size());
  for (const auto& event : committed.events) fresh.push_back(std::make_shared<const Event>(event));
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    // A gap can only come of a new leadership: what is older is then read from the store.
    if (!events_.empty() && fresh.front()->seq != last_seq_ + 1) events_.clear();
    for (auto& event : fresh) events_.push_back(std::move(event));
    last_seq_ = events_.back()->seq;
    while (events_.size() > capacity_) events_.pop_front();
    wake = !waiting_.empty() && !waking_;
    if (wake) waking_ = true;
  }
  if (wake) defer_([this] { WakeAll(); });
}

void Ring::WakeAll() {
  std::vector<std::function<void()>> waiting;
  {
    const std::lock_guard lock(mutex_);
    waking_ = false;
    waiting.swap(waiting_);
  }
  for (const auto& wake : waiting) wake();
}

Ring::Piece Ring::After(std::int64_t seq, std::size_t limit) const {
  const std::lock_guard lock(mutex_);
  Piece piece{.last_seq = last_seq_};
  if (seq >= last_seq_) {
    // Before the first event nobody knows what the store has.
    if (last_seq_ == 0) piece.place = Place::kBehind;
    return piece;
  }
  const std::int64_t first = events_.front()->seq;
  if (seq + 1 < first) {
    piece.place = Place::kBehind;
    return piece;
  }
  const auto begin = static_cast<std::size_t>(seq + 1 - first);
  const std::size_t end = std::min(events_.size(), begin + limit);
  piece.events.assign(events_.begin() + static_cast<std::ptrdiff_t>(begin),
                      events_.begin() + static_cast<std::ptrdiff_t>(end));
  return piece;
}

std::int64_t Ring::last_seq() const {
  const std::lock_guard lock(mutex_);
  return last_seq_;
}

bool Ring::Wait(std::int64_t seq, std::function<void()> wake) {
  const std::lock_guard lock(mutex_);
  if (last_seq_ > seq) return false;
  waiting_.push_back(std::move(wake));
  return true;
}

}  // namespace kezek::rpc
