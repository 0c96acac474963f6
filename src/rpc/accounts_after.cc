#include "rpc/accounts_after.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace kezek::rpc {
namespace {

// Accounts by the one above them and their name.
using Names = std::map<std::pair<AccountId, std::string>, AccountId>;

// None if there is no such account by now.
AccountId Find(const Names& names, const std::string& path) {
  AccountId at = kRootAccount;
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const auto found = names.find({at, path.substr(begin, end - begin)});
    if (found == names.end()) return {};
    at = found->second;
    begin = end + 1;
  }
  return at;
}

bool IsBelowItself(const Directory& tree, const Account& account) {
  const Account* above = Above(tree, account);
  for (std::size_t i = 0; above != nullptr && i < tree.accounts.size(); ++i) {
    above = Above(tree, *above);
  }
  return above != nullptr;
}

}  // namespace

Result<AccountsAfter> MakeAccounts(const Directory& directory, const PutAccounts& command) {
  AccountsAfter after;
  auto& accounts = after.tree.accounts;
  accounts = directory.accounts;
  Names names;
  for (const auto& [id, account] : accounts) names[{account.parent, account.name}] = id;
  for (const PutAccounts::Item& item : command.accounts) {
    Account account = item.account;
    if (!item.parent_path.empty()) account.parent = Find(names, item.parent_path);
    if (!account.parent && account.id != kRootAccount) {
      return FieldProblem(Code::kNotFound, {"path",
                                            "NO_SUCH_ACCOUNT",
                                            "there is no account " + item.parent_path,
                                            {{"account", item.parent_path + "/" + account.name}}});
    }
    if (!account.id) account.id = AccountId{accounts.rbegin()->first.value + 1};
    if (const auto before = accounts.find(account.id); before != accounts.end()) {
      const auto name = names.find({before->second.parent, before->second.name});
      if (name != names.end() && name->second == account.id) names.erase(name);
    }
    names[{account.parent, account.name}] = account.id;
    after.ids.push_back(account.id);
    accounts[account.id] = std::move(account);
  }
  for (const AccountId id : after.ids) {
    const Account& account = accounts.at(id);
    if (!IsBelowItself(after.tree, account)) continue;
    return FieldProblem(Code::kInvalidArgument,
                        {"path", "CYCLE", "it is below itself", {{"account", account.name}}});
  }
  return after;
}

const Account* Above(const Directory& directory, const Account& account) {
  const auto found = directory.accounts.find(account.parent);
  return found == directory.accounts.end() ? nullptr : &found->second;
}

bool IsOpen(const Directory& directory, const Account& account) {
  for (const Account* at = &account; at != nullptr; at = Above(directory, *at)) {
    if (at->closed) return false;
  }
  return true;
}

}  // namespace kezek::rpc
