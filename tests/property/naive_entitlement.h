// Entitlement by its definition, for clarity alone: levels are filled by freezing whoever would
// leave its bounds, with fractions over one denominator, until nobody does.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "quota/entitlement.h"

namespace kezek::test {

// As set; what is closed, or below what is closed, has none.
MilliGpus NaiveGuarantee(const quota::AccountTree& tree, quota::AccountIndex account,
                         const std::string& gpu_type);

// As quota::FillLevel and quota::Entitle.
std::vector<quota::Entitlement> NaiveFillLevel(const std::vector<quota::Claim>& claims,
                                               MilliGpus amount_milli, std::int64_t gpus);
std::vector<quota::Entitlement> NaiveEntitle(const quota::AccountTree& tree,
                                             const std::string& gpu_type, MilliGpus capacity_milli,
                                             std::span<const MilliGpus> demand);

}  // namespace kezek::test
