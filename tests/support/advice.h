// What an owner does who follows advice.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "kezek/job.h"
#include "kezek/reason.h"

namespace kezek::test {

inline JobSpec Applied(JobSpec spec, const Reason& change) {
  const auto number = [&](const char* field) { return std::stoll(change.fields.at(field)); };
  if (change.code == ReasonCode::kFewerNodes) {
    spec.shape.nodes = static_cast<std::int32_t>(number("nodes"));
    spec.ntasks = std::min(spec.ntasks, spec.shape.nodes * spec.ntasks_per_node);
  } else if (change.code == ReasonCode::kFewerGpus) {
    const auto gpus = static_cast<std::int32_t>(number("gpus"));
    spec.shape.cpus_per_node = spec.shape.cpus_per_node / spec.shape.gpus_per_node * gpus;
    spec.shape.gpus_per_node = gpus;
  } else if (change.code == ReasonCode::kShorterLimit) {
    spec.time_limit_ms = number("limit");
  } else if (change.code == ReasonCode::kOtherClass) {
    spec.job_class = change.fields.at("class");
  } else {
    spec.within = spec.prefer = Domain::kAny;
  }
  return spec;
}

}  // namespace kezek::test
