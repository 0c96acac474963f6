#include "rpc/streams.h"

#include <string>

namespace kezek::rpc {
namespace {

constexpr std::int64_t kOpenMost = 256;  // of one user
constexpr int kWorksMost = 2;            // of the read pool's threads, of which there are more

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
           [this](std::function<void()> wake) { wakeups.After(0, std::move(wake)); }) {}

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

void Streams::Work(UserId user, std::function<void(Reader&)> work) {
  {
    const std::lock_guard lock(work_mutex_);
    if (under_way_ == kWorksMost) return works_[user].push_back(std::move(work));
    ++under_way_;
  }
  Start(std::move(work));
}

void Streams::Start(std::function<void(Reader&)> work) {
  parts.read->Read([self = shared_from_this(), work = std::move(work)](Reader& reader) {
    work(reader);
    self->StartNext();
  });
}

void Streams::StartNext() {
  std::function<void(Reader&)> work;
  {
    const std::lock_guard lock(work_mutex_);
    if (works_.empty()) {
      --under_way_;
      return;
    }
    auto next = works_.upper_bound(served_);
    if (next == works_.end()) next = works_.begin();
    served_ = next->first;
    work = std::move(next->second.front());
    next->second.pop_front();
    if (next->second.empty()) works_.erase(next);
  }
  Start(std::move(work));
}

Error Stopping() {
  return FieldProblem(Code::kUnavailable,
                      {"", "STOPPING", "kezekd is stopping: connect again in a moment", {}});
}

}  // namespace kezek::rpc
