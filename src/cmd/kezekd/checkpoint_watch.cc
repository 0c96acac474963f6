#include "cmd/kezekd/checkpoint_watch.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

namespace kezek::kezekd {
namespace {

constexpr DurationMs kEvery = kMinuteMs;
constexpr DurationMs kQuiet = kMinuteMs;  // what was written since then may not be complete
constexpr std::size_t kAskedAtOnce = 1000;

// On the read pool, and waited for: the pool answers every question, at its end too.
Result<std::vector<JobRecord>> Find(ReadStore& store, const JobQuery& query) {
  std::promise<Result<std::vector<JobRecord>>> answer;
  store.Read([&](Reader& reader) { answer.set_value(reader.ListJobs(query)); });
  return answer.get_future().get();
}

// Empty: nothing is watched. The elements of an array share theirs, so that a new file does not say
// whose it is.
std::string PathOf(const Job& job) {
  const JobSpec& spec = *job.spec;
  if (spec.checkpoint_path.empty() || spec.array) return "";
  if (spec.checkpoint_path.front() == '/') return spec.checkpoint_path;
  if (spec.working_directory.empty() || spec.working_directory.front() != '/') return "";
  return spec.working_directory + "/" + spec.checkpoint_path;
}

}  // namespace

void CheckpointWatch::Start() {
  thread_ = std::thread([this] { Run(); });
}

void CheckpointWatch::Stop() {
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->stopping = true;
  }
  shared_->changed.notify_all();
  if (thread_.joinable()) thread_.join();
}

void CheckpointWatch::Run() {
  while (Wait(kEvery)) Round();
}

bool CheckpointWatch::Wait(DurationMs wait_ms) {
  std::unique_lock lock(shared_->mutex);
  shared_->changed.wait_for(lock, std::chrono::milliseconds(wait_ms),
                            [this] { return shared_->stopping; });
  return !shared_->stopping;
}

bool CheckpointWatch::Stopping() {
  const std::lock_guard lock(shared_->mutex);
  return shared_->stopping;
}

void CheckpointWatch::Round() {
  const std::shared_ptr<const View> view = desk_.view();
  if (view == nullptr || !view->leads || view->alive == nullptr) return;
  Follow(*view);
  TakeLate();
  for (const Alive& alive : *view->alive) {
    const auto found = watched_.find(alive.attempt);
    if (found == watched_.end() || found->second.path.empty()) continue;
    const auto user = view->directory->users.find(alive.user);
    if (user == view->directory->users.end() || user->second.unix_account.empty()) continue;
    const auto uid = static_cast<::uid_t>(user->second.unix_uid);
    if (behind_.contains(found->second.path) || BehindOf(uid) >= kBehindOfOneMost) continue;
    if (behind_.size() >= kBehindMost || Stopping()) return;
    found->second.start_ms = alive.start_ms;
    Look(alive.attempt, found->second, uid);
  }
}

std::ptrdiff_t CheckpointWatch::BehindOf(::uid_t uid) const {
  return std::count_if(behind_.begin(), behind_.end(),
                       [uid](const auto& entry) { return entry.second->uid == uid; });
}

void CheckpointWatch::Follow(const View& view) {
  std::map<AttemptRef, Watched> still;
  std::map<JobRef, AttemptRef> fresh;
  for (const Alive& alive : *view.alive) {
    if (alive.start_ms == 0) continue;
    auto known = watched_.extract(alive.attempt);
    if (known) {
      still.insert(std::move(known));
    } else if (fresh.size() < kAskedAtOnce) {  // the others come with the next look
      fresh.emplace(alive.attempt.job, alive.attempt);
    }
  }
  watched_ = std::move(still);
  if (fresh.empty()) return;
  JobQuery query;
  query.limit = static_cast<std::int32_t>(kAskedAtOnce);
  for (const auto& [job, attempt] : fresh) query.refs.push_back(job);
  const auto records = Find(store_, query);
  if (!records) return;  // asked again by the next look
  for (const JobRecord& record : *records) {
    const auto found = fresh.find(record.job.ref);
    if (found != fresh.end()) watched_[found->second].path = PathOf(record.job);
  }
}

void CheckpointWatch::TakeLate() {
  for (auto it = behind_.begin(); it != behind_.end();) {
    {
      const std::lock_guard lock(shared_->mutex);
      if (!it->second->answer) {
        ++it;
        continue;
      }
    }
    const auto found = watched_.find(it->second->attempt);
    if (found != watched_.end()) Tell(found->first, found->second, *it->second->answer);
    it = behind_.erase(it);
  }
}

void CheckpointWatch::Look(const AttemptRef& attempt, Watched& watched, ::uid_t uid) {
  const auto one = std::make_shared<OneLook>(OneLook{attempt, uid, std::nullopt});
  const output::CheckpointRules rules{.uid = uid, .before_ms = clock_.Now() - kQuiet};
  const auto work = [shared = shared_, one, look = look_.look, path = watched.path, rules] {
    auto answer = look(path, rules);
    const std::lock_guard lock(shared->mutex);
    one->answer = std::move(answer);
    shared->changed.notify_all();
  };
  try {
    std::thread(work).detach();
  } catch (const std::system_error& error) {  // no threads are left: with the next look
    spdlog::warn("checkpoints not looked at reason='{}'", error.what());
    return;
  }
  std::unique_lock lock(shared_->mutex);
  shared_->changed.wait_for(lock, std::chrono::milliseconds(look_.wait_ms),
                            [&] { return one->answer || shared_->stopping; });
  if (one->answer) {
    lock.unlock();
    return Tell(attempt, watched, *one->answer);
  }
  if (shared_->stopping) return;
  lock.unlock();
  behind_.emplace(watched.path, one);
  Tell(attempt, watched, Error{Code::kFailedPrecondition, output::kCheckpointsNotSeen, {}});
}

void CheckpointWatch::Tell(const AttemptRef& attempt, Watched& watched,
                           const Result<TimeMs>& written) {
  {
    const std::lock_guard lock(shared_->mutex);
    if (shared_->untold.erase(attempt) > 0) watched.newest_ms = 0;
  }
  NoteCheckpoint note{.job = attempt.job, .attempt = attempt.number};
  if (!written) {
    if (!watched.said.insert(written.error().message).second) return;
    note.unseen = watched.path + ": " + written.error().message;
    spdlog::warn("checkpoints not seen job={} path='{}'", ToText(attempt.job), watched.path);
  } else if (*written >= watched.start_ms && *written > watched.newest_ms) {
    watched.newest_ms = *written;
    note.at_ms = *written;
  } else {
    return;
  }
  desk_.Do({UserId{}, "kezek", std::move(note)},
           [shared = shared_, attempt](const Result<CommandOutcome>& outcome) {
             // Else it is taken, or refused, since it has ended meanwhile.
             if (outcome || outcome.error().code != Code::kUnavailable) return;
             const std::lock_guard lock(shared->mutex);
             shared->untold.insert(attempt);
           });
}

}  // namespace kezek::kezekd
