// Completion of command lines for shells: what may stand at a place, from the parser's own
// descriptions, and what the server knows: jobs, projects, nodes, users, accounts, classes.
#pragma once

#include <string>
#include <vector>

#include "cmd/kezek/session.h"

namespace kezek::cli {

struct Candidate {
  std::string text;  // the whole word
  std::string about;
};

struct Completion {
  std::vector<Candidate> candidates;
  bool files = false;  // the shell's own names of files
};

// For the last of `words`, which are what stands after `kezek`. Asks the server for less than a
// second and says nothing if it does not answer.
Completion Complete(const CLI::App& app, Session& session, const std::vector<std::string>& words);

// The shell's part. INVALID_ARGUMENT if there is none for this shell.
Result<std::string> CompletionScript(const std::string& shell);

}  // namespace kezek::cli
