// Runs checks of the site so that none can hold up the others, or the caller.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "kezek/result.h"
#include "kezek/site_check.h"
#include "kezek/time.h"

namespace kezek::rpc {

struct CheckedLine {
  std::string check;
  Finding finding;
  bool operator==(const CheckedLine&) const = default;
};

// Those named, or whose names begin with one of `names` and a dash; all if there are none. In their
// order. INVALID_ARGUMENT: a name is of none.
Result<std::vector<SiteCheck>> ChosenChecks(const std::vector<SiteCheck>& checks,
                                            const std::vector<std::string>& names);

// Thread-safe.
class Doctor {
 public:
  // Runs them all at once, each on a thread of its own, for at most `patience_ms`. What has not
  // come back by then is given up: its thread goes on by itself, and until it ends the check is not
  // begun again. Lines come in the order of the checks.
  // `stopping`, if not null, gives up all of them.
  std::vector<CheckedLine> Run(const std::vector<SiteCheck>& checks,
                               const std::shared_ptr<const View>& view, DurationMs patience_ms,
                               const std::atomic<bool>* stopping = nullptr);

 private:
  // Outlives this: threads that hang hold it.
  struct UnderWay {
    std::mutex mutex;
    std::set<std::string> names;
  };
  std::shared_ptr<UnderWay> under_way_ = std::make_shared<UnderWay>();
};

}  // namespace kezek::rpc
