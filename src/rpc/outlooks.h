// Looks ahead, shared by those who ask: made anew when the last one is a few seconds old, and once
// a minute while anything is committed, so that estimates are put to the test though nobody asks.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

#include "kezek/desk.h"
#include "kezek/ids.h"
#include "kezek/outlook.h"
#include "kezek/result.h"
#include "kezek/store.h"
#include "kezek/time.h"
#include "rpc/lane.h"
#include "rpc/unary.h"

namespace kezek::rpc {

// First estimates of jobs against their starts. Thread-safe.
class EstimateTest {
 public:
  // Those that have none get these; the oldest are forgotten where there are too many.
  void Estimated(const std::map<JobRef, TimeMs>& starts);
  // An array's element is of its row, of which the first is tested. Start less estimate; none: it
  // had no estimate.
  std::optional<DurationMs> Started(const JobRef& job, TimeMs at_ms);
  void Left(const JobRef& job);

  // Start less estimate.
  struct Errors {
    std::int64_t jobs = 0;  // since the process began; figures are of the last 10,000
    DurationMs p10_ms = 0;
    DurationMs p50_ms = 0;
    DurationMs p90_ms = 0;
    bool operator==(const Errors&) const = default;
  };
  std::optional<Errors> errors() const;  // none: no job has started

 private:
  mutable std::mutex mutex_;
  std::map<JobRef, TimeMs> first_;  // of what waits
  std::set<JobRef> tested_;         // rows of arrays
  std::int64_t jobs_ = 0;
  std::deque<DurationMs> last_;
};

// Thread-safe. Shared, since work may outlast whoever asked.
class Outlooks : public std::enable_shared_from_this<Outlooks> {
 public:
  explicit Outlooks(const Parts& parts);

  // `done` once, on the read pool. UNAVAILABLE: this daemon does not lead, or has planned nothing.
  void Ask(UserId user, OutlookQuestion question, std::function<void(Result<Outlook>)> done);
  // Asks the desk for nothing more once it has returned, which it does when the desk has answered.
  void Stop();
  // The store's observer. Quick.
  void OnCommitted(const Committed& committed);

  std::optional<EstimateTest::Errors> errors() const { return test_.errors(); }

 private:
  Result<std::shared_ptr<const Foresight>> Current();
  Result<std::shared_ptr<const Foresight>> Make();

  const Parts parts_;
  const std::shared_ptr<Lane> lane_;
  std::mutex making_;  // held by the one that makes it, while others wait for it
  std::shared_ptr<const Foresight> current_;
  TimeMs made_ms_ = 0;
  bool stopped_ = false;
  std::mutex mutex_;
  TimeMs sampled_ms_ = 0;
  EstimateTest test_;
};

}  // namespace kezek::rpc
