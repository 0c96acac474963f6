#include "cmd/kezekd/prepared_cluster.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <list>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace kezek::kezekd {
namespace {

using Steady = std::chrono::steady_clock;

constexpr int kThreads = 4;  // so that one account whose lookup hangs keeps nobody else waiting
constexpr DurationMs kLookMs = kSecondMs;  // between two looks at what takes long
constexpr DurationMs kAlarmMs = kMinuteMs;

std::chrono::milliseconds Span(DurationMs ms) { return std::chrono::milliseconds(ms); }

// An account may have been deleted since, and its name given to somebody else.
Result<void> CheckAccount(const PreparedCluster::Ports& ports, const Launch& launch) {
  const Result<std::int64_t> uid = ports.accounts->FindUid(launch.unix_account);
  if (!uid) return uid.error();
  const std::string account = "the Unix account '" + launch.unix_account + "' has uid ";
  if (*uid != launch.unix_uid) {
    return Error{Code::kFailedPrecondition,
                 account + std::to_string(*uid) + ", not " + std::to_string(launch.unix_uid) +
                     " as when it was set: a cluster admin must set it again",
                 {}};
  }
  if (*uid < ports.min_uid) {
    return Error{Code::kFailedPrecondition,
                 account + std::to_string(*uid) + ", below " + std::to_string(ports.min_uid) +
                     ": no jobs run under it",
                 {}};
  }
  return {};
}

}  // namespace

// Shared with the threads, which are detached: one that hangs outlives the cluster. Between taking
// a launch `in_hand` and coming back it touches the folders and the accounts only; once it is
// stopping, nothing else any more.
struct PreparedCluster::State {
  struct Work {
    Launch launch;
    Steady::time_point due;    // given up then
    Steady::time_point taken;  // by a thread
    bool alarmed = false;
    bool given_up = false;
  };

  State(Ports the_ports, ClusterSink the_sink)
      : ports(std::move(the_ports)), sink(std::move(the_sink)) {}

  static void Run(const std::shared_ptr<State>& state);
  void Finish(Launch launch, const Result<void>& ready) const;
  void Watch();
  std::vector<LaunchRefused> TakeLate(Steady::time_point now);

  const Ports ports;
  const ClusterSink sink;
  std::mutex mutex;
  std::condition_variable wake;  // of all threads
  // All under mutex.
  std::deque<Work> waiting;
  std::list<Work> in_hand;
  std::size_t threads = kThreads;  // that have not ended
  bool stopping = false;
};

void PreparedCluster::State::Run(const std::shared_ptr<State>& state) {
  std::unique_lock lock(state->mutex);
  while (true) {
    state->wake.wait(lock, [&] { return state->stopping || !state->waiting.empty(); });
    if (state->stopping) break;
    const auto work =
        state->in_hand.insert(state->in_hand.end(), std::move(state->waiting.front()));
    state->waiting.pop_front();
    work->taken = Steady::now();
    lock.unlock();
    Result<void> ready = CheckAccount(state->ports, work->launch);
    if (ready) {
      ready = state->ports.folders->Prepare(work->launch.attempt, work->launch.unix_account);
    }
    lock.lock();
    Work done = std::move(*work);
    state->in_hand.erase(work);
    if (state->stopping) break;
    if (done.given_up) continue;
    lock.unlock();
    state->Finish(std::move(done.launch), ready);
    lock.lock();
  }
  --state->threads;
  state->wake.notify_all();
}

void PreparedCluster::State::Finish(Launch launch, const Result<void>& ready) const {
  if (ready) return ports.cluster->Submit(std::move(launch));
  const Code code = ready.error().code;
  const bool for_good = code == Code::kNotFound || code == Code::kFailedPrecondition;
  sink(LaunchRefused{launch.attempt, for_good, ready.error().message});
}

// What is to be given up now, waiting or in hand; says of what has been in hand for long.
std::vector<LaunchRefused> PreparedCluster::State::TakeLate(Steady::time_point now) {
  std::vector<LaunchRefused> late;
  const auto give_up = [&](const Work& work) {
    late.push_back({work.launch.attempt, false,
                    "its Unix account and output folder could not be seen to in time: the name "
                    "service or the shared file system hangs"});
  };
  for (Work& work : in_hand) {
    if (!work.alarmed && now - work.taken >= Span(std::min(kAlarmMs, ports.deadline_ms))) {
      work.alarmed = true;
      spdlog::error(
          "alarm text='the launch of {} hangs at its Unix account {} or its output folder'",
          ClusterName(work.launch.attempt), work.launch.unix_account);
    }
    if (work.given_up || now < work.due) continue;
    work.given_up = true;
    give_up(work);
  }
  while (!waiting.empty() && now >= waiting.front().due) {
    give_up(waiting.front());
    waiting.pop_front();
  }
  return late;
}

void PreparedCluster::State::Watch() {
  std::unique_lock lock(mutex);
  while (!stopping) {
    wake.wait_for(lock, Span(std::min(kLookMs, ports.deadline_ms)));
    const std::vector<LaunchRefused> late = TakeLate(Steady::now());
    lock.unlock();
    for (const LaunchRefused& refused : late) sink(refused);
    lock.lock();
  }
}

PreparedCluster::PreparedCluster(Ports ports, ClusterSink sink)
    : state_(std::make_shared<State>(std::move(ports), std::move(sink))) {
  for (int i = 0; i < kThreads; ++i) {
    std::thread([state = state_] { State::Run(state); }).detach();
  }
  watch_ = std::thread([state = state_] { state->Watch(); });
}

PreparedCluster::~PreparedCluster() {
  std::unique_lock lock(state_->mutex);
  state_->stopping = true;
  state_->wake.notify_all();
  state_->wake.wait_for(lock, Span(state_->ports.patience_ms),
                        [this] { return state_->threads == 0; });
  // Those that hang stay behind; any other is on its way out.
  state_->wake.wait(lock, [this] { return state_->threads <= state_->in_hand.size(); });
  lock.unlock();
  watch_.join();
}

void PreparedCluster::Submit(Launch launch) {
  const auto due = Steady::now() + Span(state_->ports.deadline_ms);
  {
    const std::scoped_lock lock(state_->mutex);
    state_->waiting.push_back({.launch = std::move(launch), .due = due, .taken = {}});
  }
  state_->wake.notify_all();
}

void PreparedCluster::Release(const AttemptRef& attempt, std::int64_t cluster_job_id,
                              const std::string& unix_account) {
  state_->ports.cluster->Release(attempt, cluster_job_id, unix_account);
}

void PreparedCluster::Cancel(const AttemptRef& attempt, std::int64_t cluster_job_id,
                             const std::string& unix_account) {
  state_->ports.cluster->Cancel(attempt, cluster_job_id, unix_account);
}

void PreparedCluster::Signal(const AttemptRef& attempt, std::int64_t cluster_job_id,
                             const std::string& unix_account, const std::string& signal,
                             bool batch_shell_only) {
  state_->ports.cluster->Signal(attempt, cluster_job_id, unix_account, signal, batch_shell_only);
}

void PreparedCluster::SetLimit(const Followed& job, DurationMs limit_ms) {
  state_->ports.cluster->SetLimit(job, limit_ms);
}

void PreparedCluster::FindByName(const AttemptRef& attempt) {
  state_->ports.cluster->FindByName(attempt);
}

void PreparedCluster::Look(const Followed& job) { state_->ports.cluster->Look(job); }

void PreparedCluster::Reconcile() { state_->ports.cluster->Reconcile(); }

void PreparedCluster::Follow(std::vector<Followed> jobs) {
  state_->ports.cluster->Follow(std::move(jobs));
}

}  // namespace kezek::kezekd
