// The passes of a tick. passes.cc lists them, in order, a comment each.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kezek/time.h"
#include "quota/entitlement.h"
#include "quota/limits.h"
#include "scheduler/engine/agenda.h"
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
  // How many of a row have started already, or are being made room for, and are passed over by the
  // walks to come. Of jobs that may start on dedicated nodes, too, also why no more did there.
  std::map<JobRef, std::int32_t> started;
  std::map<JobRef, Reason> waits_apart;
  std::map<PoolKey, Agenda> agendas;  // none: nothing is promised
  std::map<JobRef, ReservationChange> reservations;
  // Nodes are promised as if one more job were about to start past all that wait.
  bool one_more_passes = false;
  // Expected charges of starts, by GPU type, for the orders walked later. Not of scavengers, whose
  // usage is nobody's.
  std::map<std::string, std::map<std::pair<AccountId, UserId>, MilliGpuMs>> charged;
  Plan plan;
};

// A job, or the nth startable element of an array's row, gets these nodes of the pool: in the plan,
// and in all that counts what it has given.
struct Given {
  quota::JobCount count;
  MilliGpuMs expected_charge = 0;
};
Given AddStart(const World& world, Draft& draft, const PoolKey& key, const Waiting& job,
               std::int32_t nth, Placement placement);

// Passes: what is promised is kept; what has to move is moved, and what is due starts. On dedicated
// nodes and lanes; on shared nodes.
void KeepApart(const World& world, Draft& draft);
void Keep(const World& world, Draft& draft);

// Pass: walks the orders of dedicated nodes and lanes.
void WalkApart(const World& world, Draft& draft);

// Pass: demand of every account and what it is entitled to.
void Entitle(const World& world, Draft& draft);
// What demand is counted from: as a Draft is when Entitle begins.
struct DemandBasis {
  quota::RunningTable running;
  quota::Taken taken;
  std::map<JobRef, std::int32_t> started;
};
// What demand would be of the job's GPU type, by index (of projects; above them there is none), if
// it waited as it is here, and a limit or its class may stop it.
std::vector<MilliGpus> DemandWith(const World& world, const DemandBasis& basis, const Waiting& job);
// Pass: walks the order, type by type, and starts what limits allow and nodes hold.
void WalkInOrder(const World& world, Draft& draft);
// Pass: reservations move earlier, where they can.
void Improve(const World& world, Draft& draft);
// Pass: scavengers leave the nodes that are promised to others in time.
void ClearPromised(const World& world, Draft& draft);
// Pass: how accounts stand.
void Stand(const World& world, Draft& draft);

// All passes, and verify. The world has been refreshed for `now`.
Plan DecideAll(const World& world, TimeMs now);

}  // namespace kezek::engine
