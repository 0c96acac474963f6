// kezekd: reads the command line and the configuration, then serves, checks or prepares.
#include <pthread.h>
#include <unistd.h>

#include <csignal>
#include <iostream>
#include <string>

#include "cmd/kezekd/daemon.h"
#include "cmd/kezekd/doctor.h"
#include "cmd/kezekd/init.h"
#include "cmd/kezekd/log.h"
#include "cmd/kezekd/options.h"
#include "config/config.h"

namespace {

using kezek::Code;
using kezek::Error;

// 2 for what is wrong with the command line or the configuration, else 1.
int Fail(const Error& error) {
  std::cerr << "kezekd: " << error.message << "\n";
  return error.code == Code::kInvalidArgument || error.code == Code::kNotFound ? 2 : 1;
}

// Signals are taken by sigwait alone; threads started later inherit the mask.
void BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

int Run(const kezek::kezekd::CommandLine& options) {
  const auto config = kezek::config::LoadConfig(options.config_file);
  if (!config) return Fail(config.error());
  const auto log = kezek::kezekd::StartLog(*config);
  if (!log) return Fail(log.error());
  if (options.doctor) return kezek::kezekd::RunDoctor(*config, options.config_file, std::cout);
  const auto checked = kezek::kezekd::CheckEnvironment(*config);
  if (!checked) return Fail(checked.error());
  if (options.check_config) {
    std::cout << options.config_file << ": good\n";
    return 0;
  }
  if (options.init) {
    const auto made = kezek::kezekd::Init(*config, options.admin, options.token_file);
    if (!made) return Fail(made.error());
    std::cout << *made << "\n";
    return 0;
  }
  const auto served = kezek::kezekd::Serve(*config, options.config_file);
  return served ? 0 : Fail(served.error());
}

}  // namespace

int main(int argc, char** argv) {
  const auto parsed = kezek::kezekd::ParseCommandLine(argc, argv);
  if (!parsed.options) return parsed.exit_status;
  if (geteuid() == 0 && !parsed.options->check_config) {
    std::cerr << "kezekd: refuses to run as root: start it as its own Unix user, such as kezek\n";
    return 1;
  }
  BlockSignals();
  return Run(*parsed.options);
}
