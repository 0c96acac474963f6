#include "rpc/view_checks.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <utility>

#include "kezek/desk.h"
#include "kezek/foreign_account.h"
#include "rpc/books_plan.h"

namespace kezek::rpc {
namespace {

using Findings = std::vector<Finding>;
using Steady = std::chrono::steady_clock;

constexpr std::size_t kNamedInLine = 5;
// A directory that answers slowly is asked for so long; the others are not looked at.
constexpr std::chrono::seconds kAskUnixFor{10};

Finding NoView() {
  return {CheckState::kNotLookedAt, "only a kezekd that runs knows", "kezek admin doctor"};
}

// The first ones, and how many there are besides.
std::string Some(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < kNamedInLine; ++i) {
    text += (i == 0 ? "" : ", ") + names[i];
  }
  if (names.size() <= kNamedInLine) return text;
  return text + " and " + std::to_string(names.size() - kNamedInLine) + " more";
}

Findings LookAtState(const std::shared_ptr<const View>& view) {
  if (view == nullptr) return {NoView()};
  Findings findings;
  if (!view->leads) {
    return {{CheckState::kOk,
             "stands by; " + (view->leader_address.empty() ? std::string("nobody is known to lead")
                                                           : view->leader_address + " leads"),
             ""}};
  }
  if (!view->stop_reason.empty()) {
    findings.push_back({CheckState::kProblem,
                        "the scheduler has stopped itself: " + view->stop_reason,
                        "look into it, then: kezek admin resume --reason TEXT"});
  }
  if (!view->cluster_answers) {
    findings.push_back({CheckState::kProblem, "Slurm does not answer, so nothing starts",
                        "see slurm-api, slurm-token and slurm-controllers"});
  }
  if (findings.empty()) {
    findings.push_back({CheckState::kOk, "leads, epoch " + std::to_string(view->epoch), ""});
  }
  return findings;
}

bool RunsJobs(const User& user) {
  return std::any_of(user.roles.begin(), user.roles.end(), [](const RoleGrant& grant) {
    return grant.role == Role::kResearcher || grant.role == Role::kProjectLead;
  });
}

// Users by what is wrong with their Unix accounts.
struct UnixProblems {
  std::vector<std::string> unknown;
  std::vector<std::string> changed;
  std::vector<std::string> of_system;
  std::vector<std::string> none;
  std::size_t looked_at = 0;
  std::size_t not_looked_at = 0;
  std::string away;  // why a directory could not tell
};

UnixProblems LookAtUnix(const Directory& directory, const ViewCheckPorts& ports) {
  UnixProblems problems;
  const auto end = Steady::now() + kAskUnixFor;
  for (const auto& [id, user] : directory.users) {
    if (user.disabled) continue;
    if (user.unix_account.empty()) {
      if (RunsJobs(user)) problems.none.push_back(user.name);
      continue;
    }
    if (Steady::now() > end) {
      ++problems.not_looked_at;
      continue;
    }
    ++problems.looked_at;
    const auto uid = ports.unix_accounts->FindUid(user.unix_account);
    const std::string who = user.unix_account + " of " + user.name;
    if (!uid && uid.error().code == Code::kNotFound) {
      problems.unknown.push_back(who);
    } else if (!uid) {
      problems.away = uid.error().message;
    } else if (*uid != user.unix_uid) {
      problems.changed.push_back(who + " (uid " + std::to_string(*uid) + ", was " +
                                 std::to_string(user.unix_uid) + ")");
    } else if (*uid < ports.min_uid) {
      problems.of_system.push_back(who + " (uid " + std::to_string(*uid) + ")");
    }
  }
  return problems;
}

Findings LookAtUsers(const std::shared_ptr<const View>& view, const ViewCheckPorts& ports) {
  if (view == nullptr || view->directory == nullptr) return {NoView()};
  const UnixProblems problems = LookAtUnix(*view->directory, ports);
  Findings findings;
  const auto add = [&](CheckState state, const std::vector<std::string>& names,
                       const std::string& what, const std::string& mend) {
    if (!names.empty()) findings.push_back({state, Some(names) + ": " + what, mend});
  };
  add(CheckState::kProblem, problems.unknown, "no such Unix account on this host",
      "create it on every host of the cluster, or name another one: "
      "kezek admin user set-unix USER NAME");
  add(CheckState::kProblem, problems.changed, "the Unix account is another user's now",
      "if that is right: kezek admin user set-unix USER NAME");
  add(CheckState::kProblem, problems.of_system, "a system's account",
      "name a person's: kezek admin user set-unix USER NAME");
  add(CheckState::kWarning, problems.none, "in a project, without a Unix account: no job starts",
      "kezek admin user set-unix USER NAME");
  if (problems.not_looked_at > 0 || !problems.away.empty()) {
    const std::string left = std::to_string(problems.not_looked_at) + " were not looked at: ";
    findings.push_back(
        {CheckState::kNotLookedAt,
         left + (problems.away.empty() ? "the directory answers slowly" : problems.away),
         "getent passwd NAME should answer at once: is nscd or sssd up?"});
  }
  if (findings.empty()) {
    findings.push_back(
        {CheckState::kOk, std::to_string(problems.looked_at) + " Unix accounts are known", ""});
  }
  return findings;
}

Findings LookAtBooks(const std::shared_ptr<const View>& view, const ViewCheckPorts& ports) {
  if (view == nullptr || view->directory == nullptr) return {NoView()};
  const auto books = ports.books->ReadAccounts();
  if (!books) return {{CheckState::kNotLookedAt, books.error().message, ""}};
  const auto lacking = PlanBooks(*view->directory, *books);
  if (lacking.empty()) {
    return {{CheckState::kOk, "Slurm's accounting has what projects want", ""}};
  }
  std::vector<std::string> names;
  for (const auto& missing : lacking) names.push_back(BookingText(missing));
  return {{CheckState::kProblem, "Slurm's accounting lacks " + Some(names),
           "kezek admin slurm plan\nkezek admin slurm apply"}};
}

Findings LookAtForeignAccount(const std::shared_ptr<const View>& view, const std::string& path) {
  if (path.empty()) {
    return {{CheckState::kOk, "Slurm's jobs beside Kezek are charged to nobody", ""}};
  }
  if (view == nullptr || view->directory == nullptr) return {NoView()};
  const auto account = ForeignAccount(*view->directory, path);
  if (account) return {{CheckState::kOk, "Slurm's jobs beside Kezek are charged to " + path, ""}};
  return {{CheckState::kProblem,
           "nobody is charged for Slurm's jobs beside Kezek: " + account.error().message,
           "create that project, or name another one in slurm.foreign_account and restart kezekd"}};
}

}  // namespace

std::string SomeUnixAccount(const std::shared_ptr<const View>& view) {
  if (view == nullptr || view->directory == nullptr) return "";
  for (const auto& [id, user] : view->directory->users) {
    if (!user.disabled && !user.unix_account.empty()) return user.unix_account;
  }
  return "";
}

std::vector<SiteCheck> ViewChecks(const ViewCheckPorts& ports) {
  return {{"kezek-state", &LookAtState},
          {"kezek-users", [ports](const auto& view) { return LookAtUsers(view, ports); }},
          {"slurm-accounts", [ports](const auto& view) { return LookAtBooks(view, ports); }},
          {"foreign-account", [path = ports.foreign_account](const auto& view) {
             return LookAtForeignAccount(view, path);
           }}};
}

}  // namespace kezek::rpc
