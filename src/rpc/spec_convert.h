// A job as a client asks for it, made a kezek::JobSpec, field by field, or refused. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "kezek/desk.h"
#include "kezek/job.h"
#include "kezek/reason.h"
#include "kezek/result.h"
#include "kezek/v1/job_spec.pb.h"

namespace kezek::rpc {

struct SpecLimits {
  std::int64_t script_bytes = 0;
  std::int64_t environment_bytes = 0;
};

// What a wire spec says, save the script, which stays where it is. The project is not looked up.
struct SpecParts {
  JobSpec spec;
  std::map<std::string, std::string> environment;
  bool hold = false;
  std::int64_t memory_per_cpu_mib = 0;  // memory waits for the CPUs the desk fills in
  std::vector<Reason> warnings;         // options taken without effect
};

// Errors name the field below `spec`. INVALID_ARGUMENT FIELD_INVALID, SHAPE_UNEVEN;
// FAILED_PRECONDITION NEVER_FITS_MACHINE; UNIMPLEMENTED NOT_YET.
Result<SpecParts> ReadSpec(const v1::JobSpec& wire, const View& view, const SpecLimits& limits);

// Name without SIG of a signal by name or number; "" if there is none.
std::string SignalName(const std::string& text);

// The way back, for answers: never script nor environment.
void FillSpec(const Directory& directory, const JobSpec& spec, v1::JobSpec* wire);

}  // namespace kezek::rpc
