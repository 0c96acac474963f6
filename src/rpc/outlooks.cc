#include "rpc/outlooks.h"

#include <algorithm>
#include <utility>

#include "kezek/names.h"
#include "rpc/await.h"

namespace kezek::rpc {
namespace {

constexpr DurationMs kKeptMs = 5 * kSecondMs;
constexpr DurationMs kSampleMs = kMinuteMs;
constexpr std::size_t kAskedMost = 2'000;  // asked for together
constexpr std::size_t kFirstMost = 50'000;
constexpr std::size_t kLastMost = 10'000;

// All that waits, or if that is much, what stands first.
std::vector<JobRef> RowsOf(const View& view) {
  std::vector<JobRef> rows;
  if (view.waiting == nullptr) return rows;
  if (view.waiting->size() > kAskedMost) return view.waiting->Ranked();
  for (const auto& [row, standing] : view.waiting->All()) rows.push_back(row);
  return rows;
}

}  // namespace

void EstimateTest::Estimated(const std::map<JobRef, TimeMs>& starts) {
  const std::lock_guard lock(mutex_);
  for (const auto& [row, start] : starts) {
    if (!tested_.contains(row)) first_.try_emplace(row, start);
  }
  while (first_.size() > kFirstMost) first_.erase(first_.begin());
}

std::optional<DurationMs> EstimateTest::Started(const JobRef& job, TimeMs at_ms) {
  const std::lock_guard lock(mutex_);
  for (const JobRef& row : {job, JobRef{job.id, kNoElement}}) {
    const auto found = first_.find(row);
    if (found == first_.end()) continue;
    const DurationMs late_ms = at_ms - found->second;
    last_.push_back(late_ms);
    first_.erase(found);
    if (row != job) tested_.insert(row);
    if (tested_.size() > kFirstMost) tested_.clear();
    ++jobs_;
    if (last_.size() > kLastMost) last_.pop_front();
    return late_ms;
  }
  return std::nullopt;
}

void EstimateTest::Left(const JobRef& job) {
  const std::lock_guard lock(mutex_);
  first_.erase(job);
  tested_.erase(job);
}

std::optional<EstimateTest::Errors> EstimateTest::errors() const {
  const std::lock_guard lock(mutex_);
  if (last_.empty()) return std::nullopt;
  std::vector<DurationMs> sorted(last_.begin(), last_.end());
  std::sort(sorted.begin(), sorted.end());
  const auto at = [&](std::size_t tenths) { return sorted[(sorted.size() - 1) * tenths / 10]; };
  return Errors{.jobs = jobs_, .p10_ms = at(1), .p50_ms = at(5), .p90_ms = at(9)};
}

// Two at a time: the pool's other threads stay free.
Outlooks::Outlooks(const Parts& parts)
    : parts_(parts), lane_(std::make_shared<Lane>(parts.read, 2)) {}

void Outlooks::Ask(UserId user, OutlookQuestion question,
                   std::function<void(Result<Outlook>)> done) {
  lane_->Work(user, [self = shared_from_this(), question = std::move(question),
                     done = std::move(done)](Reader&) {
    const auto foresight = self->Current();
    if (!foresight) return done(foresight.error());
    done((*foresight)->Of(question));
  });
}

void Outlooks::Stop() {
  const std::lock_guard lock(making_);
  stopped_ = true;
  current_ = nullptr;
}

Result<std::shared_ptr<const Foresight>> Outlooks::Current() {
  const std::lock_guard lock(making_);
  if (stopped_) return Error{Code::kUnavailable, "kezekd is stopping; try again", {}};
  const TimeMs now = parts_.clock->Now();
  if (current_ != nullptr && now - made_ms_ < kKeptMs && now >= made_ms_) return current_;
  auto made = Make();
  if (!made) return made;
  current_ = *made;
  made_ms_ = now;
  // After whoever waits for the answer.
  lane_->Work(UserId{}, [self = shared_from_this(), foresight = current_](Reader&) {
    self->test_.Estimated(foresight->Starts());
  });
  return current_;
}

Result<std::shared_ptr<const Foresight>> Outlooks::Make() {
  const auto view = parts_.desk->view();
  const Error none{Code::kUnavailable, "this daemon plans nothing now; try again", {}};
  if (view == nullptr || !view->leads) return none;
  auto outcome = Await(*parts_.desk, Command{{}, "kezek", LookAhead{RowsOf(*view)}});
  if (!outcome) return outcome.error();
  auto foresight = outcome->foresight ? outcome->foresight() : nullptr;
  if (foresight == nullptr) return none;
  return foresight;
}

void Outlooks::OnCommitted(const Committed& committed) {
  for (const Event& event : committed.events) {
    if (event.reason.code == ReasonCode::kPlanned) {
      const auto late_ms = test_.Started(event.job, event.time_ms);
      if (late_ms && parts_.meter != nullptr) parts_.meter->OnEstimateTested(*late_ms);
    }
    if (event.to == NameOf(JobState::kCancelled)) test_.Left(event.job);
  }
  const TimeMs now = parts_.clock->Now();
  {
    const std::lock_guard lock(mutex_);
    if (now - sampled_ms_ < kSampleMs) return;
    sampled_ms_ = now;
  }
  const auto view = parts_.desk->view();
  if (view == nullptr || view->waiting == nullptr || view->waiting->empty()) return;
  lane_->Work(UserId{}, [self = shared_from_this()](Reader&) { (void)self->Current(); });
}

}  // namespace kezek::rpc
