#include "quota/run_history.h"

#include <algorithm>
#include <iterator>

#include "kezek/check.h"

namespace kezek::quota {

RunLengths::Key RunLengths::OfName(AccountId project, UserId user, const std::string& name) {
  return {.project = project, .user = user, .name = name, .gpu_type = {}};
}

RunLengths::Key RunLengths::OfShape(AccountId project, UserId user, const Shape& shape) {
  return {.project = project,
          .user = user,
          .name = {},
          .gpu_type = shape.gpu_type,
          .nodes = shape.nodes,
          .gpus_per_node = shape.gpus_per_node};
}

void RunLengths::Learn(const EndedRun& run) {
  const DurationMs length = run.end_ms - run.start_ms;
  if (!run.typical || length < 0) return;
  if (!run.name.empty()) Learn(OfName(run.project, run.user, run.name), length);
  Learn(OfShape(run.project, run.user, run.shape), length);
}

void RunLengths::Learn(const Key& key, DurationMs length) {
  Kept& kept = kept_[key];
  by_age_.erase(kept.learned);
  kept.learned = next_++;
  by_age_.emplace(kept.learned, key);
  kept.lengths[kept.count++ % kSamples] = length;
  if (kept_.size() <= kKeys) return;
  kept_.erase(by_age_.begin()->second);
  by_age_.erase(by_age_.begin());
}

std::optional<DurationMs> RunLengths::Predict(AccountId project, UserId user,
                                              const std::string& name, const Shape& shape) const {
  auto found = name.empty() ? kept_.end() : kept_.find(OfName(project, user, name));
  if (found == kept_.end()) found = kept_.find(OfShape(project, user, shape));
  if (found == kept_.end()) return std::nullopt;
  const Kept& kept = found->second;
  const std::size_t count = std::min(kept.count, kSamples);
  DurationMs sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += kept.lengths[i];
  return sum / static_cast<DurationMs>(count);
}

void RunClock::Add(TimeMs from, TimeMs to) {
  if (to <= from) return;
  auto next = intervals_.upper_bound(from);
  if (next != intervals_.begin() && std::prev(next)->second >= from) {
    --next;
    from = next->first;
  }
  while (next != intervals_.end() && next->first <= to) {
    to = std::max(to, next->second);
    total_ms_ -= next->second - next->first;
    next = intervals_.erase(next);
  }
  intervals_.emplace(from, to);
  total_ms_ += to - from;
  while (!intervals_.empty()) {
    const auto oldest = intervals_.begin();
    const DurationMs rest = total_ms_ - (oldest->second - oldest->first);
    if (rest < keep_ms_ && intervals_.size() <= kIntervals) return;
    total_ms_ = rest;
    intervals_.erase(oldest);
  }
}

std::optional<TimeMs> RunClock::RanSince(DurationMs length, TimeMs now,
                                         std::optional<TimeMs> running_since) const {
  KEZEK_CHECK(length > 0 && length <= keep_ms_, "no more is kept");
  TimeMs edge = now;  // what is later has been looked at
  if (running_since && *running_since < now) {
    if (now - *running_since >= length) return now - length;
    length -= now - *running_since;
    edge = *running_since;
  }
  for (auto it = intervals_.rbegin(); it != intervals_.rend(); ++it) {
    const TimeMs end = std::min(it->second, edge);
    if (end <= it->first) continue;
    if (end - it->first >= length) return end - length;
    length -= end - it->first;
    edge = it->first;
  }
  return std::nullopt;
}

}  // namespace kezek::quota
