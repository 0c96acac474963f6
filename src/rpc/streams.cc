#include "rpc/streams.h"

#include <string>

namespace kezek::rpc {
namespace {

constexpr std::int64_t kOpenMost = 256;  // of one user
constexpr int kThreads = 2;              // of the read pool

Error TooMany() {
  const std::string most = std::to_string(kOpenMost);
  return FieldProblem(Code::kResourceExhausted,
                      {"",
                       "TOO_MANY_STREAMS",
                       "at most " + most + " watches and logs of one user are open at once",
                       {{"limit", most}}});
}

}  // namespace

Streams::Streams(Parts the_parts, Settings the_settings, std::size_t ring_capacity,
                 StreamTimes the_times)
    : parts(the_parts),
      settings(std::move(the_settings)),
      times(the_times),
      ring(ring_capacity,
           [this](std::function<void()> wake) { wakeups.After(0, std::move(wake)); }),
      lane(std::make_shared<Lane>(the_parts.read, kThreads)) {}

Result<std::int64_t> Streams::Enter(UserId user, std::function<void()> end) {
  const std::lock_guard lock(mutex_);
  if (stopped_) return Stopping();
  std::int64_t& open = of_user_[user];
  if (open == kOpenMost) return TooMany();
  ++open;
  entries_.emplace(++last_, Entry{user, std::move(end)});
  return last_;
}

void Streams::Leave(std::int64_t number) {
  const std::lock_guard lock(mutex_);
  const auto entry = entries_.find(number);
  if (entry == entries_.end()) return;
  const auto open = of_user_.find(entry->second.user);
  if (--open->second == 0) of_user_.erase(open);
  entries_.erase(entry);
}

void Streams::Stop() {
  std::map<std::int64_t, Entry> entries;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    entries.swap(entries_);
  }
  for (const auto& [number, entry] : entries) entry.end();
}

Error Stopping() {
  return FieldProblem(Code::kUnavailable,
                      {"", "STOPPING", "kezekd is stopping: connect again in a moment", {}});
}

}  // namespace kezek::rpc
