#include "rpc/token_limits.h"

#include <algorithm>
#include <utility>

#include "kezek/names.h"
#include "rpc/status.h"

namespace kezek::rpc {
namespace {

bool Has(const TokenLimits& limits, Scope scope) {
  return std::find(limits.scopes.begin(), limits.scopes.end(), scope) != limits.scopes.end();
}

Error TooNarrow(const std::string& field, const std::string& message,
                std::map<std::string, std::string> values) {
  return FieldProblem(Code::kPermissionDenied,
                      {field, "TOKEN_TOO_NARROW", message, std::move(values)});
}

Error Wider(const std::string& field, const std::string& message) {
  return FieldProblem(Code::kPermissionDenied, {field, "TOKEN_WIDER", message, {}});
}

std::string Gpus(MilliGpus milli) {
  std::string text = std::to_string(milli / 1000);
  if (milli % 1000 != 0) {
    std::string places = std::to_string(1000 + milli % 1000).substr(1);
    while (places.ends_with('0')) places.pop_back();
    text += "." + places;
  }
  return text;
}

}  // namespace

bool Covers(const TokenLimits& limits, Scope scope) {
  if (limits.scopes.empty()) return true;
  switch (scope) {
    case Scope::kMetrics:
      return true;
    case Scope::kRead:
      return Has(limits, Scope::kRead) || Has(limits, Scope::kManage) || Has(limits, Scope::kAdmin);
    case Scope::kSubmit:
      return Has(limits, Scope::kSubmit);
    case Scope::kManage:
      return Has(limits, Scope::kManage) || Has(limits, Scope::kAdmin);
    case Scope::kAdmin:
      return Has(limits, Scope::kAdmin);
  }
  return false;
}

Result<void> CheckProject(const Caller& caller, AccountId project) {
  if (caller.InToken(project)) return {};
  const std::string path = PathOf(caller.directory(), project);
  return TooNarrow("spec.project", "this token is not for project '" + path + "'",
                   {{"account", path}});
}

Result<void> CheckJobSize(const Caller& caller, MilliGpus counted_milli) {
  const MilliGpus most = caller.limits.job_milli;
  if (most == 0 || counted_milli <= most) return {};
  return TooNarrow("spec.shape",
                   "the job counts as " + Gpus(counted_milli) +
                       " GPUs, and this token submits jobs of up to " + Gpus(most),
                   {{"asked", Gpus(counted_milli)}, {"limit", Gpus(most)}});
}

Result<TokenLimits> ReadLimits(const Caller& caller, const v1::TokenLimits& wire) {
  // Tokens are one's own, so making one reaches no account; the own projects may be named all the
  // same.
  Caller sees = caller;
  for (const RoleGrant& grant : caller.directory().users.at(caller.user).roles) {
    if (grant.role <= Role::kInstitutionAdmin && caller.InToken(grant.account)) {
      sees.accounts.insert(grant.account);
    }
  }
  TokenLimits limits;
  for (int i = 0; i < wire.scopes_size(); ++i) {
    const auto scope = FromName<Scope>(wire.scopes(i));
    if (!scope) {
      return Invalid("limits.scopes[" + std::to_string(i) + "]",
                     "must be one of read, submit, manage, admin, metrics");
    }
    limits.scopes.push_back(*scope);
  }
  for (int i = 0; i < wire.projects_size(); ++i) {
    const auto account =
        FindVisibleAccount(sees, wire.projects(i), "limits.projects[" + std::to_string(i) + "]");
    if (!account) return account.error();
    limits.projects.push_back(*account);
  }
  if (wire.job_milli_gpus() < 0) {
    return Invalid("limits.job_milli_gpus", "must not be negative; 0 means no limit of its own");
  }
  limits.job_milli = wire.job_milli_gpus();
  const auto tidy = [](auto* list) {
    std::sort(list->begin(), list->end());
    list->erase(std::unique(list->begin(), list->end()), list->end());
  };
  tidy(&limits.scopes);
  tidy(&limits.projects);
  return limits;
}

Result<void> Confine(const Caller& caller, TokenLimits* limits) {
  for (const AccountId project : limits->projects) {
    if (caller.ReachesAccount(project)) continue;
    return Wider("limits.projects",
                 "you do not administer '" + PathOf(caller.directory(), project) + "'");
  }
  if (limits->projects.empty()) {
    limits->projects.assign(caller.accounts.begin(), caller.accounts.end());
  }
  return {};
}

Result<void> CheckNoWider(const Caller& caller, const Token& made) {
  const TokenLimits& own = caller.limits;
  if (own == TokenLimits{}) return {};
  if (made.limits.scopes.empty() != own.scopes.empty() && !own.scopes.empty()) {
    return Wider("limits.scopes", "your own token has scopes: name some of them");
  }
  for (const Scope scope : made.limits.scopes) {
    if (Covers(own, scope)) continue;
    return Wider("limits.scopes", "your own token is not for '" + std::string(NameOf(scope)) + "'");
  }
  if (made.limits.projects.empty() && !own.projects.empty()) {
    return Wider("limits.projects", "your own token is for some projects only: name some of them");
  }
  for (const AccountId project : made.limits.projects) {
    if (caller.InToken(project)) continue;
    return Wider("limits.projects",
                 "your own token is not for '" + PathOf(caller.directory(), project) + "'");
  }
  const MilliGpus size = made.limits.job_milli;
  if (own.job_milli != 0 && (size == 0 || size > own.job_milli)) {
    return Wider("limits.job_milli_gpus",
                 "your own token submits jobs of up to " + Gpus(own.job_milli) + " GPUs");
  }
  if (caller.token_expires_ms != 0 && made.expires_ms > caller.token_expires_ms) {
    return Wider("lifetime_ms", "your own token ends sooner");
  }
  return {};
}

v1::TokenLimits ToWire(const Directory& directory, const TokenLimits& limits) {
  v1::TokenLimits wire;
  for (const Scope scope : limits.scopes) wire.add_scopes(std::string(NameOf(scope)));
  for (const AccountId project : limits.projects) wire.add_projects(PathOf(directory, project));
  wire.set_job_milli_gpus(limits.job_milli);
  return wire;
}

}  // namespace kezek::rpc
