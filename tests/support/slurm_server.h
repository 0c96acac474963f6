// The Slurm of the tests. Without ctest: tests/support/slurm_fixture up DIR, then
// KEZEK_SLURM_DIR=DIR build/dev/tests/NAME.
#pragma once

#include <string>

#include "kezek/cluster.h"

namespace kezek::test {

inline constexpr char kSlurmUser[] = "kz-test-a";
inline constexpr char kOtherSlurmUser[] = "kz-test-b";
inline constexpr char kSlurmAccount[] = "kezek-test";

// The folder of the cluster that the fixture started (KEZEK_SLURM_DIR); ends the process without
// one.
std::string SlurmFolder();

// A variable of its env file, such as SLURMRESTD_URL.
std::string SlurmVariable(const std::string& name);

// The Slurm's release, such as "22.05".
std::string SlurmRelease();

// Runs `deploy/cluster/slurm VERB FOLDER ARGUMENTS`; ends the process if it fails.
void SlurmCommand(const std::string& verb, const std::string& arguments);

// A folder in which every user of the cluster may write.
std::string SlurmWorkFolder();

// A launch of kSlurmUser with one H200 on n01; output goes to OutputOf the attempt.
Launch OneGpuLaunch(const AttemptRef& attempt, const std::string& script);
std::string OutputOf(const AttemptRef& attempt);

// The file's content; empty if it is not there.
std::string FileContent(const std::string& path);

}  // namespace kezek::test
