// Job files: YAML with the API's own field names, one job in each document.
#pragma once

#include <kezek/v1/job_spec.pb.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kezek/result.h"

namespace kezek::cli {

struct FileJob {
  v1::JobSpec spec;
  int line = 0;                  // where its document begins
  bool has_environment = false;  // the file gives one, complete
};

// Whether the path names a job file: it ends in .yaml or .yml.
bool IsJobFile(std::string_view path);

// Every document, in order. `path` is for messages; `now_ms` is for times such as now+1hour. Fails
// with INVALID_ARGUMENT at the first thing wrong; the message begins with `PATH line N: `.
//
// Enumerations are written as the API has them or short (`training` for JOB_KIND_TRAINING); fields
// in `_ms` take milliseconds, or a length such as 12h, or, where they are moments, a time as
// --begin takes it.
Result<std::vector<FileJob>> ParseJobFile(const std::string& text, const std::string& path,
                                          std::int64_t now_ms);

// A commented job file for a job of this kind (training, inference, interactive, batch), which
// ParseJobFile reads. Unknown kinds are INVALID_ARGUMENT.
Result<std::string> JobFileTemplate(const std::string& kind);

}  // namespace kezek::cli
