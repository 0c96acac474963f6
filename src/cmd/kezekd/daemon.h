// kezekd put together: store, controller, Slurm and the API. All wiring stands here.
#pragma once

#include "config/config.h"
#include "kezek/result.h"

namespace kezek::kezekd {

// Reads everything the configuration names and says what is wrong: topology, keys, certificates.
Result<void> CheckEnvironment(const config::Config& config);

// Serves until SIGTERM or SIGINT (an OK result) or until it may not go on: another daemon has taken
// its leadership, or the address is taken. Stands by, answering reads, while another daemon leads.
// SIGTERM and SIGINT must be blocked in every thread before.
Result<void> Serve(const config::Config& config);

}  // namespace kezek::kezekd
