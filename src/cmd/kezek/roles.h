// Roles by the names of the command line: researcher, lead, institution-admin, cluster-admin,
// auditor, metrics-reader.
#pragma once

#include <kezek/v1/access.pb.h>

#include <string>
#include <vector>

#include "kezek/result.h"

namespace kezek::cli {

const std::vector<std::string>& RoleNames();
// INVALID_ARGUMENT if there is no such role.
Result<v1::Role> RoleNamed(const std::string& name);
// `researcher of universities/kaznu/nlp`, `cluster-admin`.
std::string RoleText(const v1::RoleGrant& grant);
// `read, submit; only alem-llm; jobs of up to 8 GPUs`; "" without limits.
std::string LimitsText(const v1::TokenLimits& limits);

}  // namespace kezek::cli
