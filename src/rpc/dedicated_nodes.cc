#include "rpc/dedicated_nodes.h"

#include <algorithm>

#include "rpc/accounts_after.h"

namespace kezek::rpc {
namespace {

bool Has(const std::vector<std::string>& nodes, const std::string& node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

// Whether an account above has the node that the caller rules: what is given to several
// institutions together is not one's own to divide.
bool IsGivenAbove(const Caller& caller, const Directory& after, const Account& account,
                  const std::string& node) {
  const Directory& directory = caller.directory();
  for (const Account* above = Above(after, account); above != nullptr;
       above = Above(after, *above)) {
    const auto now = directory.accounts.find(above->id);
    if (now == directory.accounts.end() || !caller.ReachesAccount(above->id)) continue;
    if (!IsOpen(directory, now->second) || !IsOpen(after, *above)) continue;
    if (Has(now->second.settings.dedicated_nodes, node)) return true;
  }
  return false;
}

// What is the account's already, as far as it is nobody else's by now.
std::vector<std::string> NodesHad(const Directory& directory, const Directory& after,
                                  const Account& account) {
  const auto known = directory.accounts.find(account.id);
  if (known == directory.accounts.end()) return {};
  const bool reopened = !IsOpen(directory, known->second) && IsOpen(after, account);
  if (reopened) return {};
  return known->second.settings.dedicated_nodes;
}

// The field of the change that the account is under: its own, or the nearest above; else null.
const std::string* FieldOf(const Directory& after, const Account& account,
                           const std::map<AccountId, std::string>& changed) {
  for (const Account* at = &account; at != nullptr; at = Above(after, *at)) {
    if (const auto found = changed.find(at->id); found != changed.end()) return &found->second;
  }
  return nullptr;
}

}  // namespace

Result<void> CheckDedicated(const Caller& caller, const Directory& after,
                            const std::map<AccountId, std::string>& changed) {
  if (caller.everywhere) return {};
  for (const auto& [id, account] : after.accounts) {
    if (account.settings.dedicated_nodes.empty()) continue;
    const std::string* field = FieldOf(after, account, changed);
    if (field == nullptr) continue;
    const auto had = NodesHad(caller.directory(), after, account);
    for (const std::string& node : account.settings.dedicated_nodes) {
      if (Has(had, node) || IsGivenAbove(caller, after, account, node)) continue;
      const std::string path = PathOf(after, id);
      return FieldProblem(
          Code::kPermissionDenied,
          {*field + ".dedicated_nodes",
           "NOT_ADMINISTRATOR",
           node + " of '" + path +
               "' is not dedicated to an account above: those who administer the cluster give it",
           {{"node", node}, {"account", path}}});
    }
  }
  return {};
}

std::vector<std::string> NodesLeft(const Directory& directory, const Account& account,
                                   const NodesSaid& said) {
  std::vector<std::string> left = account.settings.dedicated_nodes;
  std::erase_if(left, [&](const std::string& node) {
    for (AccountId above = account.parent; above;) {
      const Account& at = directory.accounts.at(above);
      const auto now = said.find(above);
      if (now != said.end() && Has(now->second, node)) return false;
      if (now != said.end() && Has(at.settings.dedicated_nodes, node)) return true;
      if (above == kRootAccount) break;
      above = at.parent;
    }
    return false;
  });
  return left;
}

}  // namespace kezek::rpc
