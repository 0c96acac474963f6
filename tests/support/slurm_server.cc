#include "tests/support/slurm_server.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace kezek::test {
namespace {

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) {
    std::fprintf(stderr, "%s is not set: run by ctest, or see tests/support/slurm_server.h\n",
                 name);
    std::exit(2);
  }
  return value;
}

}  // namespace

std::string SlurmFolder() { return Environment("KEZEK_SLURM_DIR"); }

std::string SlurmVariable(const std::string& name) {
  std::ifstream file(SlurmFolder() + "/env");
  const std::string start = "export " + name + "=";
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(start)) return line.substr(start.size());
  }
  std::fprintf(stderr, "no %s in %s/env\n", name.c_str(), SlurmFolder().c_str());
  std::exit(2);
}

std::string SlurmRelease() { return SlurmVariable("SLURM_RELEASE"); }

void SlurmCommand(const std::string& verb, const std::string& arguments) {
  const std::string command = Environment("KEZEK_SOURCE_DIR") + "/deploy/cluster/slurm " + verb +
                              " " + SlurmFolder() + " " + arguments + " >&2";
  if (std::system(command.c_str()) == 0) return;
  std::fprintf(stderr, "failed: %s\n", command.c_str());
  std::exit(2);
}

std::string SlurmWorkFolder() { return SlurmFolder() + "/work"; }

std::string OutputOf(const AttemptRef& attempt) {
  return SlurmWorkFolder() + "/" + ClusterName(attempt) + ".out";
}

Launch OneGpuLaunch(const AttemptRef& attempt, const std::string& script) {
  Launch launch;
  launch.attempt = attempt;
  launch.tag = "test:1:" + ClusterName(attempt);
  launch.unix_account = kSlurmUser;
  launch.slurm_account = kSlurmAccount;
  launch.placement = {{"n01", 1, {}}};
  launch.spec.shape = {.nodes = 1,
                       .gpus_per_node = 1,
                       .gpu_type = "h200",
                       .cpus_per_node = 2,
                       .memory_mib_per_node = 1000};
  launch.spec.working_directory = SlurmWorkFolder();
  launch.limit_ms = 5 * kMinuteMs;
  launch.script = script;
  launch.environment = {{"PATH", "/usr/bin:/bin"}, {"KEZEK_JOB_ID", ToText(attempt.job)}};
  launch.stdout_path = OutputOf(attempt);
  return launch;
}

std::string FileContent(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  return std::move(content).str();
}

}  // namespace kezek::test
