#include "cmd/kezekd/checkpoint_watch.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <future>
#include <memory>
#include <utility>
#include <vector>

#include "output/checkpoints.h"

namespace kezek::kezekd {
namespace {

constexpr DurationMs kEvery = kMinuteMs;
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
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void CheckpointWatch::Run() {
  while (Wait(kEvery)) Round();
}

bool CheckpointWatch::Wait(DurationMs wait_ms) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::milliseconds(wait_ms), [this] { return stopping_; });
  return !stopping_;
}

bool CheckpointWatch::Stopping() {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

void CheckpointWatch::Round() {
  const std::shared_ptr<const View> view = desk_.view();
  if (view == nullptr || !view->leads || view->alive == nullptr) return;
  Follow(*view);
  for (const Alive& alive : *view->alive) {
    const auto found = watched_.find(alive.attempt);
    if (found == watched_.end() || found->second.path.empty()) continue;
    if (Stopping()) return;
    Look(alive, found->second);
  }
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

void CheckpointWatch::Look(const Alive& alive, Watched& watched) {
  const Result<TimeMs> written = output::LastWritten(watched.path);
  NoteCheckpoint note{.job = alive.attempt.job, .attempt = alive.attempt.number};
  if (!written) {
    if (watched.unseen) return;
    watched.unseen = true;
    note.unseen = "new files at " + watched.path + " are not seen by Kezek (" +
                  written.error().message + "): report with kezek checkpoint";
    spdlog::warn("checkpoints not seen job={} reason='{}'", ToText(alive.attempt.job),
                 written.error().message);
  } else if (*written >= alive.start_ms && *written > watched.newest_ms) {
    watched.newest_ms = *written;
    note.at_ms = *written;
  } else {
    return;
  }
  // Refused, it has ended meanwhile.
  desk_.Do({UserId{}, "kezek", std::move(note)}, [](const Result<CommandOutcome>&) {});
}

}  // namespace kezek::kezekd
