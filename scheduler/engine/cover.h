// Running attempts that guarantees cover: those that nobody may reclaim from.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>

#include "kezek/ids.h"
#include "kezek/time.h"
#include "quota/account_tree.h"
#include "scheduler/engine/world.h"

namespace kezek::engine {

// By account and GPU type: of what an account runs, oldest start first, each attempt that still
// fits in what is left of the guarantee that counts now.
using CoverMap = std::map<std::pair<quota::AccountIndex, std::string>, std::set<AttemptRef>>;
CoverMap CoveredBy(const World& world, TimeMs now);

}  // namespace kezek::engine
