#include "output/begun_looks.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

namespace kezek::output {
namespace {

using Question = std::pair<AttemptRef, std::int64_t>;

constexpr std::size_t kAnswersKept = 1000;  // that nobody has fetched: who asked has lost interest

}  // namespace

struct BegunLooks::Shared {
  explicit Shared(Look its_look) : look(std::move(its_look)) {}

  const Look look;
  std::mutex mutex;
  std::condition_variable changed;
  // Under mutex.
  std::deque<Question> waiting;
  std::map<Question, std::optional<bool>> asked;  // with the answer, if there is one
  bool late = false;                              // the look under way is
  bool stopping = false;
};

BegunLooks::BegunLooks(Look look, DurationMs patience_ms)
    : patience_ms_(patience_ms), shared_(std::make_shared<Shared>(std::move(look))) {
  std::thread([shared = shared_] { Run(shared); }).detach();
}

BegunLooks::~BegunLooks() {
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->stopping = true;
  }
  shared_->changed.notify_all();
}

void BegunLooks::Run(const std::shared_ptr<Shared>& shared) {
  std::unique_lock lock(shared->mutex);
  while (true) {
    shared->changed.wait(lock, [&] { return shared->stopping || !shared->waiting.empty(); });
    if (shared->stopping) return;
    const Question question = shared->waiting.front();
    shared->waiting.pop_front();
    lock.unlock();
    const std::optional<bool> begun = shared->look(question.first, question.second);
    lock.lock();
    shared->late = false;
    if (shared->asked.size() > kAnswersKept) {
      std::erase_if(shared->asked, [](const auto& one) { return one.second.has_value(); });
    }
    if (begun) {
      shared->asked[question] = begun;
    } else {
      shared->asked.erase(question);
    }
    shared->changed.notify_all();
  }
}

std::optional<bool> BegunLooks::HasBegun(const AttemptRef& attempt, std::int64_t cluster_job_id) {
  const Question question{attempt, cluster_job_id};
  std::unique_lock lock(shared_->mutex);
  if (shared_->asked.emplace(question, std::nullopt).second) {
    shared_->waiting.push_back(question);
    shared_->changed.notify_all();
  }
  std::optional<bool> begun;
  const auto looked = [&] {
    const auto found = shared_->asked.find(question);
    if (found != shared_->asked.end()) begun = found->second;
    return begun.has_value() || found == shared_->asked.end();
  };
  if (!looked() && !shared_->late) {
    shared_->late =
        !shared_->changed.wait_for(lock, std::chrono::milliseconds(patience_ms_), looked);
  }
  if (begun) shared_->asked.erase(question);
  return begun;
}

}  // namespace kezek::output
