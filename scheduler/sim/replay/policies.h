// The policies by their names.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/sim/replay/job_list.h"
#include "scheduler/sim/replay/kezek_policy.h"
#include "scheduler/sim/replay/order.h"
#include "scheduler/sim/replay/policy.h"

namespace kezek::replay {

struct NamedPolicy {
  std::string_view name;
  std::string_view about;
};

// In the order in which they are compared.
const std::vector<NamedPolicy>& Policies();

// Null: there is none of this name. `list` must outlive it.
std::unique_ptr<Policy> MakePolicy(std::string_view name, const JobList& list,
                                   const KezekRules& rules,
                                   const MultifactorRules& multifactor = {});

}  // namespace kezek::replay
