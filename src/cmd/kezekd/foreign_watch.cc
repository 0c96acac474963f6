#include "cmd/kezekd/foreign_watch.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <utility>

#include "scheduler/control/foreign.h"

namespace kezek::kezekd {
namespace {

constexpr DurationMs kFresh = kMinuteMs;  // what has just ended may not have reached slurmdbd yet
constexpr DurationMs kBack = 30 * kMinuteMs;
constexpr DurationMs kDeepEvery = kHourMs;
constexpr DurationMs kShortest = kMinuteMs;
constexpr std::size_t kMany = 4000;  // runs in one answer: the next stretch is shorter
constexpr std::size_t kFew = 1000;
constexpr std::size_t kAtOnce = 200;           // runs in one commit
constexpr std::int64_t kHoursAtOnce = 10'000;  // each is an entry of the ledger
constexpr DurationMs kLook = 100;  // for a wish to stop, while the controller is waited for

Error StoppingNow() { return {Code::kUnavailable, "kezekd is stopping", {}}; }

}  // namespace

ForeignWatch::ForeignWatch(Desk& desk, ClusterBooks& books, AttemptArchive& attempts, Clock& clock,
                           ForeignWatchConfig config)
    : desk_(desk), books_(books), attempts_(attempts), clock_(clock), config_(std::move(config)) {}

void ForeignWatch::Start() {
  thread_ = std::thread([this] { Run(); });
}

void ForeignWatch::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void ForeignWatch::Run() {
  do {
    Tell(Round());
  } while (Wait(config_.every_ms));
}

bool ForeignWatch::Wait(DurationMs wait_ms) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, std::chrono::milliseconds(wait_ms), [this] { return stopping_; });
  return !stopping_;
}

void ForeignWatch::Tell(const Result<void>& done) {
  const std::string text = done ? "" : done.error().message;
  if (text == said_ || !Wait(0)) return;
  said_ = text;
  if (text.empty()) {
    spdlog::info("foreign jobs are charged again");
  } else {
    spdlog::warn("foreign jobs are not charged reason='{}'", text);
  }
}

Result<CommandOutcome> ForeignWatch::Book(BookForeign book) {
  const auto promise = std::make_shared<std::promise<Result<CommandOutcome>>>();
  auto answer = promise->get_future();
  desk_.Do({UserId{}, "kezek", std::move(book)},
           [promise](Result<CommandOutcome> outcome) { promise->set_value(std::move(outcome)); });
  while (answer.wait_for(std::chrono::milliseconds(kLook)) != std::future_status::ready) {
    if (!Wait(0)) return StoppingNow();
  }
  return answer.get();
}

Result<void> ForeignWatch::Round() {
  const auto view = desk_.view();
  if (view == nullptr || !view->leads) return {};
  const auto known = Book({});
  if (!known) return known.error();
  const TimeMs now = clock_.Now();
  const bool deep = now >= deep_at_ms_ || deep_at_ms_ - now > kDeepEvery;
  const TimeMs since = known->foreign_until_ms - (deep ? kForeignLateMs : kBack);
  const auto done = Read(since, now - kFresh);
  if (done && deep) deep_at_ms_ = now + kDeepEvery;
  return done;
}

Result<void> ForeignWatch::Read(TimeMs since_ms, TimeMs until_ms) {
  for (TimeMs at = since_ms; at < until_ms;) {
    if (!Wait(0)) return StoppingNow();
    const TimeMs end = std::min(at + stretch_ms_, until_ms);
    auto runs = books_.EndedRuns(at, end);
    if (!runs) {
      // Perhaps the answer was too long to come in time: the next one is shorter.
      stretch_ms_ = std::max(kShortest, stretch_ms_ / 2);
      return runs.error();
    }
    if (runs->size() > kMany) stretch_ms_ = std::max(kShortest, stretch_ms_ / 2);
    if (runs->size() < kFew) stretch_ms_ = std::min(kDayMs, stretch_ms_ * 2);
    if (auto taken = TakeRuns(std::move(*runs), end); !taken) return taken;
    at = end;
  }
  return {};
}

Result<void> ForeignWatch::TakeRuns(std::vector<BookedRun> runs, TimeMs until_ms) {
  std::vector<std::int64_t> ids;
  for (const BookedRun& run : runs) ids.push_back(run.cluster_job_id);
  const auto known = attempts_.RunAs(ids);
  if (!known) return known.error();
  const std::vector<AttemptRef> names =
      control::NamedByTags(runs, *known, config_.keyed_hash, config_.installation);
  Result<std::vector<ChargedAttempt>> named = std::vector<ChargedAttempt>();
  if (!names.empty()) named = attempts_.Named(names);
  if (!named) return named.error();
  runs = control::ForeignRuns(std::move(runs), *known, *named, config_.keyed_hash,
                              config_.installation);
  BookForeign some;
  std::int64_t hours = 0;
  for (BookedRun& run : runs) {
    if (some.runs.size() == kAtOnce || hours >= kHoursAtOnce) {
      if (const auto booked = Book(std::exchange(some, {})); !booked) return booked.error();
      hours = 0;
    }
    hours += (run.end_ms - run.start_ms) / kHourMs + 1;
    some.runs.push_back(std::move(run));
  }
  some.until_ms = until_ms;
  const auto booked = Book(std::move(some));
  if (!booked) return booked.error();
  return {};
}

}  // namespace kezek::kezekd
