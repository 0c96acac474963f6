#include "rpc/streams.h"

#include <vector>

namespace kezek::rpc {

Streams::Streams(Parts the_parts, Settings the_settings, std::size_t ring_capacity,
                 StreamTimes the_times)
    : parts(the_parts),
      settings(std::move(the_settings)),
      times(the_times),
      ring(ring_capacity,
           [this](std::function<void()> wake) { wakeups.After(0, std::move(wake)); }) {}

std::int64_t Streams::Enter(std::function<void()> end) {
  const std::lock_guard lock(mutex_);
  if (stopped_) return 0;
  ends_.emplace(++last_, std::move(end));
  return last_;
}

void Streams::Leave(std::int64_t number) {
  const std::lock_guard lock(mutex_);
  ends_.erase(number);
}

void Streams::Stop() {
  std::map<std::int64_t, std::function<void()>> ends;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    ends.swap(ends_);
  }
  for (const auto& [number, end] : ends) end();
}

Error Stopping() {
  return FieldProblem(Code::kUnavailable,
                      {"", "STOPPING", "kezekd is stopping: connect again in a moment", {}});
}

}  // namespace kezek::rpc
