// Checks of what Kezek itself knows: whether it leads, its users' Unix accounts, and what Slurm's
// accounting lacks for them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kezek/cluster_books.h"
#include "kezek/site_check.h"
#include "kezek/user.h"

namespace kezek::rpc {

struct ViewCheckPorts {
  std::shared_ptr<UnixAccounts> unix_accounts;
  std::shared_ptr<ClusterBooks> books;
  std::int64_t min_uid = kDefaultMinUid;
  std::string foreign_account;  // of the configuration; empty: none
};

// The Unix account of a user who has access; empty: there is none.
std::string SomeUnixAccount(const std::shared_ptr<const View>& view);

// "kezek-state", "kezek-users", "slurm-accounts", "foreign-account".
std::vector<SiteCheck> ViewChecks(const ViewCheckPorts& ports);

}  // namespace kezek::rpc
