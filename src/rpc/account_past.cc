#include "rpc/account_past.h"

#include <algorithm>
#include <string>
#include <utility>

#include "rpc/account_convert.h"
#include "rpc/account_diff.h"
#include "rpc/status.h"

namespace kezek::rpc {
namespace {

std::string ActorName(const Directory& directory, UserId actor) {
  const auto found = directory.users.find(actor);
  return found == directory.users.end() ? "kezek" : found->second.name;
}

bool InTime(const v1::TimeRange& range, TimeMs time) {
  return time >= range.since_ms() && (range.until_ms() == 0 || time < range.until_ms());
}

}  // namespace

Result<std::map<AccountId, Account>> AccountsAt(const std::vector<AccountVersion>& history,
                                                std::int64_t version, const std::string& field) {
  const std::int64_t last = history.empty() ? 0 : history.back().account.version;
  if (version < 1 || version > last) {
    return NotFound("VERSION_NOT_FOUND", field,
                    "there is no version " + std::to_string(version) +
                        " of the settings: the last one is " + std::to_string(last));
  }
  std::map<AccountId, Account> accounts;
  for (const AccountVersion& row : history) {
    if (row.account.version <= version) accounts[row.account.id] = row.account;
  }
  return accounts;
}

std::vector<v1::SettingsChange> ChangesOf(const Caller& caller,
                                          const std::vector<AccountVersion>& history, AccountId top,
                                          const v1::TimeRange& time) {
  const Directory& directory = caller.directory();
  Directory tree;  // as of the version that is looked at
  std::vector<v1::SettingsChange> changes;
  for (auto row = history.begin(); row != history.end();) {
    const auto end = std::find_if(row, history.end(), [&](const AccountVersion& other) {
      return other.account.version != row->account.version;
    });
    std::map<AccountId, v1::Account> before;
    for (auto each = row; each != end; ++each) {
      const auto known = tree.accounts.find(each->account.id);
      v1::Account& slot = before[each->account.id];
      *slot.mutable_settings() = ToWire(AccountSettings{});
      if (known != tree.accounts.end()) slot = ToWire(tree, known->second);
    }
    for (auto each = row; each != end; ++each) tree.accounts[each->account.id] = each->account;
    std::vector<v1::FieldChange> fields;
    for (auto each = row; each != end; ++each) {
      const AccountId id = each->account.id;
      if (!caller.ReachesAccount(id) || !IsWithin(directory, id, top)) continue;
      AddDifferences(before[id], ToWire(tree, each->account), &fields);
    }
    if (!fields.empty() && InTime(time, row->time_ms)) {
      v1::SettingsChange& change = changes.emplace_back();
      change.set_version(row->account.version);
      change.set_time_ms(row->time_ms);
      change.set_actor(ActorName(directory, row->actor));
      change.set_reason(row->reason);
      change.mutable_changes()->Add(fields.begin(), fields.end());
    }
    row = end;
  }
  std::reverse(changes.begin(), changes.end());
  return changes;
}

void AddRoleChanges(const std::vector<Event>& roles, std::vector<v1::SettingsChange>* changes) {
  const auto text = [](const Event& event, const char* field) {
    const auto found = event.reason.fields.find(field);
    return found == event.reason.fields.end() ? std::string() : found->second;
  };
  for (const Event& event : roles) {
    v1::SettingsChange& change = changes->emplace_back();
    change.set_time_ms(event.time_ms);
    change.set_actor(event.actor);
    change.set_reason(text(event, "text"));
    v1::FieldChange& field = *change.add_changes();
    field.set_field("roles[" + event.name + "]");
    field.set_before("\"" + text(event, "from") + "\"");
    field.set_after("\"" + text(event, "to") + "\"");
  }
  std::stable_sort(changes->begin(), changes->end(),
                   [](const auto& a, const auto& b) { return a.time_ms() > b.time_ms(); });
}

}  // namespace kezek::rpc
