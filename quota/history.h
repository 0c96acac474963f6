// The history of accounts: how each stands at a moment, and what that comes to over time.
//
// All figures are milli-GPUs; integrated, milli-GPU-milliseconds. Nothing is rounded: what stands
// holds until the next tick, and is multiplied by the time until then. See kezek/report.h for what
// the figures mean and how they add up.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "kezek/report.h"
#include "kezek/resources.h"
#include "kezek/time.h"
#include "quota/account_tree.h"

namespace kezek::quota {

// How one GPU type stands after a tick. Vectors by the tree's index.
struct PoolStanding {
  std::string gpu_type;
  MilliGpus free_milli = 0;  // held by nobody at all
  bool away = false;         // nothing can be started
  std::vector<MilliGpus> due;
  std::vector<MilliGpus> entitled;
  std::vector<MilliGpus> held;       // with what is below; scavengers left out
  std::vector<MilliGpus> guarantee;  // that counts now: GuaranteesNow
  std::vector<MilliGpus> lent;       // Lent, of the same tick
  std::vector<MilliGpus> apart;      // runs on nodes that have an owner
  // Read of childless accounts: running plus queued that only GPUs keep from starting; queued that
  // limits stop, and that budgets stop.
  std::vector<MilliGpus> demanded;
  std::vector<MilliGpus> by_limits;
  std::vector<MilliGpus> by_budgets;
};

// What every account is entitled to if all open projects ask for all that caps allow.
std::vector<MilliGpus> DueShares(const AccountTree& tree, const std::string& gpu_type,
                                 MilliGpus capacity_milli);

// By index. Demand is clipped to caps on the way up, and never less than what is held.
std::vector<AccountFigures> FiguresOf(const AccountTree& tree, const PoolStanding& pool);

// Integrates between ticks, and cuts at full hours. A value; no clock.
class History {
 public:
  // All before `begin_ms` is known, or lost.
  explicit History(TimeMs begin_ms) : at_ms_(begin_ms), until_ms_(begin_ms) {}

  // Brings what stands up to `now`. A time that is over changes nothing.
  void Advance(TimeMs now);
  // What holds from the last Advance on, in place of what stood, with the version of the settings
  // that it is by. `from_ms` is not read; rows whose
  // figures are all 0 may be left out.
  void Stand(std::vector<AccountHour> standing) { standing_ = std::move(standing); }
  // All that has been integrated since the last Take, by hour, account and type; `until_ms` is
  // that of the last Advance. Nothing if no time has passed since.
  HistoryChange Take();
  // Until when has been taken.
  TimeMs until_ms() const { return until_ms_; }

 private:
  TimeMs at_ms_ = 0;
  TimeMs until_ms_ = 0;
  std::vector<AccountHour> standing_;
  struct Sum {
    AccountFigures figures;
    VersionRange versions;
  };
  std::map<TimeMs, std::map<std::pair<AccountId, std::string>, Sum>> hours_;
};

}  // namespace kezek::quota
