// Flags that change an account's settings, and settings as people read them.
#pragma once

#include <kezek/v1/accounts.pb.h>

#include <string>
#include <vector>

#include "cmd/kezek/render.h"
#include "kezek/result.h"

namespace CLI {
class App;
}

namespace kezek::cli {

// Values as written; empty ones change nothing. Numbers of GPUs may have three decimals; those of
// a GPU type are `48` (the default type) or `h200=48`. `none` takes back what has no value of its
// own for that: caps, targets, limits, names.
struct SettingsFlags {
  std::vector<std::string> weight;
  std::vector<std::string> guarantee;
  std::vector<std::string> borrow_max;
  std::vector<std::string> lend_max;
  std::vector<std::string> target;  // percent
  std::string max_gpus;
  std::string max_running;
  std::string max_queued;
  std::string max_job_gpus;
  std::string max_time;
  std::string user_max_gpus;
  std::string user_max_running;
  std::string user_max_queued;
  std::string user_max_job_gpus;
  std::string user_max_time;
  std::vector<std::string> classes;
  std::string default_class;
  std::string default_time;
  std::string rule;
  std::string classification;
  std::string slurm_account;
  std::string slurm_qos;
  std::string dedicated_nodes;

  void AddTo(CLI::App& command);
  // Some value names no GPU type.
  bool NeedsGpuType() const;
  // INVALID_ARGUMENT with the flag's name in front.
  Result<void> ApplyTo(const std::string& default_type, v1::AccountSettings& settings) const;

 private:
  Result<void> ApplyNames(v1::AccountSettings& settings) const;
};

void AddSettings(const v1::AccountSettings& settings, Facts& facts);

}  // namespace kezek::cli
