#include "rpc/books_plan.h"

#include <algorithm>
#include <set>
#include <utility>

#include "rpc/account_convert.h"
#include "rpc/caller.h"
#include "rpc/shell_word.h"

namespace kezek::rpc {
namespace {

using Kind = MissingBooking::Kind;

std::string InSmallLetters(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

bool IsMemberOf(const User& user, AccountId project) {
  return std::any_of(user.roles.begin(), user.roles.end(), [&](const RoleGrant& grant) {
    return grant.account == project &&
           (grant.role == Role::kResearcher || grant.role == Role::kProjectLead);
  });
}

// What is wanted of one project.
struct Wanted {
  std::string path;
  std::string account;
  std::string qos;
  std::vector<std::string> users;  // Unix accounts
};

std::vector<Wanted> WantedBy(const Directory& directory) {
  std::vector<Wanted> all;
  for (const auto& [id, account] : directory.accounts) {
    if (account.kind != "project" || account.closed) continue;
    const AccountSettings settings = Effective(directory, id);
    Wanted wanted{PathOf(directory, id),
                  InSmallLetters(settings.slurm_account),
                  InSmallLetters(settings.slurm_qos),
                  {}};
    for (const auto& [user_id, user] : directory.users) {
      if (user.disabled || user.unix_account.empty() || !IsMemberOf(user, id)) continue;
      wanted.users.push_back(user.unix_account);
    }
    std::sort(wanted.users.begin(), wanted.users.end());
    all.push_back(std::move(wanted));
  }
  return all;
}

class Planner {
 public:
  explicit Planner(const ClusterAccounts& books) : books_(books) {
    for (const auto& [key, qos] : books.members) {
      if (!key.second.empty()) somewhere_.insert(key.second);
    }
  }

  void Add(const Wanted& wanted) {
    if (wanted.users.empty()) return;  // nobody runs anything
    if (wanted.account.empty()) {
      for (const std::string& user : wanted.users) {
        if (!somewhere_.contains(user)) Lack({Kind::kNoAccount, "", user, "", wanted.path});
      }
      return;
    }
    if (!books_.members.contains({wanted.account, ""})) {
      Lack({Kind::kAccount, wanted.account, "", "", wanted.path});
    }
    for (const std::string& user : wanted.users) {
      if (books_.members.contains({wanted.account, user})) continue;
      if (!listed_.insert({wanted.account, user}).second) continue;  // for another project
      const bool known = books_.users.contains(user) || made_.contains(user);
      Lack({known ? Kind::kMember : Kind::kUser, wanted.account, user, "", wanted.path});
      made_.insert(user);
    }
    if (!wanted.qos.empty()) AddQos(wanted);
  }

  std::vector<MissingBooking> Take() {
    std::stable_sort(lacking_.begin(), lacking_.end(),
                     [](const auto& a, const auto& b) { return a.kind < b.kind; });
    return std::move(lacking_);
  }

 private:
  // True where the books say so, or do not tell at all.
  static bool Allows(const std::set<std::string>& qos, const std::string& name) {
    return qos.empty() || qos.contains(name);
  }

  void AddQos(const Wanted& wanted) {
    if (!books_.qos.contains(wanted.qos)) Lack({Kind::kQos, "", "", wanted.qos, wanted.path});
    const auto account = books_.members.find({wanted.account, ""});
    const bool inherited = account != books_.members.end() && Allows(account->second, wanted.qos);
    if (!inherited) {
      Lack({Kind::kQosAllowed, wanted.account, "", wanted.qos, wanted.path});
      return;  // what its members have of it shows when it has it
    }
    for (const std::string& user : wanted.users) {
      const auto member = books_.members.find({wanted.account, user});
      if (member == books_.members.end() || Allows(member->second, wanted.qos)) continue;
      Lack({Kind::kQosOfMember, wanted.account, user, wanted.qos, wanted.path});
    }
  }

  // Once, whichever project wants it.
  void Lack(MissingBooking missing) {
    MissingBooking of_any = missing;
    of_any.project.clear();
    if (said_.insert(std::move(of_any)).second) lacking_.push_back(std::move(missing));
  }

  const ClusterAccounts& books_;
  std::set<std::string> somewhere_;                       // users with any association
  std::set<std::string> made_;                            // users that are about to be made
  std::set<std::pair<std::string, std::string>> listed_;  // (account, user)
  std::set<MissingBooking> said_;                         // without their projects
  std::vector<MissingBooking> lacking_;
};

}  // namespace

std::vector<MissingBooking> PlanBooks(const Directory& directory, const ClusterAccounts& books) {
  Planner planner(books);
  for (const Wanted& wanted : WantedBy(directory)) planner.Add(wanted);
  return planner.Take();
}

std::string BookingText(const MissingBooking& missing) {
  switch (missing.kind) {
    case Kind::kAccount:
      return "account " + missing.account;
    case Kind::kUser:
    case Kind::kMember:
      return "user " + missing.user + " in account " + missing.account;
    case Kind::kQos:
      return "qos " + missing.qos;
    case Kind::kQosAllowed:
      return "qos " + missing.qos + " for account " + missing.account;
    case Kind::kQosOfMember:
      return "qos " + missing.qos + " for user " + missing.user + " in account " + missing.account;
    case Kind::kNoAccount:
      return "any account for user " + missing.user + ", and project " + missing.project +
             " names no slurm_account";
  }
  return "";
}

std::string CommandFor(const MissingBooking& missing, const std::string& cluster) {
  const std::string here = " cluster=" + ShellWord(cluster);
  const std::string account = ShellWord(missing.account);
  const std::string user = ShellWord(missing.user);
  const std::string qos = ShellWord(missing.qos);
  switch (missing.kind) {
    case Kind::kAccount:
      return "sacctmgr -i add account " + account + here +
             " description=" + ShellWord(missing.project) + " organization=kezek";
    case Kind::kUser:
    case Kind::kMember:
      return "sacctmgr -i add user " + user + " account=" + account + here;
    case Kind::kQos:
      return "sacctmgr -i add qos " + qos;
    case Kind::kQosAllowed:
      return "sacctmgr -i modify account where name=" + account + here + " set qos+=" + qos;
    case Kind::kQosOfMember:
      return "sacctmgr -i modify user where name=" + user + " account=" + account + here +
             " set qos+=" + qos;
    case Kind::kNoAccount:
      return "kezek admin account set " + ShellWord(missing.project) + " --slurm-account NAME";
  }
  return "";
}

bool CanBeMade(const MissingBooking& missing) {
  return missing.kind == Kind::kAccount || missing.kind == Kind::kUser ||
         missing.kind == Kind::kMember;
}

Error BooksError(Error error) {
  if (error.code == Code::kUnavailable && error.details.empty()) {
    error.details.push_back({"", "BOOKS_AWAY", error.message, {}});
  }
  return error;
}

Result<void> MakeBooking(ClusterBooks& books, const MissingBooking& missing) {
  switch (missing.kind) {
    case Kind::kAccount:
      return books.AddAccount(missing.account, missing.project);
    case Kind::kUser:
      return books.AddUser(missing.user, missing.account);
    case Kind::kMember:
      return books.AddMember(missing.user, missing.account);
    case Kind::kQos:
    case Kind::kQosAllowed:
    case Kind::kQosOfMember:
    case Kind::kNoAccount:
      break;
  }
  return Error{Code::kUnimplemented, "", {}};
}

}  // namespace kezek::rpc
