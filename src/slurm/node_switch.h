// The nodes' switch on slurmctld, through slurmrestd: POST /node/{name}, from v0.0.40 on.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "kezek/cluster_nodes.h"
#include "kezek/meter.h"
#include "kezek/time.h"

namespace kezek::slurm {

struct NodeSwitchOptions {
  std::string url;
  std::string token_file;
  std::string jwt_key_file;
  std::string user;  // SlurmUser or root: may change nodes
  DurationMs request_timeout_ms = 10 * kSecondMs;
  Meter* meter = nullptr;  // outlives this; null: nobody is told
};

// On a connection of its own, one request at a time.
class NodeSwitch : public ClusterNodes {
 public:
  // The clock outlives this.
  NodeSwitch(NodeSwitchOptions options, Clock& clock);
  ~NodeSwitch() override;
  NodeSwitch(const NodeSwitch&) = delete;
  NodeSwitch& operator=(const NodeSwitch&) = delete;

  Result<bool> TakesOrders() override;
  Result<std::set<std::string>> Drained() override;
  Result<void> Drain(const std::string& host, const std::string& reason) override;
  Result<void> Resume(const std::string& host) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace kezek::slurm
