#include "cmd/kezek/roles.h"

#include <algorithm>

#include "cmd/kezek/render.h"

namespace kezek::cli {

const std::vector<std::string>& RoleNames() {
  static const std::vector<std::string> names = {"researcher",    "lead",    "institution-admin",
                                                 "cluster-admin", "auditor", "metrics-reader"};
  return names;
}

Result<v1::Role> RoleNamed(const std::string& name) {
  const std::vector<std::string>& names = RoleNames();
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) {
    return Error{Code::kInvalidArgument,
                 "'" + name + "' is not a role: expected researcher, lead, institution-admin, " +
                     "cluster-admin, auditor or metrics-reader",
                 {}};
  }
  return static_cast<v1::Role>(v1::ROLE_RESEARCHER + (found - names.begin()));
}

std::string RoleText(const v1::RoleGrant& grant) {
  const auto index = static_cast<std::size_t>(grant.role() - v1::ROLE_RESEARCHER);
  const std::string name = index < RoleNames().size() ? RoleNames()[index] : "role";
  return grant.account().empty() ? name : name + " of " + grant.account();
}

std::string LimitsText(const v1::TokenLimits& limits) {
  std::string text;
  for (const std::string& scope : limits.scopes()) text += (text.empty() ? "" : ", ") + scope;
  std::string projects;
  for (const std::string& project : limits.projects()) {
    projects += (projects.empty() ? "only " : ", ") + project;
  }
  if (!projects.empty()) text += (text.empty() ? "" : "; ") + projects;
  if (limits.job_milli_gpus() > 0) {
    text += (text.empty() ? "" : "; ");
    text += "jobs of up to " + Gpus(limits.job_milli_gpus()) + " GPUs";
  }
  return text;
}

}  // namespace kezek::cli
