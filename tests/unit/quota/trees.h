// Account trees for tests, made from lines of names and figures instead of whole rows.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kezek/account.h"
#include "quota/account_tree.h"

namespace kezek::quota::testing {

inline const std::string kType = "h200";

// One account: its id is its place in the list, from 1; figures in whole GPUs.
struct Row {
  std::int64_t parent = 0;  // id; 0: the root
  std::string name;
  std::int64_t guarantee = 0;
  std::int64_t weight = 1;
  std::optional<std::int64_t> borrow_max;
  std::optional<std::int64_t> lend_max;
  std::string kind = "project";
  bool closed = false;
  std::optional<std::int64_t> max_running;
};

inline std::map<AccountId, Account> Accounts(const std::vector<Row>& rows) {
  std::map<AccountId, Account> accounts;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row& row = rows[i];
    Account account;
    account.id = AccountId{static_cast<std::int64_t>(i) + 1};
    account.parent = AccountId{row.parent};
    account.name = row.name;
    account.kind = row.kind;
    account.closed = row.closed;
    Share share;
    share.weight_milli = row.weight * 1000;
    share.guarantee_milli = row.guarantee * 1000;
    if (row.borrow_max) share.borrow_max_milli = *row.borrow_max * 1000;
    if (row.lend_max) share.lend_max_milli = *row.lend_max * 1000;
    account.settings.shares[kType] = share;
    if (row.max_running) account.settings.account_limits.running_milli = *row.max_running * 1000;
    accounts[account.id] = account;
  }
  return accounts;
}

inline AccountTree Tree(const std::vector<Row>& rows) {
  Result<AccountTree> tree = AccountTree::Build(Accounts(rows));
  return std::move(tree).value();
}

inline std::size_t At(AccountIndex i) { return static_cast<std::size_t>(i); }

}  // namespace kezek::quota::testing
