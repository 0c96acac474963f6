// From what a script and the flags ask for to what the API takes.
#pragma once

#include <kezek/v1/job_spec.pb.h>

#include <string>
#include <vector>

#include "cmd/kezek/host.h"
#include "kezek/result.h"
#include "script/batch_options.h"

namespace kezek::cli {

struct Draft {
  std::string file;  // the script's name in messages
  std::string script;
  std::vector<std::string> arguments;
  std::string default_name;
  std::string default_project;
  script::BatchOptions options;
};

struct MadeSpec {
  v1::JobSpec spec;
  std::vector<std::string> warnings;
};

// Fills a JobSpec; paths become absolute, the environment is what --export says, however much that
// is: the server has limits. Fails with INVALID_ARGUMENT if options contradict each other.
Result<MadeSpec> MakeSpec(const Draft& draft, const Host& host);

// Checks on this host what the job will need: working directory, output and error directories,
// input file. Fails with FAILED_PRECONDITION or NOT_FOUND, naming the path and who named it.
Result<void> CheckPaths(const v1::JobSpec& spec, const Draft& draft);

// The server's error with each field's place in the script instead of its path in the request,
// where the script or a flag named it.
Error Located(Error error, const Draft& draft);

// An argument as a POSIX shell reads it back.
std::string ShellQuoted(const std::string& argument);

}  // namespace kezek::cli
