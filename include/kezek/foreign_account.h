// Who pays for what runs beside Kezek.
#pragma once

#include <algorithm>
#include <string>

#include "kezek/desk.h"
#include "kezek/result.h"

namespace kezek {

// The account of this path, slurm.foreign_account of the configuration. FAILED_PRECONDITION
// FOREIGN_ACCOUNT: nothing can be charged to it, and why.
inline Result<AccountId> ForeignAccount(const Directory& directory, const std::string& path) {
  const auto refuse = [&path](const std::string& why) {
    return FieldProblem(Code::kFailedPrecondition,
                        {"slurm.foreign_account", "FOREIGN_ACCOUNT", "'" + path + "' " + why, {}});
  };
  const auto found = directory.account_by_path.find(path);
  if (found == directory.account_by_path.end()) return refuse("is no account");
  const Account& account = directory.accounts.at(found->second);
  const bool childless =
      std::none_of(directory.accounts.begin(), directory.accounts.end(),
                   [&](const auto& entry) { return entry.second.parent == account.id; });
  if (!childless) return refuse("has accounts below it: only projects are charged");
  if (account.kind != "project") return refuse("is a " + account.kind + ", not a project");
  if (account.closed) return refuse("is closed");
  return account.id;
}

}  // namespace kezek
