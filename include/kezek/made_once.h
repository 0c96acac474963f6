// A value that is made when it is first asked for, by whatever thread.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <utility>

namespace kezek {

// What makes it always makes the same; threads that ask at the same time may each make it, and one
// of these is kept.
template <class Value>
class MadeOnce {
 public:
  explicit MadeOnce(std::function<Value()> make) : make_(std::move(make)) {}
  MadeOnce(const MadeOnce&) = delete;
  MadeOnce& operator=(const MadeOnce&) = delete;
  ~MadeOnce() { delete made_.load(); }

  const Value& Get() const {
    const Value* made = made_.load();
    if (made != nullptr) return *made;
    auto own = std::make_unique<const Value>(make_());
    if (!made_.compare_exchange_strong(made, own.get())) return *made;
    return *own.release();
  }

 private:
  const std::function<Value()> make_;
  mutable std::atomic<const Value*> made_{nullptr};
};

}  // namespace kezek
