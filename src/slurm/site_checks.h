// Checks of Slurm as slurmrestd shows it: whether it answers, takes the token, lets its user act as
// others, and whether clocks, partition and nodes are as Kezek takes them to be.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kezek/node.h"
#include "kezek/site_check.h"
#include "kezek/time.h"

namespace kezek::slurm {

struct CheckOptions {
  std::string url;
  std::string token_file;
  std::string jwt_key_file;
  std::string user;
  std::string partition;       // empty: Slurm's default
  std::vector<Node> topology;  // the configured machine
  std::string topology_file;   // its name, for people
  // A Unix account that jobs run as; null, or empty: nobody's is taken.
  std::function<std::string(const std::shared_ptr<const View>&)> somebody;
  DurationMs request_timeout_ms = 5 * kSecondMs;
};

// Each on a connection of its own. The clock outlives them.
std::vector<SiteCheck> SlurmChecks(const CheckOptions& options, Clock& clock);

// What the topology file says and Slurm does not, or otherwise. Pure.
std::vector<Finding> CompareNodes(const std::vector<Node>& topology, const std::vector<Node>& slurm,
                                  const std::string& file);

// When a token's JWT ends; 0: it does not say, or is none. The signature is not looked at.
TimeMs TokenEnd(const std::string& token);

}  // namespace kezek::slurm
