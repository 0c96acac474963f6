// Malformed fields of a job, each made by changing one thing of one that is right.
#pragma once

#include <functional>
#include <span>

#include "kezek/v1/job_spec.pb.h"
#include "rpc/spec_convert.h"

namespace kezek::rpc {

struct BadField {
  const char* field;  // as the refusal names it, without "spec."
  std::function<void(v1::JobSpec&)> spoil;
  const char* reason = "FIELD_INVALID";
};

// They are malformed under these limits, on the machine of rpc_world.h.
inline constexpr SpecLimits kBadFieldLimits{.script_bytes = 4096, .environment_bytes = 1024};

std::span<const BadField> BadFields();

}  // namespace kezek::rpc
