// What a daemon that does not lead can show: the stored rows as a controller would take them over.
// Pure.
#pragma once

#include <string>

#include "kezek/desk.h"
#include "kezek/store.h"
#include "kezek/time.h"
#include "scheduler/control/config.h"

namespace kezek::control {

// `leads` is false; reasons and standings are left out, for only the leader decides them.
View StandbyView(const ControlConfig& config, const Snapshot& snapshot,
                 const std::string& leader_address, TimeMs now);

}  // namespace kezek::control
