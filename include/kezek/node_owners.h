// Whose nodes are: dedicated to an account, the lane of a class, or everybody's.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "kezek/account.h"
#include "kezek/ids.h"
#include "kezek/resources.h"

namespace kezek {

// One of the two is set.
struct NodeOwner {
  AccountId account;      // dedicated to it
  std::string job_class;  // lane of this class
  bool operator==(const NodeOwner&) const = default;
};

// By the node's name; nodes that are everybody's are left out.
using NodeOwners = std::map<std::string, NodeOwner>;

// Whether all of it is on nodes that have an owner: what so runs is in no guarantee.
inline bool IsApart(const Placement& placement, const NodeOwners& owners) {
  if (owners.empty() || placement.empty()) return false;
  return std::all_of(placement.begin(), placement.end(),
                     [&](const NodeGrant& grant) { return owners.contains(grant.node); });
}

// An account that names nodes, and how many accounts are above it.
using NodeGiver = std::pair<int, const Account*>;

namespace node_owners_internal {

// Accounts above it; -1: it or one of these is closed, or it is below itself.
inline int Depth(const std::map<AccountId, Account>& accounts, const Account& account) {
  const int most = static_cast<int>(accounts.size());
  const Account* at = &account;
  for (int depth = 0; depth <= most && !at->closed; ++depth) {
    const auto parent = accounts.find(at->parent);
    if (parent == accounts.end()) return depth;
    at = &parent->second;
  }
  return -1;
}

}  // namespace node_owners_internal

// A lane comes before accounts; of accounts that name a node the lowest has it. Names that the
// machine does not have are in it, too. `givers` are open accounts, by id.
inline NodeOwners OwnersOf(std::vector<NodeGiver> givers,
                           const std::map<std::string, ClassRules>& classes) {
  std::stable_sort(givers.begin(), givers.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  NodeOwners owners;
  for (const auto& [depth, account] : givers) {
    for (const std::string& node : account->settings.dedicated_nodes) {
      owners[node] = {account->id, {}};
    }
  }
  for (const auto& [name, rules] : classes) {
    for (const std::string& node : rules.nodes) owners[node] = {{}, name};
  }
  return owners;
}

// What is closed, or below what is, owns nothing.
inline NodeOwners OwnersOf(const std::map<AccountId, Account>& accounts,
                           const std::map<std::string, ClassRules>& classes) {
  std::vector<NodeGiver> givers;
  for (const auto& [id, account] : accounts) {
    if (account.settings.dedicated_nodes.empty()) continue;
    const int depth = node_owners_internal::Depth(accounts, account);
    if (depth >= 0) givers.push_back({depth, &account});
  }
  return OwnersOf(std::move(givers), classes);
}

}  // namespace kezek
