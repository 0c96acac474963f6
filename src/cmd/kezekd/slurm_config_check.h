// The check of slurm.conf, by what scontrol tells on this host.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kezek/site_check.h"
#include "kezek/time.h"

namespace kezek::kezekd {

// What Kezek takes Slurm to be set to.
struct SlurmExpectations {
  DurationMs message_timeout_ms = 10 * kSecondMs;
  DurationMs kill_margin_ms = 2 * kMinuteMs;
};

// "slurm-config": runs `scontrol show config`. Not looked at where there is no scontrol.
SiteCheck SlurmConfigCheck(const SlurmExpectations& expectations);

// What `scontrol show` writes, to either output, within some seconds.
struct ScontrolAnswer {
  int status = -1;  // -1: it did not end by itself
  std::string output;
};
// Nothing: it cannot be run here.
std::optional<ScontrolAnswer> ShowByScontrol(const std::string& what);

// "Key = value" lines, by key. Values are as scontrol writes them.
std::map<std::string, std::string> ReadSlurmConfig(const std::string& text);

// What of it is to be mended, or one line that all is well. Keys that are not told are not judged.
std::vector<Finding> JudgeSlurmConfig(const std::map<std::string, std::string>& config,
                                      const SlurmExpectations& expectations);

}  // namespace kezek::kezekd
