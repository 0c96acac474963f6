// Port to the cluster's own switch of its nodes, for when an admin takes one out or puts it back.
#pragma once

#include <set>
#include <string>

#include "kezek/result.h"

namespace kezek {

// Thread-safe. Blocks up to its time-out: for a thread that may wait. UNAVAILABLE everywhere: the
// cluster does not answer.
class ClusterNodes {
 public:
  virtual ~ClusterNodes() = default;
  // Whether the cluster that is there now takes orders about nodes at all.
  virtual Result<bool> TakesOrders() = 0;
  // The hosts that the cluster has drained, as it says now.
  virtual Result<std::set<std::string>> Drained() = 0;
  // Nothing new starts on the host, what runs goes on; shown with `reason`. Done again it only
  // changes the reason. FAILED_PRECONDITION: not done, with the cluster's words.
  virtual Result<void> Drain(const std::string& host, const std::string& reason) = 0;
  // Undoes that, whoever did it. FAILED_PRECONDITION as above.
  virtual Result<void> Resume(const std::string& host) = 0;
};

}  // namespace kezek
