#include "cmd/kezek/job_file.h"

#include "cmd/kezek/yaml_message.h"

namespace kezek::cli {

bool IsJobFile(std::string_view path) { return path.ends_with(".yaml") || path.ends_with(".yml"); }

Result<std::vector<FileJob>> ParseJobFile(const std::string& text, const std::string& path,
                                          std::int64_t now_ms) {
  YamlReading reading(path, {.what = "a job", .now_ms = now_ms});
  std::vector<FileJob> jobs;
  for (const YAML::Node& document : reading.Load(text)) {
    if (document.IsNull()) continue;
    FileJob job;
    job.line = document.Mark().line + 1;
    reading.ReadMessage(document, "", job.spec);
    if (reading.error()) return *reading.error();
    job.has_environment = document["environment"].IsDefined();
    if (job.spec.script().empty()) reading.Fail(document.Mark(), "'script' is missing");
    if (reading.error()) return *reading.error();
    jobs.push_back(std::move(job));
  }
  if (reading.error()) return *reading.error();
  if (jobs.empty()) return Error{Code::kInvalidArgument, path + ": there is no job in it", {}};
  return jobs;
}

}  // namespace kezek::cli
