#include "slurm/surveyor.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <utility>

#include "slurm/codec.h"

namespace kezek::slurm {
namespace {

constexpr std::size_t kHotMost = 8;     // read one by one; more of them by listings
constexpr DurationMs kHotEvery = 150;   // a read costs about 2 ms
constexpr DurationMs kListEvery = 250;  // 2 ms when nothing has changed
constexpr DurationMs kListEveryIdle = 3000;
constexpr DurationMs kListCostShare = 4;  // at most a fifth of the time goes into listings
constexpr DurationMs kNodesEvery = 2000;
constexpr DurationMs kRetryEvery = 1000;
constexpr DurationMs kExpectFor = 30 * kSecondMs;
constexpr DurationMs kMissingAgain = 2 * kSecondMs;
constexpr DurationMs kLargeAnswerFactor = 3;
constexpr DurationMs kSearchBack = 30 * kDayMs;
constexpr DurationMs kSkewSeen = 1500;  // slurmctld tells whole seconds

DurationMs SteadyMs() {
  using std::chrono::duration_cast, std::chrono::milliseconds, std::chrono::steady_clock;
  return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

// Midnight of that day, as a query has it; slurmrestd reads it in its own time zone.
std::string QueryDay(TimeMs time) {
  const std::time_t seconds = time / kSecondMs;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 40> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT00%%3A00%%3A00", &parts);
  return text.data();
}

Error NotAnswered(const HttpOutcome& outcome) { return {Code::kUnavailable, outcome.text, {}}; }

bool Answered(const HttpOutcome& outcome) { return outcome.kind == HttpOutcome::Kind::kAnswered; }

}  // namespace

Surveyor::Surveyor(SurveyorOptions options, HttpOptions http, Credential& credential, Clock& clock,
                   ClusterSink sink)
    : options_(std::move(options)),
      client_(std::move(http), credential),
      clock_(clock),
      sink_(std::move(sink)),
      watch_(options_.tag_prefix),
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

void Surveyor::Expect(std::int64_t cluster_job_id) {
  {
    const std::scoped_lock lock(mutex_);
    orders_.expect.push_back(cluster_job_id);
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

void Surveyor::Find(AttemptRef attempt, std::string unix_account) {
  {
    const std::scoped_lock lock(mutex_);
    orders_.searches.push_back({attempt, std::move(unix_account)});
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

void Surveyor::Run() {
  while (true) {
    Orders orders;
    {
      std::unique_lock lock(mutex_);
      const auto due = std::chrono::steady_clock::now() + std::chrono::milliseconds(NextWait());
      wake_.wait_until(lock, due, [this] {
        return stopping_ || orders_.follow || orders_.reconcile || !orders_.expect.empty() ||
               !orders_.looks.empty() || !orders_.searches.empty();
      });
      if (stopping_) return;
      orders = std::exchange(orders_, Orders{});
    }
    Round(std::move(orders));
  }
}

DurationMs Surveyor::NextWait() {
  if (!up_) return said_silent_ ? kRetryEvery : 0;
  const DurationMs now = SteadyMs();
  DurationMs wait = std::min(next_listing_ms_, next_nodes_ms_) - now;
  if (!watch_.Hot(now, 1).empty()) wait = std::min(wait, kHotEvery);
  return std::clamp<DurationMs>(wait, 0, kListEveryIdle);
}

void Surveyor::Round(Orders orders) {
  if (orders.follow) watch_.Follow(*std::move(orders.follow));
  for (const auto id : orders.expect) watch_.Expect(id, SteadyMs() + kExpectFor);
  looks_due_.insert(looks_due_.end(), orders.looks.begin(), orders.looks.end());
  reconcile_due_ = reconcile_due_ || orders.reconcile;
  if (!up_ && !Connect()) {
    for (const auto& search : orders.searches) sink_(FoundByName{search.attempt, false, {}});
    return;
  }
  SearchFor(orders.searches);
  const auto looks = std::exchange(looks_due_, {});
  for (const auto& job : looks) {
    if (!up_ || !LookAt(job, true)) looks_due_.push_back(job);
  }
  if (up_ && reconcile_due_ && List(true) && SurveyNodes(true)) {
    reconcile_due_ = false;
    sink_(Listing{watch_.OurJobs(listing_)});
  }
  if (!up_) return;
  const DurationMs now = SteadyMs();
  if (now >= next_listing_ms_) {
    if (!List(false)) return;
  } else {
    LookHot();
  }
  if (up_ && now >= next_nodes_ms_) SurveyNodes(false);
}

HttpOutcome Surveyor::Get(const std::string& path, bool large) {
  HttpRequest request;
  request.path = path;
  request.user = options_.user;
  request.timeout_ms = options_.request_timeout_ms * (large ? kLargeAnswerFactor : 1);
  return client_.Do(request);
}

bool Surveyor::Connect() {
  const HttpOutcome ping = Get(std::string(kApi) + "/ping", false);
  if (!Answered(ping)) return Silent(NotAnswered(ping)), false;
  const auto version = ParsePing(ping.status, ping.body);
  if (!version) return Silent(version.error()), false;
  const HttpOutcome diag = Get(std::string(kApi) + "/diag", false);
  if (!Answered(diag)) return Silent(NotAnswered(diag)), false;
  const auto their_clock = ParseClock(diag.status, diag.body);
  if (!their_clock) return Silent(their_clock.error()), false;
  const DurationMs skew = *their_clock + kSecondMs / 2 - clock_.Now();
  skew_ms_ = skew > kSkewSeen || skew < -kSkewSeen ? skew : 0;
  up_ = true;
  said_silent_ = false;
  listed_at_ = nodes_at_ = 0;
  next_listing_ms_ = next_nodes_ms_ = 0;
  sink_(ClusterUp{*version, skew_ms_});
  return true;
}

void Surveyor::Silent(const Error& error) {
  up_ = false;
  if (said_silent_) return;
  said_silent_ = true;
  sink_(ClusterSilent{error.message});
}

// Slurm answers "unchanged" only if the last change was more than a second before update_time, and
// its clock has whole seconds: one is taken off, at the price of one listing too many.
std::int64_t Surveyor::UpdateTime() const { return (clock_.Now() + skew_ms_) / kSecondMs - 1; }

bool Surveyor::List(bool whole) {
  std::string path = std::string(kApi) + "/jobs";
  if (!whole && listed_at_ != 0) path += "?update_time=" + std::to_string(listed_at_);
  const std::int64_t at = UpdateTime();
  const DurationMs begin = SteadyMs();
  const HttpOutcome outcome = Get(path, true);
  if (!Answered(outcome)) return Silent(NotAnswered(outcome)), false;
  auto answer = ParseJobs(outcome.status, outcome.body);
  if (!answer) return Silent(answer.error()), false;
  const DurationMs now = SteadyMs();
  listed_at_ = at;
  listing_cost_ms_ = now - begin;
  const DurationMs every = watch_.empty() ? kListEveryIdle : kListEvery;
  next_listing_ms_ = now + std::max(every, kListCostShare * listing_cost_ms_);
  if (answer->unchanged) return true;
  listing_ = std::move(answer->jobs);
  auto changes = watch_.TakeListing(listing_);
  for (auto& job : changes.observed) sink_(Observed{std::move(job)});
  LookForMissing(changes.missing);
  if (!nodes_.empty()) ReportNodes(false);
  return up_;
}

bool Surveyor::SurveyNodes(bool whole) {
  std::string path = std::string(kApi) + "/nodes";
  if (!whole && nodes_at_ != 0) path += "?update_time=" + std::to_string(nodes_at_);
  const std::int64_t at = UpdateTime();
  const HttpOutcome outcome = Get(path, true);
  if (!Answered(outcome)) return Silent(NotAnswered(outcome)), false;
  auto nodes = ParseNodes(outcome.status, outcome.body);
  // 22.05 answers a conditional request for nodes that have changed with an error of no meaning.
  if (!nodes && !whole && nodes_at_ != 0 && outcome.status == 500) return SurveyNodes(true);
  if (!nodes) return Silent(nodes.error()), false;
  nodes_at_ = at;
  next_nodes_ms_ = SteadyMs() + kNodesEvery;
  if (nodes->has_value()) nodes_ = **std::move(nodes);
  ReportNodes(whole);
  return true;
}

void Surveyor::ReportNodes(bool always) {
  auto nodes = watch_.WithForeignUse(nodes_, listing_);
  if (!always && nodes == reported_nodes_) return;
  reported_nodes_ = nodes;
  sink_(NodesObserved{std::move(nodes)});
}

void Surveyor::LookHot() {
  for (const auto& job : watch_.Hot(SteadyMs(), kHotMost)) {
    const auto again = look_again_.find(job.cluster_job_id);
    if (again != look_again_.end() && SteadyMs() < again->second) continue;
    LookAt(job, false);
    if (!up_) return;
  }
}

// True if the question was settled, false if it must be asked again.
bool Surveyor::LookAt(const Followed& job, bool always) {
  const std::string path = std::string(kApi) + "/job/" + std::to_string(job.cluster_job_id);
  const HttpOutcome outcome = Get(path, false);
  if (!Answered(outcome)) return Silent(NotAnswered(outcome)), false;
  const auto answer = ParseJobs(outcome.status, outcome.body);
  if (!answer && answer.error().code != Code::kNotFound) return Silent(answer.error()), false;
  if (answer) {
    for (const auto& live : answer->jobs) {
      if (live.job.id != job.cluster_job_id || live.job.attempt != job.attempt) continue;
      const auto news = watch_.Take(live);
      if (news) {
        sink_(Observed{*news});
      } else if (always) {
        sink_(Observed{watch_.Known(live.job.id).value_or(live.job)});
      }
      Forget(job);
      return true;
    }
  }
  return LookInAccounting(job);
}

bool Surveyor::LookInAccounting(const Followed& job) {
  const auto id = job.cluster_job_id;
  look_again_[id] = SteadyMs() + kMissingAgain;
  const HttpOutcome outcome =
      Get(std::string(kAccountingApi) + "/job/" + std::to_string(id), false);
  if (!Answered(outcome)) return Silent(NotAnswered(outcome)), false;
  const auto records = ParseAccounting(outcome.status, outcome.body);
  if (!records) return false;  // slurmdbd is away, slurmctld is not
  const LiveJob* record = nullptr;
  for (const auto& candidate : *records) {
    if (candidate.job.attempt != job.attempt || candidate.job.id != id) continue;
    if (!job.unix_account.empty() && candidate.job.unix_account != job.unix_account) continue;
    record = &candidate;
  }
  if (record != nullptr && IsOver(record->job.state)) {
    sink_(Observed{watch_.Take(*record).value_or(record->job)});
    Forget(job);
    return true;
  }
  if (record != nullptr) {
    // Its end may still be on the way from slurmctld to slurmdbd.
    const auto since = running_since_.emplace(id, SteadyMs()).first->second;
    if (SteadyMs() - since < options_.accounting_patience_ms) return true;
  }
  sink_(Unknown{id, job.attempt});
  return true;
}

void Surveyor::Forget(const Followed& job) {
  look_again_.erase(job.cluster_job_id);
  running_since_.erase(job.cluster_job_id);
}

void Surveyor::LookForMissing(const std::vector<Followed>& missing) {
  for (const auto& job : missing) {
    const auto again = look_again_.find(job.cluster_job_id);
    if (again != look_again_.end() && SteadyMs() < again->second) continue;
    LookAt(job, false);
    if (!up_) return;
  }
}

void Surveyor::SearchFor(const std::vector<Search>& searches) {
  if (searches.empty()) return;
  const bool listed = List(true);
  for (const auto& search : searches) {
    FoundByName found{search.attempt, false, {}};
    if (!listed || !up_) {
      sink_(std::move(found));
      continue;
    }
    for (const auto& live : listing_) {
      if (live.job.attempt == search.attempt) found.jobs.push_back(live.job);
    }
    const HttpOutcome outcome =
        Get(std::string(kAccountingApi) + "/jobs?job_name=" + ClusterName(search.attempt) +
                "&start_time=" + QueryDay(clock_.Now() - kSearchBack),
            false);
    if (Answered(outcome)) {
      const auto records = ParseAccounting(outcome.status, outcome.body);
      found.complete = records.has_value();
      for (const auto& record : records ? *records : std::vector<LiveJob>{}) {
        const bool known =
            std::any_of(found.jobs.begin(), found.jobs.end(),
                        [&](const ClusterJob& job) { return job.id == record.job.id; });
        if (record.job.attempt == search.attempt && !known) found.jobs.push_back(record.job);
      }
    }
    sink_(std::move(found));
  }
}

}  // namespace kezek::slurm
