// A cluster whose launches find their output folder: makes the folder, then hands the launch on.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kezek/cluster.h"
#include "kezek/output.h"

namespace kezek::kezekd {

// A folder that cannot be made refuses the launch, for good if the Unix account is unknown.
class PreparedCluster final : public Cluster {
 public:
  PreparedCluster(Cluster* cluster, OutputFolders* folders, ClusterSink sink)
      : cluster_(cluster), folders_(folders), sink_(std::move(sink)) {}

  void Submit(Launch launch) override;
  void Release(const AttemptRef& attempt, std::int64_t cluster_job_id,
               const std::string& unix_account) override {
    cluster_->Release(attempt, cluster_job_id, unix_account);
  }
  void Cancel(const AttemptRef& attempt, std::int64_t cluster_job_id,
              const std::string& unix_account) override {
    cluster_->Cancel(attempt, cluster_job_id, unix_account);
  }
  void Signal(const AttemptRef& attempt, std::int64_t cluster_job_id,
              const std::string& unix_account, const std::string& signal,
              bool batch_shell_only) override {
    cluster_->Signal(attempt, cluster_job_id, unix_account, signal, batch_shell_only);
  }
  void FindByName(const AttemptRef& attempt, const std::string& unix_account) override {
    cluster_->FindByName(attempt, unix_account);
  }
  void Look(const Followed& job) override { cluster_->Look(job); }
  void Reconcile() override { cluster_->Reconcile(); }
  void Follow(std::vector<Followed> jobs) override { cluster_->Follow(std::move(jobs)); }

 private:
  Cluster* cluster_;
  OutputFolders* folders_;
  ClusterSink sink_;
};

}  // namespace kezek::kezekd
