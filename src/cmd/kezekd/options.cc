#include "cmd/kezekd/options.h"

#include <CLI/CLI.hpp>

namespace kezek::kezekd {

Parsed ParseCommandLine(int argc, char** argv) {
  CommandLine options;
  CLI::App app{"kezekd: the daemon of the Kezek GPU scheduler"};
  app.set_version_flag("--version", "kezekd " KEZEK_VERSION);
  app.add_option("--config", options.config_file, "configuration file")->capture_default_str();
  app.add_flag("--check-config", options.check_config,
               "read the configuration, say what is wrong with it, and end");
  auto* init = app.add_subcommand(
      "init", "make the database ready, with a first cluster admin; does nothing twice");
  init->add_option("--admin", options.admin, "global id of the first admin, such as root@site")
      ->required();
  init->add_option("--token-file", options.token_file,
                   "file for the admin's token, made readable by its owner only")
      ->required();
  auto* doctor = app.add_subcommand(
      "doctor", "look at the site, say what to mend, and end; needs no daemon and no API");
  app.footer(
      "Examples:\n"
      "  kezekd --config /etc/kezek/kezekd.yaml --check-config\n"
      "  kezekd init --admin aida@alem --token-file admin.token\n"
      "  kezekd doctor\n"
      "  kezekd --config /etc/kezek/kezekd.yaml\n\n"
      "Ends cleanly at SIGTERM and SIGINT. Never run it as root.\n"
      "Exit status: 0 ended as asked, 1 failed, or doctor found a problem, 2 wrong command line or "
      "configuration.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return {std::nullopt, app.exit(error) == 0 ? 0 : 2};
  }
  options.init = init->parsed();
  options.doctor = doctor->parsed();
  return {options, 0};
}

}  // namespace kezek::kezekd
