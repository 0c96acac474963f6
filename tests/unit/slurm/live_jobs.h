// Hand-made jobs of slurmctld's, for the tests of what is watched.
#pragma once

#include <cstdint>

#include "slurm/watch.h"

namespace kezek::slurm {

inline const AttemptRef kFirst{{JobId{5}, kNoElement}, 1};
inline const AttemptRef kSecond{{JobId{6}, kNoElement}, 1};

inline LiveJob Live(std::int64_t id, const AttemptRef& attempt, ClusterJobState state) {
  LiveJob live;
  live.name = ClusterName(attempt);
  live.job.id = id;
  live.job.attempt = attempt;
  live.job.tag = "inst:1:x";
  live.job.state = state;
  if (state != ClusterJobState::kPending) live.job.granted = {{"n01", 2, {}}};
  if (state == ClusterJobState::kRunning) {
    live.job.granted = {{"n01", 2, {3, 4}}};
    live.uses = {{"n01", "h200", 2, 4, 100}};
  }
  return live;
}

}  // namespace kezek::slurm
