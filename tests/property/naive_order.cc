// The simple model of what the order looks at in a job; most of it is of rule `shortest`.
#include <algorithm>
#include <utility>

#include "quota/charge.h"
#include "tests/property/naive_engine.h"

namespace kezek::test {

using engine::Waiting;

int Startable(const Waiting& job) {
  const bool row = job.spec->array && job.ref.element == kNoElement;
  return row ? static_cast<int>(job.elements.size()) : 1;
}

bool NaiveEngine::IsShortest(AccountId project) const {
  const quota::AccountIndex index = tree_->IndexOf(project);
  return index != quota::kNoAccount &&
         tree_->account(index).settings.rule == ProjectRule::kShortest;
}

// Mean of the last eight that ran as long as they take: with this name, or else of this shape.
DurationMs NaiveEngine::Length(const Waiting& job) const {
  const JobSpec& spec = *job.spec;
  for (const bool by_name : {true, false}) {
    DurationMs sum = 0;
    int count = 0;
    for (auto run = ended_.rbegin(); run != ended_.rend() && count < 8; ++run) {
      if (!run->typical || run->project != spec.project || run->user != job.user) continue;
      const bool same = by_name ? run->name == spec.name && !spec.name.empty()
                                : run->shape.nodes == spec.shape.nodes &&
                                      run->shape.gpus_per_node == spec.shape.gpus_per_node &&
                                      run->shape.gpu_type == spec.shape.gpu_type;
      if (!same) continue;
      sum += run->end_ms - run->start_ms;
      ++count;
    }
    if (count > 0) return std::min(sum / count, spec.time_limit_ms);
  }
  return spec.time_limit_ms;
}

// How long the project has run anything since then: all its runs, overlaps counted once.
DurationMs NaiveEngine::RanSince(AccountId project, TimeMs since, TimeMs now) const {
  std::vector<std::pair<TimeMs, TimeMs>> runs;
  for (const EndedRun& run : ended_) {
    if (run.project == project) runs.push_back({run.start_ms, run.end_ms});
  }
  for (const auto& [ref, attempt] : holdings_) {
    if (attempt.project == project && attempt.start_ms != 0)
      runs.push_back({attempt.start_ms, now});
  }
  std::sort(runs.begin(), runs.end());
  DurationMs ran = 0;
  for (const auto& [from, to] : runs) {
    if (to > std::max(from, since)) ran += to - std::max(from, since);
    since = std::max(since, to);
  }
  return ran;
}

quota::OrderJob NaiveEngine::OrderOf(const Waiting& job, TimeMs now) const {
  const ClassRules rules = ClassOf(job.spec->job_class);
  const MilliGpus counted = Counted(*job.spec);
  return {.ref = job.ref,
          .project = job.spec->project,
          .user = job.user,
          .class_rank = rules.rank,
          .scavenger = rules.scavenger || Scavenges(job, now),
          .counted_milli = counted,
          .expected_charge = ExpectedCharge(*job.spec, counted),
          .predicted = quota::Charge(counted, Length(job), 1000, 1000),
          .aged = RanSince(job.spec->project, job.queued_since_ms, now) >= config_.age_max_ms,
          .submitted_ms = job.submitted_ms,
          .user_priority = job.spec->user_priority,
          .count = Startable(job)};
}

quota::UsageBook NaiveEngine::Usage(const std::string& type) const {
  quota::UsageBook book(config_.half_life_ms);
  for (const auto& [booking, tree] : bookings_) {
    if (booking.gpu_type != type) continue;
    book.Book(*tree, booking.project, booking.user, booking.date_ms, booking.amount);
  }
  return book;
}

// Of what waits, by the project's own order.
void NaiveEngine::PlaceInOwnOrders(const std::vector<std::vector<JobRef>>& own_orders,
                                   std::map<JobRef, JobStanding>& waits) {
  for (const std::vector<JobRef>& own : own_orders) {
    std::int64_t place = 0;
    for (const JobRef& ref : own) {
      const auto standing = waits.find(ref);
      if (standing == waits.end()) continue;
      standing->second.place_in_project = ++place;
      Reason& reason = standing->second.reason;
      if (reason.code == ReasonCode::kNotLookedAt) reason.fields["place"] = std::to_string(place);
    }
  }
}

}  // namespace kezek::test
