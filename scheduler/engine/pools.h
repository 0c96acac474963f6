// Which nodes a job may start on. The nodes of a GPU type make pools, each with an order of its
// own: the shared one, those dedicated to an account, the lanes of classes. A gang is of one pool.
// Guarantees, entitlement and borrowing are of the shared pools alone.
#pragma once

#include <compare>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "kezek/account.h"
#include "kezek/ids.h"
#include "kezek/job.h"
#include "kezek/node.h"
#include "kezek/node_owners.h"
#include "kezek/resources.h"
#include "quota/account_tree.h"

namespace kezek::engine {

struct PoolKey {
  std::string gpu_type;
  AccountId account;      // dedicated to it
  std::string job_class;  // lane of this class
  auto operator<=>(const PoolKey&) const = default;
  bool shared() const { return !account && job_class.empty(); }
};

PoolKey PoolOf(const Node& node, const NodeOwners& owners);

// The pools that are not shared and have nodes, in service or not.
std::set<PoolKey> PoolsApart(const std::map<std::string, Node>& nodes, const NodeOwners& owners);

// Where the job may start: the lane of its class, if there is one of its type, and nowhere else; or
// the nodes dedicated to accounts on its path, the nearest first, and then the shared ones.
std::vector<PoolKey> PoolsFor(const std::set<PoolKey>& apart, const quota::AccountTree& tree,
                              const JobSpec& spec);

}  // namespace kezek::engine
