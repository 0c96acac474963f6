#include "rpc/batch_environment.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <string_view>

namespace kezek::rpc {
namespace {

constexpr std::int64_t kMinutesMs = 60'000;

using Variables = std::map<std::string, std::string>;

void AddShape(const v1::Shape& shape, Variables* variables) {
  const auto add = [&](bool asked, const char* name, std::int64_t value) {
    if (asked) (*variables)[name] = std::to_string(value);
  };
  const bool by_node = shape.has_ntasks_per_node() && shape.has_nodes() && !shape.has_ntasks();
  const std::int64_t tasks =
      by_node ? std::int64_t{shape.ntasks_per_node()} * shape.nodes() : shape.ntasks();
  add(by_node || shape.has_ntasks(), "SLURM_NTASKS", tasks);
  add(by_node || shape.has_ntasks(), "SLURM_NPROCS", tasks);
  add(shape.has_ntasks_per_node(), "SLURM_NTASKS_PER_NODE", shape.ntasks_per_node());
  add(shape.has_cpus_per_task(), "SLURM_CPUS_PER_TASK", shape.cpus_per_task());
  add(shape.has_gpus(), "SLURM_GPUS", shape.gpus());
  add(shape.has_gpus_per_task(), "SLURM_GPUS_PER_TASK", shape.gpus_per_task());
  add(shape.has_cpus_per_gpu(), "SLURM_CPUS_PER_GPU", shape.cpus_per_gpu());
}

void AddDependencies(const v1::JobSpec& wire, Variables* variables) {
  constexpr std::array<std::string_view, 5> kNames = {"", "afterok", "afterany", "afternotok",
                                                      "after"};
  std::string text;
  std::string last;
  for (const v1::Dependency& dependency : wire.dependencies()) {
    const auto kind = static_cast<std::size_t>(dependency.kind());
    if (kind >= kNames.size()) return;
    const std::string name(kNames.at(kind));
    if (name != last) text += (text.empty() ? "" : ",") + name;
    last = name;
    text += ":" + dependency.job();
    if (dependency.delay_ms() > 0) text += "+" + std::to_string(dependency.delay_ms() / kMinutesMs);
  }
  if (!text.empty()) (*variables)["SLURM_JOB_DEPENDENCY"] = text;
}

// Slurm writes "unlimited" as the largest number.
void AddLimits(const v1::JobSpec& wire, FieldChecks* checks, Variables* variables) {
  constexpr std::array<std::string_view, 10> kLimits = {"CPU", "FSIZE", "DATA",   "STACK",   "CORE",
                                                        "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS"};
  for (const auto& [name, value] : wire.rlimits()) {
    const bool known = std::find(kLimits.begin(), kLimits.end(), name) != kLimits.end();
    checks->Require(known, "rlimits",
                    "holds '" + name.substr(0, 63) +
                        "', which is no resource limit's name without RLIMIT_, such as NOFILE");
    checks->Require(value >= -1, "rlimits", "of " + name.substr(0, 63) + " is below -1, unlimited");
    if (!checks->ok()) return;
    (*variables)["SLURM_RLIMIT_" + name] =
        value == -1 ? std::to_string(std::numeric_limits<std::uint64_t>::max())
                    : std::to_string(value);
  }
}

}  // namespace

void AddBatchVariables(const v1::JobSpec& wire, FieldChecks* checks,
                       std::map<std::string, std::string>* environment) {
  if (!wire.submit_host().empty()) (*environment)["SLURM_SUBMIT_HOST"] = wire.submit_host();
  (*environment)["SLURM_SUBMIT_DIR"] =
      wire.submit_dir().empty() ? wire.working_dir() : wire.submit_dir();
  AddShape(wire.shape(), environment);
  AddDependencies(wire, environment);
  if (wire.open_mode() != v1::OPEN_MODE_UNSPECIFIED) {
    (*environment)["SLURM_OPEN_MODE"] = wire.open_mode() == v1::OPEN_MODE_APPEND ? "a" : "t";
  }
  AddLimits(wire, checks, environment);
}

}  // namespace kezek::rpc
