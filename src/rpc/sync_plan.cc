#include "rpc/sync_plan.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

#include "rpc/status.h"
#include "rpc/tokens.h"
#include "rpc/user_rules.h"

namespace kezek::rpc {
namespace {

constexpr std::int64_t kFewLeavers = 3;
constexpr int kUsersMost = 100'000;

bool OfProject(Role role) { return role == Role::kResearcher || role == Role::kProjectLead; }

// Everything that a change of the user changes, as bytes.
std::string Bytes(const User& user) {
  std::string bytes = user.name + '\n' + user.display_name + '\n' + user.unix_account + '\n' +
                      std::to_string(user.unix_uid) + (user.disabled ? "-" : "+");
  for (const RoleGrant& grant : user.roles) {
    bytes += ' ' + std::to_string(static_cast<int>(grant.role)) + '.' +
             std::to_string(grant.account.value);
  }
  return bytes + '\0';
}

std::string Hex(const Sha256& hash) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < 16; ++i) {
    text += kDigits[hash[i] >> 4U];
    text += kDigits[hash[i] & 15U];
  }
  return text;
}

class Planner {
 public:
  Planner(const Caller& caller, const SyncRules& rules, UnixAccounts* accounts, AccountId scope)
      : caller_(caller), rules_(rules), accounts_(accounts), scope_(scope) {}

  Result<void> Listed(const v1::DirectoryUser& wire, int index) {
    const std::string field = "users[" + std::to_string(index) + "]";
    if (const auto name = CheckUserName(wire.name()); !name) return At(field, name.error());
    if (!MayKnow(caller_, wire.name())) {
      return FieldProblem(
          Code::kPermissionDenied,
          {field + ".name",
           "NOT_ADMINISTRATOR",
           "'" + wire.name() + "' is of another institution: cluster admins take such users in",
           {}});
    }
    if (!listed_.insert(wire.name()).second) {
      return Invalid(field + ".name", "'" + wire.name() + "' is there twice");
    }
    const auto wanted = Projects(wire, field);
    if (!wanted) return wanted.error();
    const auto known = directory().user_by_name.find(wire.name());
    const bool is_new = known == directory().user_by_name.end();
    const User before = is_new ? User{.name = wire.name()} : directory().users.at(known->second);
    User after = before;
    if (is_new) Note(after, "JOINS", {}, "joins");
    if (!is_new && before.disabled && before.roles.empty() && !wanted->empty()) {
      after.disabled = false;
      Note(after, "RETURNS", {}, "returns: gets the access back");
    }
    ChangeProjects(*wanted, &after);
    const bool reached = is_new || caller_.ReachesUser(before);
    if (reached && !wire.display_name().empty() && wire.display_name() != before.display_name) {
      after.display_name = wire.display_name();
      if (!is_new) Note(after, "RENAMED", {{"to", wire.display_name()}}, "is called {to}");
    }
    const auto unix_account = ChangeUnixAccount(wire, field, &after);
    if (!unix_account) return unix_account.error();
    Take(before, after);
    return {};
  }

  void Leavers() {
    for (const auto& [id, user] : directory().users) {
      const auto goes = [&](const RoleGrant& grant) {
        return grant.role <= Role::kInstitutionAdmin &&
               IsWithin(directory(), grant.account, scope_);
      };
      if (std::none_of(user.roles.begin(), user.roles.end(), goes)) continue;
      ++members_;
      if (listed_.contains(user.name) || id == caller_.user) continue;
      ++leavers_;
      User after = user;
      std::erase_if(after.roles, goes);
      after.disabled = after.disabled || after.roles.empty();
      Note(after, "LEAVES", {},
           after.roles.empty() ? "leaves: loses the access; queued jobs are held"
                               : "leaves: keeps roles elsewhere; queued jobs here are held");
      Take(user, after);
    }
  }

  SyncPlan Finish() {
    plan_.response.set_plan(Hex(HashBytes(bytes_)));
    plan_.too_many_leavers =
        leavers_ > kFewLeavers && leavers_ * 100 > members_ * rules_.leavers_percent;
    return std::move(plan_);
  }

 private:
  const Directory& directory() const { return caller_.directory(); }

  static Error At(const std::string& field, Error error) {
    for (auto& detail : error.details) detail.field = field + "." + detail.field;
    error.message = field + "." + error.message;
    return error;
  }

  Result<std::set<AccountId>> Projects(const v1::DirectoryUser& wire, const std::string& field) {
    std::set<AccountId> projects;
    for (int i = 0; i < wire.projects_size(); ++i) {
      const std::string place = field + ".projects[" + std::to_string(i) + "]";
      v1::RoleGrant grant;
      grant.set_role(v1::ROLE_RESEARCHER);
      grant.set_account(wire.projects(i));
      const auto read = ReadGrant(caller_, grant, place);
      if (!read) return read.error();
      if (!IsWithin(directory(), read->account, scope_)) {
        return Invalid(place, "'" + wire.projects(i) + "' is not below '" +
                                  PathOf(directory(), scope_) + "', which this is about");
      }
      projects.insert(read->account);
    }
    return projects;
  }

  void ChangeProjects(const std::set<AccountId>& wanted, User* user) {
    std::set<AccountId> has;
    std::vector<AccountId> gone;
    std::erase_if(user->roles, [&](const RoleGrant& grant) {
      if (!OfProject(grant.role) || !IsWithin(directory(), grant.account, scope_)) return false;
      if (wanted.contains(grant.account)) {
        has.insert(grant.account);
        return false;
      }
      gone.push_back(grant.account);
      return true;
    });
    for (const AccountId project : gone) {
      Note(*user, "LEAVES_PROJECT", {{"account", PathOf(directory(), project)}},
           "leaves {account}");
    }
    for (const AccountId project : wanted) {
      if (has.contains(project)) continue;
      user->roles.push_back({Role::kResearcher, project});
      Note(*user, "JOINS_PROJECT", {{"account", PathOf(directory(), project)}}, "joins {account}");
    }
    std::sort(user->roles.begin(), user->roles.end());
  }

  Result<void> ChangeUnixAccount(const v1::DirectoryUser& wire, const std::string& field,
                                 User* user) {
    const std::string& asked = wire.unix_account();
    if (asked.empty() || asked == user->unix_account) return {};
    const auto uid = CheckUnixAccount(caller_, asked, user->id, rules_.min_uid, accounts_);
    if (!uid) return At(field, uid.error());
    if (!unix_accounts_.insert(asked).second) {
      return Invalid(field + ".unix_account", "'" + asked + "' is there twice");
    }
    user->unix_account = asked;
    user->unix_uid = *uid;
    Note(*user, "UNIX_ACCOUNT", {{"to", asked}}, "runs jobs as {to}");
    return {};
  }

  void Note(const User& user, const std::string& code,
            const std::map<std::string, std::string>& fields, std::string sentence) {
    v1::SyncChange& change = *plan_.response.add_changes();
    change.set_user(user.name);
    change.mutable_reason()->set_code(code);
    for (const auto& [name, value] : fields) {
      (*change.mutable_reason()->mutable_fields())[name] = value;
      const auto place = sentence.find("{" + name + "}");
      if (place != std::string::npos) sentence.replace(place, name.size() + 2, value);
    }
    change.mutable_reason()->set_sentence(sentence);
  }

  void Take(const User& before, const User& after) {
    if (before == after) return;
    bytes_ += Bytes(before) + Bytes(after);
    plan_.users.push_back(ChangeBetween(before, after));
  }

  const Caller& caller_;
  const SyncRules rules_;
  UnixAccounts* const accounts_;
  const AccountId scope_;
  std::set<std::string> listed_;
  std::set<std::string> unix_accounts_;
  std::int64_t members_ = 0;
  std::int64_t leavers_ = 0;
  std::string bytes_;
  SyncPlan plan_;
};

}  // namespace

Result<SyncPlan> PlanSync(const Caller& caller, const v1::SyncUsersRequest& request,
                          const SyncRules& rules, UnixAccounts* accounts) {
  AccountId scope = kRootAccount;
  if (!request.account().empty()) {
    const auto found = FindVisibleAccount(caller, request.account(), "account");
    if (!found) return found.error();
    scope = *found;
  }
  if (!caller.ReachesAccount(scope)) {
    return Denied("NOT_ADMINISTRATOR", "you administer only a part of it: name that part");
  }
  if (request.users_size() > kUsersMost) {
    return Invalid("users", "are more than " + std::to_string(kUsersMost) + ": do it in parts");
  }
  Planner planner(caller, rules, accounts, scope);
  for (int i = 0; i < request.users_size(); ++i) {
    const auto listed = planner.Listed(request.users(i), i);
    if (!listed) return listed.error();
  }
  planner.Leavers();
  return planner.Finish();
}

}  // namespace kezek::rpc
