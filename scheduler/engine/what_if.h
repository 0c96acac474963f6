// What other settings would do: two plans of the same facts, made by the passes of a tick, and what
// differs between them. Pure; any thread.
#pragma once

#include <memory>
#include <set>
#include <vector>

#include "kezek/desk.h"
#include "kezek/event.h"
#include "kezek/ids.h"
#include "kezek/time.h"
#include "kezek/what_if.h"
#include "scheduler/engine/engine.h"
#include "scheduler/engine/world.h"

namespace kezek::engine {

struct NewSettings {
  std::shared_ptr<const Directory> directory;
  std::vector<LedgerEntry> grants;  // what budgets are given or lose with them
};

// Both plans start all they may, however many. Costs about two ticks and what it takes to tell the
// facts anew.
WhatIf TryOut(Facts facts, std::shared_ptr<const Directory> before, const NewSettings& after,
              TimeMs now);

}  // namespace kezek::engine
