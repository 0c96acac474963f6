#include "cmd/kezekd/prepared_cluster.h"

#include <utility>

namespace kezek::kezekd {

void PreparedCluster::Submit(Launch launch) {
  const auto made = folders_->Prepare(launch.attempt, launch.unix_account);
  if (!made) {
    sink_(
        LaunchRefused{launch.attempt, made.error().code == Code::kNotFound, made.error().message});
    return;
  }
  cluster_->Submit(std::move(launch));
}

}  // namespace kezek::kezekd
