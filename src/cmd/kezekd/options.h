// The command line of kezekd.
#pragma once

#include <optional>
#include <string>

namespace kezek::kezekd {

struct CommandLine {
  std::string config_file = "/etc/kezek/kezekd.yaml";
  bool check_config = false;
  bool init = false;       // make the database ready and the first admin, then end
  std::string admin;       // init: global id of the first cluster admin
  bool doctor = false;     // look at the site, say what to mend, and end
  std::string token_file;  // init: where the admin's token is written, readable by its owner
};

// The options, or the exit status to end with (0 after --help, 2 for a wrong command line).
struct Parsed {
  std::optional<CommandLine> options;
  int exit_status = 0;
};
Parsed ParseCommandLine(int argc, char** argv);

}  // namespace kezek::kezekd
