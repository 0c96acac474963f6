#include "rpc/dedicated_nodes.h"

#include <algorithm>

#include "rpc/status.h"

namespace kezek::rpc {
namespace {

bool Has(const std::vector<std::string>& nodes, const std::string& node) {
  return std::find(nodes.begin(), nodes.end(), node) != nodes.end();
}

// Whether an account above this path has the node that the caller rules: what is given to several
// institutions together is not one's own to divide.
bool IsGivenAbove(const Caller& caller, const std::string& path, const std::string& node) {
  const Directory& directory = caller.directory();
  for (auto slash = path.rfind('/'); slash != std::string::npos && slash > 0;
       slash = path.rfind('/', slash - 1)) {
    const auto found = directory.account_by_path.find(path.substr(0, slash));
    if (found == directory.account_by_path.end() || !caller.ReachesAccount(found->second)) continue;
    if (Has(directory.accounts.at(found->second).settings.dedicated_nodes, node)) return true;
  }
  return false;
}

// Whether an account, or one above it up to `top`, is closed.
bool IsClosedBelow(const Directory& directory, const Account& account, AccountId top) {
  for (const Account* at = &account; at->id != top; at = &directory.accounts.at(at->parent)) {
    if (at->closed) return true;
  }
  return false;
}

Result<void> CheckGiven(const Caller& caller, const std::string& path,
                        const std::vector<std::string>& nodes, const std::vector<std::string>& had,
                        const std::string& field) {
  for (const std::string& node : nodes) {
    if (Has(had, node) || IsGivenAbove(caller, path, node)) continue;
    return FieldProblem(
        Code::kPermissionDenied,
        {field + ".dedicated_nodes",
         "NOT_ADMINISTRATOR",
         node + " of '" + path +
             "' is not dedicated to an account above: those who administer the cluster give it",
         {{"node", node}, {"account", path}}});
  }
  return {};
}

}  // namespace

Result<void> CheckDedicated(const Caller& caller, const Directory& draft, const Account& wanted,
                            const std::string& path, const std::string& field) {
  if (caller.everywhere) return {};
  const Directory& directory = caller.directory();
  const auto known = directory.accounts.find(wanted.id);
  const bool is_new = known == directory.accounts.end();
  const bool reopened = !is_new && known->second.closed && !wanted.closed;
  std::vector<std::string> had;
  if (!is_new && !reopened) had = known->second.settings.dedicated_nodes;
  const auto own = CheckGiven(caller, path, wanted.settings.dedicated_nodes, had, field);
  if (!own || !reopened) return own;
  for (const auto& [id, below] : draft.accounts) {
    if (id == wanted.id || !IsWithin(draft, id, wanted.id)) continue;
    if (IsClosedBelow(draft, below, wanted.id)) continue;
    const auto given =
        CheckGiven(caller, PathOf(directory, id), below.settings.dedicated_nodes, {}, field);
    if (!given) return given;
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
