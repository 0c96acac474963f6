// Listings of all jobs. They may take long: 10,000 jobs 2 to 5 s, on a busy machine many times
// that. So each is waited for beside all else, and one that does not come says nothing about Slurm
// as long as Slurm answers otherwise.
#include <algorithm>
#include <utility>

#include "slurm/asking.h"
#include "slurm/surveyor.h"

namespace kezek::slurm {
namespace {

constexpr DurationMs kListEvery = 2000;       // 2 ms when nothing has changed
constexpr DurationMs kListEveryAlone = 1000;  // where only listings tell of all that runs
constexpr DurationMs kListEverySoon = 500;    // where something has happened that only they tell
constexpr DurationMs kListEveryIdle = 3000;
constexpr DurationMs kListCostShare = 4;  // at most a fifth of the time goes into listings
constexpr DurationMs kTimeoutFactorMost = 30;
constexpr int kFailuresMost = 3;         // that cannot be read, in a row
constexpr DurationMs kSkewMoved = 1500;  // slurmctld tells whole seconds

}  // namespace

void Surveyor::List() {
  asked_ = std::exchange(due_, Purposes{});
  const bool whole = asked_.reconcile || !asked_.searches.empty();
  const bool since = !whole && listed_at_ != 0;
  HttpRequest request =
      Question(since ? codecs_.chosen()->PathSince("/jobs", listed_at_) : Api("/jobs"));
  request.timeout_ms = listing_timeout_ms_;
  listing_asked_ = true;
  listing_at_ = UpdateTime();
  listing_begun_ms_ = SteadyMs();
  listing_asked_ms_ = clock_.Now();
  watch_.BeginListing();
  Spend();
  listings_.Start(std::move(request), [this, number = ++listing_number_](HttpOutcome outcome) {
    Arrived arrived{number, Answered(outcome),
                    Answered(outcome) ? ParseJobs(outcome.status, outcome.body)
                                      : Result<JobsAnswer>(NotAnswered(outcome))};
    {
      const std::scoped_lock lock(mutex_);
      if (!arrived_ || arrived_->number < number) arrived_ = std::move(arrived);
    }
    wake_.notify_one();
  });
}

void Surveyor::TakeArrived(Arrived arrived) {
  if (!listing_asked_ || arrived.number != listing_number_) return;
  if (!arrived.answer) return ListingFailed(arrived);
  listing_asked_ = false;
  listings_failed_ = 0;
  listed_at_ = listing_at_;
  listing_ended_ms_ = SteadyMs();
  listing_cost_ms_ = listing_ended_ms_ - listing_begun_ms_;
  listing_timeout_ms_ = std::clamp(kListCostShare * listing_cost_ms_,
                                   kLargeAnswerFactor * options_.request_timeout_ms,
                                   kTimeoutFactorMost * options_.request_timeout_ms);
  if (arrived.answer->unchanged) {
    // That is no sign of life: a slurmctld that has just lost its state says so, too.
    watch_.EndListing();
  } else {
    TakeListing(*std::move(arrived.answer));
  }
  const bool alone = !StatesAreTold() && !watch_.GpusTell();
  const DurationMs every = alone ? kListEveryAlone : kListEvery;
  ScheduleListing(watch_.empty() ? kListEveryIdle : every);
  Serve(std::exchange(asked_, Purposes{}));
}

void Surveyor::TakeListing(JobsAnswer answer) {
  std::set<std::string> odd(answer.odd.begin(), answer.odd.end());
  for (const auto& text : odd) {
    if (!odd_.contains(text)) sink_(Oddity{text});
  }
  odd_ = std::move(odd);
  listing_ = std::move(answer.jobs);
  auto changes = watch_.TakeListing(listing_, clock_.Now());
  Report(std::move(changes.observed), listing_asked_ms_);
  for (auto& job : changes.missing) looks_due_.try_emplace(job.attempt, std::move(job));
  ReportNodes(false);
}

// What the listing was asked for besides. The order to reconcile is kept until it is carried out.
void Surveyor::Serve(Purposes purposes) {
  if (purposes.reconcile && up_ && CheckClock() && SurveyNodes(true)) {
    Listing listing{watch_.OurJobs(listing_), listing_asked_ms_};
    // What is left out is asked for.
    std::erase_if(listing.jobs, [this](ClusterJob& job) { return !Complete(&job); });
    sink_(std::move(listing));
  } else if (purposes.reconcile) {
    due_.reconcile = true;
  }
  for (const AttemptRef& attempt : purposes.searches) {
    up_ ? SearchFor(attempt) : NothingFound({attempt});
  }
}

// How far the clocks have gone apart.
bool Surveyor::CheckClock() {
  const DurationMs before = skew_ms_;
  if (!ReadClock()) return false;
  if (skew_ms_ - before > kSkewMoved || before - skew_ms_ > kSkewMoved) {
    sink_(ClusterUp{version_, skew_ms_});
  }
  return true;
}

// Not answered in time, it gets more the next time. An answer that cannot be read may be of a
// slurmctld that is too busy for it; or of one that is away, which its ping tells.
void Surveyor::ListingFailed(const Arrived& arrived) {
  EndListing();
  const HttpOutcome ping = Get(Api("/ping"), false);
  const bool answers = Answered(ping) && ParsePing(ping.status, ping.body);
  if (arrived.answered) ++listings_failed_;
  if (!answers || listings_failed_ >= kFailuresMost) return Silent(arrived.answer.error());
  if (!arrived.answered) {
    sink_(Oddity{"slurmrestd has not answered a listing of jobs in " +
                 std::to_string(listing_timeout_ms_ / kSecondMs) +
                 " s, but answers otherwise: " + arrived.answer.error().message});
    listing_timeout_ms_ =
        std::min(2 * listing_timeout_ms_, kTimeoutFactorMost * options_.request_timeout_ms);
  }
  listing_ended_ms_ = SteadyMs();
  next_listing_ms_ = listing_ended_ms_ + kRetryEvery;
}

// Without an answer, or without use for one: what it was for is left open.
void Surveyor::EndListing() {
  if (!listing_asked_) return;
  listing_asked_ = false;
  watch_.EndListing();
  due_.reconcile = due_.reconcile || asked_.reconcile;
  NothingFound(std::exchange(asked_, Purposes{}).searches);
}

void Surveyor::ScheduleListing(DurationMs every) {
  next_listing_ms_ = listing_ended_ms_ + std::max(every, kListCostShare * listing_cost_ms_);
}

void Surveyor::HurryListing() {
  const TimeMs before = next_listing_ms_;
  ScheduleListing(kListEverySoon);
  next_listing_ms_ = std::min(before, next_listing_ms_);
}

}  // namespace kezek::slurm
