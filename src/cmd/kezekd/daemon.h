// kezekd put together: store, controller, Slurm and the API. All wiring stands here.
#pragma once

#include <memory>
#include <string>

#include "config/config.h"
#include "kezek/desk.h"
#include "kezek/result.h"

namespace kezek::kezekd {

// Reads everything the configuration names and says what is wrong: topology, keys, certificates.
Result<void> CheckEnvironment(const config::Config& config);

// What is stored, without serving: as a standby sees it. UNAVAILABLE: no database.
Result<std::shared_ptr<const View>> ReadStored(const config::Config& config);

// Serves until SIGTERM or SIGINT (an OK result) or until it may not go on: another daemon has taken
// its leadership, or the address is taken. Stands by, answering reads, while another daemon leads.
// SIGTERM and SIGINT must be blocked in every thread before.
Result<void> Serve(const config::Config& config, const std::string& config_file);

}  // namespace kezek::kezekd
