// The passes of a tick. passes.cc lists them, in order, a comment each.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kezek/time.h"
#include "quota/entitlement.h"
#include "quota/limits.h"
#include "scheduler/engine/engine.h"
#include "scheduler/engine/machine.h"
#include "scheduler/engine/world.h"

namespace kezek::engine {

// What the passes make between them, of one tick.
struct Draft {
  Draft(const World& world, TimeMs now);
  TimeMs now_ms = 0;
  Machine free;                                                     // less what the plan has given
  const Machine& configured;                                        // all nodes, empty
  quota::RunningTable running;                                      // with what the plan has given
  quota::Taken taken;                                               // of budgets, by the plan
  std::map<std::string, std::vector<quota::Entitlement>> entitled;  // by GPU type; by index
  std::map<std::string, std::vector<std::int64_t>> places;  // of accounts among their siblings
  // Of jobs that may start on dedicated nodes, too: how many started there, and why no more.
  std::map<JobRef, std::int32_t> started_apart;
  std::map<JobRef, Reason> waits_apart;
  // Expected charges of starts, by GPU type, for the orders walked later. Not of scavengers, whose
  // usage is nobody's.
  std::map<std::string, std::map<std::pair<AccountId, UserId>, MilliGpuMs>> charged;
  Plan plan;
};

// Pass: walks the orders of dedicated nodes and lanes.
void WalkApart(const World& world, Draft& draft);

// Pass: demand of every account and what it is entitled to.
void Entitle(const World& world, Draft& draft);
// Pass: walks the order, type by type, and starts what limits allow and nodes hold.
void WalkInOrder(const World& world, Draft& draft);
// Pass: how accounts stand.
void Stand(const World& world, Draft& draft);

// All passes, and verify. The world has been refreshed for `now`.
Plan DecideAll(const World& world, TimeMs now);

}  // namespace kezek::engine
