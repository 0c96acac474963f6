// When jobs and attempts want to be looked at again. One time for each; pure.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <utility>

#include "kezek/ids.h"
#include "kezek/time.h"

namespace kezek::control {

// Keys are attempts; a job that waits is its attempt number 0.
class Timers {
 public:
  // Replaces the time of this key; 0 takes it out.
  void Set(const AttemptRef& key, TimeMs at) {
    const auto found = at_.find(key);
    if (found != at_.end()) {
      if (found->second == at) return;
      queue_.erase({found->second, key});
      at_.erase(found);
    }
    if (at == 0) return;
    at_.emplace(key, at);
    queue_.emplace(at, key);
  }

  // Takes out the first that is due.
  std::optional<AttemptRef> PopDue(TimeMs now) {
    if (queue_.empty() || queue_.begin()->first > now) return std::nullopt;
    const AttemptRef key = queue_.begin()->second;
    queue_.erase(queue_.begin());
    at_.erase(key);
    return key;
  }

  std::optional<TimeMs> Next() const {
    if (queue_.empty()) return std::nullopt;
    return queue_.begin()->first;
  }

 private:
  std::map<AttemptRef, TimeMs> at_;
  std::set<std::pair<TimeMs, AttemptRef>> queue_;
};

}  // namespace kezek::control
