#include "cmd/kezekd/prepared_cluster.h"

#include <utility>

namespace kezek::kezekd {
namespace {

constexpr int kThreads = 4;  // so that one account whose lookup hangs keeps nobody else waiting

}  // namespace

PreparedCluster::PreparedCluster(Ports ports, ClusterSink sink)
    : ports_(ports), sink_(std::move(sink)) {
  for (int i = 0; i < kThreads; ++i) threads_.emplace_back([this] { Run(); });
}

PreparedCluster::~PreparedCluster() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void PreparedCluster::Submit(Launch launch) {
  {
    const std::scoped_lock lock(mutex_);
    waiting_.push_back(std::move(launch));
  }
  wake_.notify_one();
}

void PreparedCluster::Run() {
  while (true) {
    Launch launch;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (stopping_) return;
      launch = std::move(waiting_.front());
      waiting_.pop_front();
    }
    Prepare(std::move(launch));
  }
}

void PreparedCluster::Prepare(Launch launch) {
  Result<void> ready = CheckAccount(launch);
  if (ready) ready = ports_.folders->Prepare(launch.attempt, launch.unix_account);
  if (ready) return ports_.cluster->Submit(std::move(launch));
  const Code code = ready.error().code;
  const bool for_good = code == Code::kNotFound || code == Code::kFailedPrecondition;
  sink_(LaunchRefused{launch.attempt, for_good, ready.error().message});
}

// An account may have been deleted since, and its name given to somebody else.
Result<void> PreparedCluster::CheckAccount(const Launch& launch) {
  const Result<std::int64_t> uid = ports_.accounts->FindUid(launch.unix_account);
  if (!uid) return uid.error();
  const std::string account = "the Unix account '" + launch.unix_account + "' has uid ";
  if (*uid != launch.unix_uid) {
    return Error{Code::kFailedPrecondition,
                 account + std::to_string(*uid) + ", not " + std::to_string(launch.unix_uid) +
                     " as when it was set: a cluster admin must set it again",
                 {}};
  }
  if (*uid < ports_.min_uid) {
    return Error{Code::kFailedPrecondition,
                 account + std::to_string(*uid) + ", below " + std::to_string(ports_.min_uid) +
                     ": no jobs run under it",
                 {}};
  }
  return {};
}

}  // namespace kezek::kezekd
