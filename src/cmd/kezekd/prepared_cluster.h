// A cluster whose launches are prepared first: the Unix account is checked and the output folder
// made, on threads of its own, as name services and shared file systems may hang.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "kezek/cluster.h"
#include "kezek/output.h"
#include "kezek/user.h"

namespace kezek::kezekd {

// A launch is refused for good if its Unix account is unknown, has another uid than when it was
// given to the user, or one below `min_uid`; for now if that cannot be found out or the folder
// cannot be made. Submit never blocks; launches may overtake each other. Everything else is handed
// on at once.
class PreparedCluster final : public Cluster {
 public:
  struct Ports {
    Cluster* cluster = nullptr;
    OutputFolders* folders = nullptr;
    UnixAccounts* accounts = nullptr;
    std::int64_t min_uid = kDefaultMinUid;
  };

  PreparedCluster(Ports ports, ClusterSink sink);
  // Ends after what is under way; what still waits is dropped, as in a crash.
  ~PreparedCluster() override;
  PreparedCluster(const PreparedCluster&) = delete;
  PreparedCluster& operator=(const PreparedCluster&) = delete;

  void Submit(Launch launch) override;
  void Release(const AttemptRef& attempt, std::int64_t cluster_job_id,
               const std::string& unix_account) override {
    ports_.cluster->Release(attempt, cluster_job_id, unix_account);
  }
  void Cancel(const AttemptRef& attempt, std::int64_t cluster_job_id,
              const std::string& unix_account) override {
    ports_.cluster->Cancel(attempt, cluster_job_id, unix_account);
  }
  void Signal(const AttemptRef& attempt, std::int64_t cluster_job_id,
              const std::string& unix_account, const std::string& signal,
              bool batch_shell_only) override {
    ports_.cluster->Signal(attempt, cluster_job_id, unix_account, signal, batch_shell_only);
  }
  void FindByName(const AttemptRef& attempt) override { ports_.cluster->FindByName(attempt); }
  void Look(const Followed& job) override { ports_.cluster->Look(job); }
  void Reconcile() override { ports_.cluster->Reconcile(); }
  void Follow(std::vector<Followed> jobs) override { ports_.cluster->Follow(std::move(jobs)); }

 private:
  void Run();
  void Prepare(Launch launch);
  Result<void> CheckAccount(const Launch& launch);

  const Ports ports_;
  const ClusterSink sink_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Launch> waiting_;  // under mutex_
  bool stopping_ = false;       // under mutex_
  std::vector<std::thread> threads_;
};

}  // namespace kezek::kezekd
