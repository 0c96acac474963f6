#include "scheduler/control/places.h"

#include <iterator>

namespace kezek::control {

Places::Places(const std::vector<AccountPlace>& places) {
  for (const AccountPlace& place : places) parents_[place.account][place.version] = place.parent;
}

void Places::Note(const Account& before, const Account& now) {
  if (before.parent == now.parent && !parents_.contains(now.id)) return;
  auto& parents = parents_[now.id];
  parents.try_emplace(before.version, before.parent);
  parents[now.version] = now.parent;
}

std::vector<AccountId> Places::Above(const Directory& directory, AccountId project,
                                     std::int64_t version) const {
  std::vector<AccountId> above;
  if (parents_.empty()) return above;
  for (AccountId at = project;;) {
    const auto account = directory.accounts.find(at);
    if (account == directory.accounts.end()) return above;
    AccountId parent = account->second.parent;
    if (const auto moved = parents_.find(at); moved != parents_.end()) {
      const auto after = moved->second.upper_bound(version);
      parent = (after == moved->second.begin() ? after : std::prev(after))->second;
    }
    if (!parent) return above;
    above.push_back(parent);
    at = parent;
  }
}

}  // namespace kezek::control
