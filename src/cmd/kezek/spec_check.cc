// What can be checked of a job where it is submitted, and where its errors came from.
#include <unistd.h>

#include <array>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

#include "cmd/kezek/spec.h"

namespace kezek::cli {
namespace {

template <typename T>
void Point(const script::Optional<T>& setting, const std::string& file, std::string& place) {
  if (!setting || !place.empty()) return;
  const script::Origin& origin = setting->origin;
  if (origin.source == script::Source::kFlag) {
    place = setting->written;
    return;
  }
  place = file + " line " + std::to_string(origin.line) + ": " +
          (origin.source == script::Source::kSbatch ? "#SBATCH " : "#KEZEK ") + setting->written;
}

// Who could have set a field that nobody set; empty if no flag does.
std::string Unwritten(const std::string& field, const Draft& draft) {
  if (field == "spec.project" && !draft.default_project.empty()) {
    return "project " + draft.default_project + ", of KEZEK_PROJECT or the context";
  }
  constexpr std::array<std::pair<std::string_view, const char*>, 11> kFlags = {
      {{"dry_run", "--dry-run"},
       {"spec.project", "--project"},
       {"spec.job_class", "--class"},
       {"spec.shape.nodes", "--nodes"},
       {"spec.shape.gpus", "--gpus"},
       {"spec.shape.gpus_per_node", "--gpus-per-node"},
       {"spec.shape.gpu_type", "--gpu-type"},
       {"spec.time_limit_ms", "--time"},
       {"spec.deadline_ms", "--deadline"},
       {"spec.environment", "--export"},
       {"spec.data_classification", "--classification"}}};
  for (const auto& [name, flag] : kFlags) {
    if (field == name) return flag;
  }
  return "";
}

// Who set a field of the request's spec, or could have; empty if nobody.
std::string PlaceOfField(const std::string& field, const Draft& draft) {
  const script::BatchOptions& o = draft.options;
  std::string place;
  const auto is = [&field](std::string_view name) {
    return field == name || field.starts_with(std::string(name) + ".") ||
           field.starts_with(std::string(name) + "[");
  };
  const auto point = [&](std::string_view name, const auto&... settings) {
    if (is(name)) (Point(settings, draft.file, place), ...);
  };
  point("spec.shape.nodes", o.nodes);
  point("spec.shape.gpus", o.gpus);
  point("spec.shape.gpus_per_node", o.gpus_per_node);
  point("spec.shape.gpus_per_task", o.gpus_per_task);
  point("spec.shape.gpu_type", o.gpu_type, o.gpus_per_node, o.gpus, o.gpus_per_task);
  point("spec.shape.ntasks", o.ntasks);
  point("spec.shape.ntasks_per_node", o.ntasks_per_node);
  point("spec.shape.cpus_per_task", o.cpus_per_task);
  point("spec.shape.cpus_per_gpu", o.cpus_per_gpu);
  point("spec.shape.memory_per_node_mib", o.memory_per_node);
  point("spec.shape.memory_per_cpu_mib", o.memory_per_cpu);
  point("spec.shape.memory_per_gpu_mib", o.memory_per_gpu);
  point("spec.shape.exclusive", o.exclusive);
  point("spec.name", o.name);
  point("spec.project", o.project);
  point("spec.job_class", o.job_class);
  point("spec.kind", o.kind);
  point("spec.topology.within", o.within);
  point("spec.topology.prefer", o.prefer);
  point("spec.topology.spread", o.spread);
  point("spec.time_limit_ms", o.time_limit_ms);
  point("spec.time_min_ms", o.time_min_ms);
  point("spec.begin_ms", o.begin_ms);
  point("spec.deadline_ms", o.deadline_ms);
  point("spec.dependencies", o.dependencies);
  point("spec.array", o.array);
  point("spec.requeue.enabled", o.requeue);
  point("spec.requeue.max_attempts", o.max_attempts);
  point("spec.signal.grace_ms", o.grace_ms);
  point("spec.signal", o.signal);
  point("spec.checkpoint_path", o.checkpoint_path);
  point("spec.data_classification", o.classification);
  point("spec.environment", o.environment);
  point("spec.working_dir", o.working_directory);
  point("spec.stdin_path", o.input);
  point("spec.stdout_path", o.output);
  point("spec.stderr_path", o.error);
  point("spec.constraints", o.constraints);
  point("spec.nodelist", o.node_list);
  point("spec.exclude_nodes", o.exclude);
  point("spec.reservation", o.reservation);
  point("spec.user_priority", o.nice);
  point("spec.container_image", o.container_image);
  point("spec.comment", o.comment);
  return place.empty() ? Unwritten(field, draft) : place;
}

Error BadPath(Code code, const std::string& place, const std::string& message) {
  return FieldProblem(code, FieldError{place, "PATH_UNUSABLE", message, {}});
}

// The folder of an output path, up to its first part that Kezek will fill in.
std::filesystem::path FolderOf(const std::string& path) {
  const std::string known = path.substr(0, path.find('%'));
  return std::filesystem::path(known).parent_path();
}

Result<void> CheckFolder(const std::filesystem::path& folder, const std::string& place, int mode) {
  std::error_code failed;
  if (!std::filesystem::is_directory(folder, failed)) {
    return BadPath(Code::kNotFound, place, "there is no directory " + folder.string());
  }
  if (access(folder.c_str(), mode) != 0) {
    return BadPath(Code::kPermissionDenied, place,
                   std::string("you may not ") + ((mode & W_OK) != 0 ? "write to " : "enter ") +
                       folder.string());
  }
  return {};
}

}  // namespace

Result<void> CheckPaths(const v1::JobSpec& spec, const Draft& draft) {
  const auto place = [&draft](const char* field, const char* otherwise) {
    std::string named = PlaceOfField(field, draft);
    return named.empty() ? otherwise : named;
  };
  Result<void> checked =
      CheckFolder(spec.working_dir(), place("spec.working_dir", "--chdir"), X_OK);
  if (!checked) return checked;
  if (!spec.stdout_path().empty() && spec.stdout_path() != "/dev/null") {
    checked = CheckFolder(FolderOf(spec.stdout_path()), place("spec.stdout_path", "--output"),
                          W_OK | X_OK);
  }
  if (checked && !spec.stderr_path().empty() && spec.stderr_path() != "/dev/null") {
    checked = CheckFolder(FolderOf(spec.stderr_path()), place("spec.stderr_path", "--error"),
                          W_OK | X_OK);
  }
  if (!checked) return checked;
  const std::string& input = spec.stdin_path();
  if (!input.empty() && input.find('%') == std::string::npos && access(input.c_str(), R_OK) != 0) {
    return BadPath(Code::kNotFound, place("spec.stdin_path", "--input"), input + " cannot be read");
  }
  return {};
}

Error Located(Error error, const Draft& draft) {
  if (error.details.size() == 1) {
    FieldError& detail = error.details.front();
    const std::string place = PlaceOfField(detail.field, draft);
    const std::string& message = detail.message.empty() ? error.message : detail.message;
    if (!place.empty()) {
      error.message = place + ": " + message;
      detail.field = place;
    }
    return error;
  }
  for (FieldError& detail : error.details) {
    const std::string place = PlaceOfField(detail.field, draft);
    if (!place.empty()) detail.field = place;
  }
  return error;
}

}  // namespace kezek::cli
