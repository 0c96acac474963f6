// A cluster whose launches are prepared first: the Unix account is checked and the output folder
// made, on threads of its own, as name services and shared file systems may hang.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "kezek/cluster.h"
#include "kezek/output.h"
#include "kezek/time.h"
#include "kezek/user.h"

namespace kezek::kezekd {

// A launch is refused for good if its Unix account is unknown, has another uid than when it was
// given to the user, or one below `min_uid`; for now if that cannot be found out, the folder cannot
// be made, or neither is done by its deadline: then it is never submitted. What hangs for a minute
// is an alarm in the log. Submit never blocks; launches may overtake each other. Everything else is
// handed on at once.
class PreparedCluster final : public Cluster {
 public:
  struct Ports {
    Cluster* cluster = nullptr;
    std::shared_ptr<OutputFolders> folders;  // these two are kept by calls that hang
    std::shared_ptr<UnixAccounts> accounts;
    std::int64_t min_uid = kDefaultMinUid;
    DurationMs deadline_ms = 5 * kMinuteMs;  // of a launch, since Submit
    DurationMs patience_ms = 5 * kSecondMs;  // of the destructor, with what hangs
  };

  PreparedCluster(Ports ports, ClusterSink sink);
  // Ends after what is under way, but leaves behind what hangs; neither the cluster nor the sink is
  // used any more. What still waits is dropped, as in a crash.
  ~PreparedCluster() override;
  PreparedCluster(const PreparedCluster&) = delete;
  PreparedCluster& operator=(const PreparedCluster&) = delete;

  void Submit(Launch launch) override;
  void Release(const AttemptRef& attempt, std::int64_t cluster_job_id,
               const std::string& unix_account) override;
  void Cancel(const AttemptRef& attempt, std::int64_t cluster_job_id,
              const std::string& unix_account) override;
  void Signal(const AttemptRef& attempt, std::int64_t cluster_job_id,
              const std::string& unix_account, const std::string& signal,
              bool batch_shell_only) override;
  void SetLimit(const Followed& job, DurationMs limit_ms) override;
  void FindByName(const AttemptRef& attempt) override;
  void Look(const Followed& job) override;
  void Reconcile() override;
  void Follow(std::vector<Followed> jobs) override;

 private:
  struct State;

  std::shared_ptr<State> state_;
  std::thread watch_;
};

}  // namespace kezek::kezekd
