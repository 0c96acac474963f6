#include "slurm/surveyor.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "slurm/asking.h"
#include "slurm/codec.h"

namespace kezek::slurm {
namespace {

constexpr int kEarnedMost = 500;
constexpr DurationMs kRestMost = 3000;
constexpr DurationMs kExpectFor = 30 * kSecondMs;
constexpr std::size_t kLooksMost = 64;  // in one round, so that listings go on
// The accounting may take 0.4 s for each: without listings meanwhile more would be forgotten.
constexpr DurationMs kLooksFor = 500;
constexpr DurationMs kBegunAgain = kSecondMs;  // a shared file system that hangs
// No launch fails later: after a slurmd's 300 s (SlurmdTimeout) its node is down.
constexpr DurationMs kLaunchMost = 10 * kMinuteMs;
constexpr DurationMs kMissingAgain = 2 * kSecondMs;
constexpr DurationMs kMissingAgainMost = 30 * kSecondMs;
constexpr DurationMs kNoRecordComes = 60 * kSecondMs;
constexpr std::int64_t kBacklogMost = 100;   // slurmctld's records on their way at any time
constexpr DurationMs kSkewSeen = 1500;       // slurmctld tells whole seconds
constexpr DurationMs kAccountingPauses = 4;  // as long as the question that it left open
// Why slurmctld drains a node that still has a job of an id that is given anew.
constexpr std::string_view kDuplicateId = "Duplicate jobid";
constexpr std::string_view kRoot = "root";  // who ends what slurmd could not launch

// The job as the attempt's, whatever its owner has named it.
ClusterJob Named(ClusterJob job, const AttemptRef& attempt) {
  job.attempt = attempt;
  return job;
}

bool IsCancelledRun(const ClusterJob& job) {
  return job.state == ClusterJobState::kCancelled && job.start_ms != 0 && job.restarts == 0;
}

bool IsAtOnce(const ClusterJob& job) { return job.end_ms - job.start_ms <= kSecondMs; }

}  // namespace

Surveyor::Surveyor(SurveyorOptions options, HttpOptions http, Credential& credential,
                   CodecChoice& codecs, Clock& clock, ClusterSink sink)
    : options_(std::move(options)),
      meter_(http.meter),
      client_(http, credential),
      codecs_(codecs),
      clock_(clock),
      sink_(std::move(sink)),
      watch_(options_.tag_prefix),
      listing_timeout_ms_(kLargeAnswerFactor * options_.request_timeout_ms),
      // One may still be under way that nobody waits for any more.
      listings_({http.url, 2, http.meter}, credential),
      thread_([this] { Run(); }) {}

Surveyor::~Surveyor() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Surveyor::Follow(std::vector<Followed> jobs) {
  {
    const std::scoped_lock lock(mutex_);
    orders_.follow = std::move(jobs);
  }
  wake_.notify_one();
}

void Surveyor::Expect(std::int64_t cluster_job_id, std::string node) {
  {
    const std::scoped_lock lock(mutex_);
    orders_.expect.emplace_back(cluster_job_id, std::move(node));
  }
  wake_.notify_one();
}

void Surveyor::Look(Followed job) {
  {
    const std::scoped_lock lock(mutex_);
    orders_.looks.push_back(std::move(job));
  }
  wake_.notify_one();
}

void Surveyor::Find(AttemptRef attempt) {
  {
    const std::scoped_lock lock(mutex_);
    orders_.searches.push_back(attempt);
  }
  wake_.notify_one();
}

void Surveyor::Reconcile() {
  {
    const std::scoped_lock lock(mutex_);
    orders_.reconcile = true;
  }
  wake_.notify_one();
}

bool Surveyor::HasOrders() const {
  return orders_.follow || orders_.reconcile || !orders_.expect.empty() || !orders_.looks.empty() ||
         !orders_.searches.empty();
}

void Surveyor::Run() {
  while (true) {
    Orders orders;
    std::optional<Arrived> arrived;
    {
      std::unique_lock lock(mutex_);
      const auto due = std::chrono::steady_clock::now() + std::chrono::milliseconds(NextWait());
      wake_.wait_until(lock, due, [this] { return stopping_ || arrived_ || HasOrders(); });
      if (stopping_) return;
      orders = std::exchange(orders_, Orders{});
      arrived = std::exchange(arrived_, std::nullopt);
    }
    Busy(true);
    if (arrived) TakeArrived(*std::move(arrived));
    Round(std::move(orders));
    Busy(false);
  }
}

void Surveyor::Busy(bool busy) {
  if (meter_ == nullptr) return;
  busy ? meter_->Begins(Worker::kFollower) : meter_->Rests(Worker::kFollower);
}

DurationMs Surveyor::NextWait() {
  if (!up_) return said_silent_ ? kRetryEvery : 0;
  const DurationMs now = SteadyMs();
  DurationMs wait = next_nodes_ms_ - now;
  if (StatesAreTold()) wait = std::min(wait, next_states_ms_ - now);
  if (!listing_asked_) wait = std::min(wait, next_listing_ms_ - now);
  if (const auto hot = watch_.NextHot(now)) {
    const auto due = watch_.Hot(now, 1);
    wait = std::min(wait, std::max(*hot - now, UntilMayRead(!due.empty() && due.front().urgent)));
  }
  for (const auto& [id, job] : looks_due_) {
    const auto again = look_again_.find(id);
    wait = std::min(wait, again == look_again_.end() ? 0 : again->second - now);
  }
  return std::clamp<DurationMs>(wait, 0, kRestMost);
}

void Surveyor::TakeOrders(Orders orders) {
  if (orders.follow) {
    watch_.Follow(*orders.follow);
    follows_ = true;
    const auto forgotten = [this](const auto& entry) {
      return watch_.Known(entry.first) == nullptr && !looks_due_.contains(entry.first);
    };
    std::erase_if(look_again_, forgotten);
    std::erase_if(missing_since_, forgotten);
  }
  const TimeMs now = SteadyMs();
  earned_ = std::min(earned_ + static_cast<int>(orders.expect.size()), kEarnedMost);
  for (auto& [id, node] : orders.expect) {
    watch_.Expect(id, now, now + kExpectFor, std::move(node));
  }
  for (auto& job : orders.looks) looks_due_.insert_or_assign(job.attempt, std::move(job));
  due_.reconcile = due_.reconcile || orders.reconcile;
  due_.searches.insert(due_.searches.end(), orders.searches.begin(), orders.searches.end());
}

void Surveyor::Round(Orders orders) {
  const bool follow = orders.follow.has_value();
  TakeOrders(std::move(orders));
  if (!up_ && !Connect()) return NothingFound(std::exchange(due_.searches, {}));
  if (follow) ReportNodes(false);
  LookDue();
  if (!up_) return;
  const bool wanted = due_.reconcile || !due_.searches.empty();
  if (!listing_asked_ && (wanted || SteadyMs() >= next_listing_ms_)) List();
  if (SteadyMs() >= next_nodes_ms_ && !SurveyNodes(false)) return;
  if (StatesAreTold() && SteadyMs() >= next_states_ms_ && !SurveyStates()) return;
  LookHot();
}

HttpRequest Surveyor::Question(const std::string& path) const {
  HttpRequest request;
  request.path = path;
  request.user = options_.user;
  request.timeout_ms = options_.request_timeout_ms;
  return request;
}

HttpOutcome Surveyor::Get(const std::string& path, bool large) {
  Busy(true);
  Spend();
  HttpRequest request = Question(path);
  if (large) request.timeout_ms *= kLargeAnswerFactor;
  return client_.Do(request);
}

bool Surveyor::Connect() {
  const auto version = codecs_.Choose([this](const std::string& path) { return Get(path, false); });
  if (!version) return Silent(version.error()), false;
  if (!ReadClock()) return false;
  up_ = true;
  said_silent_ = false;
  version_ = *version;
  listed_at_ = nodes_at_ = 0;
  next_listing_ms_ = next_nodes_ms_ = 0;
  listings_failed_ = 0;
  no_states_ = false;
  nodes_.clear();
  used_.clear();
  reported_nodes_.clear();
  sink_(ClusterUp{version_, skew_ms_});
  return true;
}

bool Surveyor::ReadClock() {
  const HttpOutcome diag = Get(Api("/diag"), false);
  if (!Answered(diag)) return Silent(NotAnswered(diag)), false;
  const auto their_clock = ParseClock(diag.status, diag.body);
  if (!their_clock) return Silent(their_clock.error()), false;
  const DurationMs skew = *their_clock + kSecondMs / 2 - clock_.Now();
  skew_ms_ = skew > kSkewSeen || skew < -kSkewSeen ? skew : 0;
  return true;
}

// Of a job that Slurm has requeued the accounting keeps how the run before ended, and when, which
// slurmctld has forgotten; and a node that was set down but answers may be in service again at
// once. False: it is over, and the accounting does not tell yet.
bool Surveyor::AddFirstRun(ClusterJob* job) {
  if (job->restarts == 0 || watch_.Known(job->attempt) == nullptr) return true;
  const auto records = AskAccounting("/job/" + std::to_string(job->id));
  if (records) watch_.AddFirstRun(*records, job);
  if (job->run_end_ms != 0 || !HasEnded(job->state)) return true;
  return TellsNoMore(job->attempt, records.has_value());
}

// Whether what is still to be known of it has been asked for as long as may be. Else it is asked
// again after a while.
bool Surveyor::WaitedLong(const AttemptRef& attempt, DurationMs again_ms) {
  const TimeMs now = SteadyMs();
  look_again_[attempt] = now + again_ms;
  const TimeMs since = missing_since_.emplace(attempt, now).first->second;
  return now - since >= options_.accounting_patience_ms;
}

// Whether the accounting, which has no record of an end, will have none any more: one that does not
// answer may have it.
bool Surveyor::TellsNoMore(const AttemptRef& attempt, bool answers) {
  if (!answers) missing_since_.erase(attempt);
  if (WaitedLong(attempt, kMissingAgain)) return answers;
  // Runs of a second or two may have no record at all: with no news on its way none will come.
  const bool none = answers && SteadyMs() - missing_since_.at(attempt) >= kNoRecordComes;
  return none && !AccountingLags();
}

// Cancelled in its first run: whether its script had begun; a long one has, whatever became of the
// file that says so. None: it is not known yet.
std::optional<bool> Surveyor::HasBegun(const ClusterJob& job) const {
  if (job.end_ms - job.start_ms > kLaunchMost) return true;
  return options_.has_begun ? options_.has_begun(job.attempt, job.id)
                            : std::optional(!IsAtOnce(job));
}

// Whether the job was cancelled by its node as it began, for the node still has one of its id that
// slurmctld has forgotten, or was killed as it launched it: as slurmctld tells it, its owner or an
// admin might have done that. The node says why until it is put right; later the accounting has
// that root ended it, and it never began. None: it is not known yet whether it did.
std::optional<bool> Surveyor::RefusedByNode(const ClusterJob& job) {
  const Followed* known = watch_.Known(job.attempt);
  if (known == nullptr || known->cluster_job_id != job.id || !IsCancelledRun(job)) return false;
  const bool told =
      IsAtOnce(job) && SurveyNodes(true) &&
      std::any_of(nodes_.begin(), nodes_.end(), [&job](const Node& node) {
        const bool its =
            std::any_of(job.granted.begin(), job.granted.end(),
                        [&](const NodeGrant& grant) { return grant.node == node.name; });
        return (its || job.granted.empty()) && node.health_reason.starts_with(kDuplicateId);
      });
  if (told) return true;
  const auto began = HasBegun(job);
  if (!began) return WaitedLong(job.attempt, kBegunAgain) ? std::optional(false) : std::nullopt;
  if (*began) return false;
  const auto records = AskAccounting("/job/" + std::to_string(job.id));
  if (!records) {
    // Its GPUs are held meanwhile: not for hours. It has not run, and may run again.
    return WaitedLong(job.attempt, kMissingAgain) ? std::optional(true) : std::nullopt;
  }
  for (const LiveJob& record : *records) {
    const bool its = record.job.start_ms == job.start_ms && HasEnded(record.job.state);
    // By nobody: a slurmctld that was killed has forgotten by whom.
    if (its) return record.cancelled_by == kRoot || record.cancelled_by.empty();
  }
  return TellsNoMore(job.attempt, true) ? std::optional(false) : std::nullopt;
}

// False: not yet all is known that is to be told.
bool Surveyor::Complete(ClusterJob* job) {
  if (!AddFirstRun(job)) return false;
  const auto refused = RefusedByNode(*job);
  if (!refused) return false;
  if (*refused) job->node_failed = true;
  return true;
}

bool Surveyor::Tell(ClusterJob job, TimeMs asked_ms) {
  if (!Complete(&job)) return false;
  sink_(Observed{std::move(job), asked_ms});
  return true;
}

// The nodes go before a job that Slurm has requeued: one that is down tells why, too.
void Surveyor::Report(std::vector<ClusterJob> changed, TimeMs asked_ms) {
  const bool requeued = std::any_of(changed.begin(), changed.end(),
                                    [](const ClusterJob& job) { return job.restarts > 0; });
  if (requeued) SurveyNodes(true);
  for (auto& job : changed) {
    const AttemptRef attempt = job.attempt;
    if (Tell(std::move(job), asked_ms)) continue;
    if (const Followed* known = watch_.Known(attempt)) looks_due_.try_emplace(attempt, *known);
  }
}

void Surveyor::Silent(const Error& error) {
  up_ = false;
  missing_since_.clear();
  EndListing();
  if (said_silent_) return;
  said_silent_ = true;
  sink_(ClusterSilent{error.message});
}

// Slurm answers "unchanged" only if the last change was more than a second before update_time, and
// its clock has whole seconds: one is taken off for that, two for what is not seen of the skew, at
// the price of a few listings too many.
std::int64_t Surveyor::UpdateTime() const { return (clock_.Now() + skew_ms_) / kSecondMs - 3; }

bool Surveyor::MayLook(const AttemptRef& attempt) const {
  const auto again = look_again_.find(attempt);
  return again == look_again_.end() || SteadyMs() >= again->second;
}

void Surveyor::LookDue() {
  std::vector<Followed> due;
  for (const auto& [id, job] : looks_due_) {
    if (due.size() >= kLooksMost || !MayLook(id)) continue;
    // Who asks after a call has only its number: what is followed is known better.
    const Followed* known = watch_.Known(id);
    const bool same = known != nullptr && known->cluster_job_id == job.cluster_job_id;
    due.push_back(same ? *known : job);
  }
  const DurationMs begin = SteadyMs();
  for (const auto& job : due) {
    if (!up_ || SteadyMs() - begin > kLooksFor) return;
    if (LookAt(job, true)) looks_due_.erase(job.attempt);
  }
}

// True if the question was settled, false if it must be asked again.
bool Surveyor::LookAt(const Followed& job, bool always) {
  const TimeMs asked = clock_.Now();
  const std::string path = Api("/job/").append(std::to_string(job.cluster_job_id));
  const HttpOutcome outcome = Get(path, false);
  if (!Answered(outcome)) return Silent(NotAnswered(outcome)), false;
  const auto answer = ParseJobs(outcome.status, outcome.body);
  if (!answer && answer.error().code != Code::kNotFound) return Silent(answer.error()), false;
  if (answer) {
    for (const auto& live : answer->jobs) {
      if (live.job.id != job.cluster_job_id) continue;
      if (!IsIt(job, live.job)) continue;
      auto news = watch_.Take(live);
      if (news && news->restarts > 0) SurveyNodes(true);
      if (!news && always) {
        news = watch_.Reported(job.attempt).value_or(Named(live.job, job.attempt));
      }
      if (news && !Tell(*std::move(news), asked)) return false;
      Forget(job);
      return true;
    }
  }
  return LookInAccounting(job);
}

bool Surveyor::LookInAccounting(const Followed& job) {
  const AttemptRef& attempt = job.attempt;
  const auto records = AskAccounting("/job/" + std::to_string(job.cluster_job_id));
  if (!records) {  // slurmdbd is away, slurmctld is not: what it may know is not known
    missing_since_.erase(attempt);
    look_again_[attempt] = SteadyMs() + kMissingAgain;
    return false;
  }
  if (const auto record = watch_.EndIn(*records, job)) {
    ClusterJob news = watch_.Take(*record).value_or(Named(record->job, job.attempt));
    if (IsCancelledRun(news) && record->cancelled_by == kRoot) {
      const auto began = HasBegun(news);
      if (!began) return look_again_[attempt] = SteadyMs() + kBegunAgain, false;
      news.node_failed = news.node_failed || !*began;
    }
    sink_(Observed{std::move(news)});
    Forget(job);
    return true;
  }
  const TimeMs now = SteadyMs();
  const DurationMs waited = now - missing_since_.emplace(attempt, now).first->second;
  look_again_[attempt] = now + std::clamp(waited / 4, kMissingAgain, kMissingAgainMost);
  if (waited < options_.accounting_patience_ms || AccountingLags()) return false;
  sink_(Unknown{job.cluster_job_id, attempt});
  return true;
}

// After a question that slurmdbd left open none is asked for a while: it may take the whole
// time-out, and all else waits meanwhile.
Result<std::vector<LiveJob>> Surveyor::AskAccounting(const std::string& tail) {
  const TimeMs begin = SteadyMs();
  if (begin < accounting_again_ms_) return Error{Code::kUnavailable, "slurmdbd is away", {}};
  const HttpOutcome outcome = Get(codecs_.chosen()->AccountingPath(tail), false);
  if (!Answered(outcome)) {
    accounting_again_ms_ = SteadyMs() + kAccountingPauses * (SteadyMs() - begin);
    return NotAnswered(outcome);
  }
  return ParseAccounting(outcome.status, outcome.body);
}

// True if records still wait in slurmctld for slurmdbd, or it does not say.
bool Surveyor::AccountingLags() {
  const HttpOutcome diag = Get(Api("/diag"), false);
  if (!Answered(diag)) return Silent(NotAnswered(diag)), true;
  const auto backlog = ParseBacklog(diag.status, diag.body);
  return !backlog || *backlog > kBacklogMost;
}

void Surveyor::Forget(const Followed& job) {
  look_again_.erase(job.attempt);
  missing_since_.erase(job.attempt);
}

}  // namespace kezek::slurm
