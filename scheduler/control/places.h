// Where accounts hung before they were moved. What an attempt uses counts for the accounts it was
// planned under: those that are left keep it, and those that a project comes to get none of it.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "kezek/account.h"
#include "kezek/desk.h"
#include "kezek/ids.h"

namespace kezek::control {

class Places {
 public:
  Places() = default;
  explicit Places(const std::vector<AccountPlace>& places);

  // `now` and `before` are an account that a command has changed.
  void Note(const Account& before, const Account& now);
  // Accounts above a project under a version of the settings; none if nothing was ever moved.
  std::vector<AccountId> Above(const Directory& directory, AccountId project,
                               std::int64_t version) const;

 private:
  std::map<AccountId, std::map<std::int64_t, AccountId>> parents_;  // of moved ones, by version
};

}  // namespace kezek::control
