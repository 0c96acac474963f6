#include "metrics/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <sstream>
#include <utility>

#include "kezek/check.h"
#include "kezek/reason_text.h"
#include "metrics/families.h"
#include "metrics/state_families.h"

namespace kezek::metrics {
namespace {

constexpr double kMicrosecondsPerSecond = 1e6;
constexpr double kMilliGpuMsPerGpuSecond = 1e6;

constexpr std::string_view kCodeNames[] = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};

std::string CodeName(Code code) {
  const auto index = static_cast<std::size_t>(code);
  return std::string(index < std::size(kCodeNames) ? kCodeNames[index] : "UNKNOWN");
}

std::string OutcomeName(ClusterCallMeasure::Outcome outcome) {
  switch (outcome) {
    case ClusterCallMeasure::Outcome::kAnswered:
      return "answered";
    case ClusterCallMeasure::Outcome::kError:
      return "error";
    case ClusterCallMeasure::Outcome::kNotSent:
      return "not_sent";
    case ClusterCallMeasure::Outcome::kLost:
      return "lost";
  }
  return "";
}

std::string WorkerName(std::size_t worker) {
  constexpr const char* kNames[] = {"controller", "committer", "follower"};
  return kNames[worker];
}

double Seconds(DurationUs span) { return static_cast<double>(span) / kMicrosecondsPerSecond; }

std::int64_t SteadyUs() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// The series of one family, found by their label values without making new ones up each time.
template <class Series>
class Cells {
 public:
  template <class Family>
  Cells(Family& family, const FamilyInfo& info)
      : family_(&family),
        names_(LabelsOf(info)),
        buckets_(info.buckets.begin(), info.buckets.end()) {}

  Series& At(const std::vector<std::string>& values) {
    const std::lock_guard lock(mutex_);
    Series*& cell = cells_[values];
    if (cell != nullptr) return *cell;
    KEZEK_CHECK(values.size() == names_.size(), "a value for every label");
    prometheus::Labels labels;
    for (std::size_t i = 0; i < values.size(); ++i) labels[names_[i]] = values[i];
    if constexpr (std::is_same_v<Series, prometheus::Histogram>) {
      cell = &family_->Add(labels, prometheus::Histogram::BucketBoundaries(buckets_));
    } else {
      cell = &family_->Add(labels);
    }
    return *cell;
  }

 private:
  prometheus::Family<Series>* family_;
  const std::vector<std::string> names_;
  const std::vector<double> buckets_;
  std::mutex mutex_;
  std::map<std::vector<std::string>, Series*> cells_;
};

using Counters = Cells<prometheus::Counter>;
using Histograms = Cells<prometheus::Histogram>;

Counters MakeCounters(prometheus::Registry& registry, std::string_view name) {
  const FamilyInfo& info = FamilyNamed(name);
  KEZEK_CHECK(info.kind == Kind::kCounter, "a counter by the table");
  return {prometheus::BuildCounter()
              .Name(std::string(info.name))
              .Help(std::string(info.help))
              .Register(registry),
          info};
}

Histograms MakeHistograms(prometheus::Registry& registry, std::string_view name) {
  const FamilyInfo& info = FamilyNamed(name);
  KEZEK_CHECK(info.kind == Kind::kHistogram && !info.buckets.empty(), "a histogram by the table");
  return {prometheus::BuildHistogram()
              .Name(std::string(info.name))
              .Help(std::string(info.help))
              .Register(registry),
          info};
}

// Position in the table of all families.
std::size_t PlaceOf(const std::string& name) {
  const auto families = Families();
  const auto found = std::ranges::find(families, name, &FamilyInfo::name);
  return static_cast<std::size_t>(found - families.begin());
}

}  // namespace

struct Metrics::Instruments {
  prometheus::Registry registry;
  Counters charged = MakeCounters(registry, "kezek_account_charged_gpu_seconds_total");
  Counters foreign = MakeCounters(registry, "kezek_foreign_charged_gpu_seconds_total");
  Histograms waits = MakeHistograms(registry, "kezek_job_wait_seconds");
  Counters events = MakeCounters(registry, "kezek_job_events_total");
  Counters overrides = MakeCounters(registry, "kezek_overrides_total");
  Counters promises = MakeCounters(registry, "kezek_reservation_changes_total");
  Histograms reclaims = MakeHistograms(registry, "kezek_reclaim_seconds");
  Histograms estimates = MakeHistograms(registry, "kezek_start_estimate_error_seconds");
  Counters preempted = MakeCounters(registry, "kezek_preempted_attempts_total");
  Counters lost = MakeCounters(registry, "kezek_preempted_gpu_seconds_total");
  Histograms tick = MakeHistograms(registry, "kezek_tick_seconds");
  Histograms phase = MakeHistograms(registry, "kezek_tick_phase_seconds");
  Counters reloads = MakeCounters(registry, "kezek_controller_reloads_total");
  Counters busy = MakeCounters(registry, "kezek_worker_busy_seconds_total");
  Histograms commit = MakeHistograms(registry, "kezek_commit_seconds");
  Histograms commit_submissions = MakeHistograms(registry, "kezek_commit_submissions");
  Histograms commit_bytes = MakeHistograms(registry, "kezek_commit_bytes");
  Counters commit_failures = MakeCounters(registry, "kezek_commit_failures_total");
  Counters slurm_requests = MakeCounters(registry, "kezek_slurm_requests_total");
  Histograms slurm_time = MakeHistograms(registry, "kezek_slurm_request_seconds");
  Counters rpc_requests = MakeCounters(registry, "kezek_rpc_requests_total");
  Histograms rpc_time = MakeHistograms(registry, "kezek_rpc_request_seconds");
  Counters http_requests = MakeCounters(registry, "kezek_http_requests_total");
  std::atomic<std::int64_t> commit_waiting{0};
  std::atomic<bool> stopped{false};
  std::atomic<std::int64_t> reserved{0};
  std::atomic<std::int64_t> reclaiming{0};
  std::atomic<DurationMs> oldest_reclaim_ms{0};

  mutable std::mutex queue_mutex;
  std::optional<QueueTally> queue;

  // What nobody has counted yet is 0, not absent.
  Instruments() {
    for (Counters* counters : {&reloads, &commit_failures}) counters->At({});
    for (const char* change : {"given", "earlier", "later", "ended"}) promises.At({change});
    for (Histograms* histograms :
         {&tick, &reclaims, &estimates, &commit, &commit_submissions, &commit_bytes}) {
      histograms->At({});
    }
    for (std::size_t worker = 0; worker < kWorkers; ++worker) busy.At({WorkerName(worker)});
    for (const char* kind : kOverrides) overrides.At({kind});
  }
};

Metrics::Metrics(const std::string& version, TimeMs started_ms)
    : started_ms_(started_ms), version_(version), instruments_(std::make_unique<Instruments>()) {}

Metrics::~Metrics() = default;

void Metrics::Begins(Worker worker) {
  const auto index = static_cast<std::size_t>(worker);
  const std::int64_t now = SteadyUs();
  const std::int64_t since = busy_since_us_[index].exchange(now);
  if (since != 0) instruments_->busy.At({WorkerName(index)}).Increment(Seconds(now - since));
}

void Metrics::Rests(Worker worker) {
  const auto index = static_cast<std::size_t>(worker);
  const std::int64_t since = busy_since_us_[index].exchange(0);
  if (since == 0) return;
  instruments_->busy.At({WorkerName(index)}).Increment(Seconds(SteadyUs() - since));
}

std::vector<std::pair<Worker, DurationMs>> Metrics::Busy() const {
  std::vector<std::pair<Worker, DurationMs>> busy;
  for (std::size_t i = 0; i < kWorkers; ++i) {
    const std::int64_t since = busy_since_us_[i];
    if (since == 0) continue;
    busy.emplace_back(static_cast<Worker>(i), std::max<DurationMs>(0, SteadyUs() - since) / 1000);
  }
  return busy;
}

void Metrics::OnCommit(const CommitMeasure& measure) {
  instruments_->commit.At({}).Observe(Seconds(measure.took_us));
  instruments_->commit_submissions.At({}).Observe(static_cast<double>(measure.submissions));
  instruments_->commit_bytes.At({}).Observe(static_cast<double>(measure.bytes));
  if (!measure.stored) instruments_->commit_failures.At({}).Increment();
  instruments_->commit_waiting = measure.waiting;
}

void Metrics::OnClusterCall(const ClusterCallMeasure& measure) {
  const std::string call(measure.call);
  instruments_->slurm_requests.At({call, OutcomeName(measure.outcome)}).Increment();
  instruments_->slurm_time.At({call}).Observe(Seconds(measure.took_us));
  if (call == "jobs" && measure.outcome == ClusterCallMeasure::Outcome::kAnswered) {
    jobs_listed_us_ = SteadyUs();
  }
}

void Metrics::OnRpc(const RpcMeasure& measure) {
  const std::string method(measure.method);
  instruments_->rpc_requests.At({method, CodeName(measure.code)}).Increment();
  instruments_->rpc_time.At({method}).Observe(Seconds(measure.took_us));
}

void Metrics::OnEstimateTested(DurationMs late_ms) {
  instruments_->estimates.At({}).Observe(static_cast<double>(late_ms) / 1e3);
}

void Metrics::OnHttp(std::string_view route, unsigned status) {
  instruments_->http_requests.At({std::string(route), std::to_string(status)}).Increment();
}

void Metrics::OnRound(const RoundMeasure& measure) {
  if (measure.reloaded) instruments_->reloads.At({}).Increment();
  instruments_->stopped = measure.stopped;
  if (measure.ticked) {
    instruments_->tick.At({}).Observe(Seconds(measure.took_us));
    for (const auto& [phase, took] : measure.phases) {
      instruments_->phase.At({std::string(phase)}).Observe(Seconds(took));
    }
  }
  for (const Event& event : measure.events) {
    const auto overridden = event.reason.fields.find(kOverrideField);
    if (overridden != event.reason.fields.end()) {
      instruments_->overrides.At({overridden->second}).Increment();
    }
    if (event.subject != Subject::kJob) continue;
    instruments_->events.At({std::string(WireName(event.reason.code))}).Increment();
  }
  for (const FirstRun& run : measure.first_runs) {
    const auto waited = static_cast<double>(std::max<DurationMs>(0, run.waited_ms));
    instruments_->waits.At({run.job_class}).Observe(waited / static_cast<double>(kSecondMs));
  }
  TellPromises(measure);
  if (measure.directory == nullptr) return;
  // To the project and to all above it, as the other figures of accounts.
  for (const ChargedTime& charge : measure.charged) {
    const double seconds = static_cast<double>(charge.amount) / kMilliGpuMsPerGpuSecond;
    if (charge.foreign) instruments_->foreign.At({charge.gpu_type}).Increment(seconds);
    for (AccountId account = charge.project; account;) {
      const auto found = measure.directory->accounts.find(account);
      if (found == measure.directory->accounts.end()) break;
      instruments_->charged.At({AccountLabel(*measure.directory, account), charge.gpu_type})
          .Increment(std::max(0.0, seconds));
      account = found->second.parent;
    }
  }
}

void Metrics::TellPromises(const RoundMeasure& measure) {
  const PromiseMeasure& promises = measure.promises;
  const auto add = [this](const char* change, std::int64_t count) {
    if (count > 0) instruments_->promises.At({change}).Increment(static_cast<double>(count));
  };
  add("given", promises.given);
  add("earlier", promises.earlier);
  add("later", promises.later);
  add("ended", promises.ended);
  for (const DurationMs took_ms : promises.reclaimed_ms) {
    instruments_->reclaims.At({}).Observe(static_cast<double>(took_ms) /
                                          static_cast<double>(kSecondMs));
  }
  for (const PreemptedRun& run : measure.preempted) {
    instruments_->preempted.At({run.job_class}).Increment();
    instruments_->lost.At({run.job_class})
        .Increment(static_cast<double>(run.lost) / kMilliGpuMsPerGpuSecond);
  }
  instruments_->reserved = promises.reserved;
  instruments_->reclaiming = promises.reclaims;
  instruments_->oldest_reclaim_ms = promises.oldest_reclaim_ms;
}

void Metrics::SetQueue(QueueTally tally) {
  const std::lock_guard lock(instruments_->queue_mutex);
  instruments_->queue = std::move(tally);
}

std::string Metrics::Expose(const DaemonState& state) const {
  std::vector<prometheus::MetricFamily> all = instruments_->registry.Collect();
  if (state.view != nullptr) AddViewFamilies(*state.view, all);
  {
    const std::lock_guard lock(instruments_->queue_mutex);
    if (instruments_->queue) AddQueueFamilies(*instruments_->queue, all);
  }
  AddGauge("kezek_controller_stopped", instruments_->stopped ? 1 : 0, all);
  GaugeFamily promises("kezek_reservations");
  promises.Add({"reserved"}, static_cast<double>(instruments_->reserved.load()));
  promises.Add({"reclaim"}, static_cast<double>(instruments_->reclaiming.load()));
  promises.AddTo(all);
  AddGauge(
      "kezek_oldest_reclaim_seconds",
      static_cast<double>(instruments_->oldest_reclaim_ms.load()) / static_cast<double>(kSecondMs),
      all);
  AddGauge("kezek_commit_queue_submissions",
           static_cast<double>(instruments_->commit_waiting.load()), all);
  if (const std::int64_t listed = jobs_listed_us_; listed != 0) {
    AddGauge("kezek_slurm_follower_lag_seconds", Seconds(SteadyUs() - listed), all);
  }
  AddGauge("kezek_http_connections", static_cast<double>(state.http_connections), all);
  AddGauge("kezek_leader", state.leads ? 1 : 0, all);
  AddGauge("kezek_schema_version", static_cast<double>(state.schema_version), all);
  GaugeFamily build("kezek_build_info");
  build.Add({version_}, 1);
  build.AddTo(all);
  AddGauge("kezek_start_time_seconds",
           static_cast<double>(started_ms_) / static_cast<double>(kSecondMs), all);
  std::ranges::stable_sort(all, {}, [](const auto& family) { return PlaceOf(family.name); });
  std::ostringstream text;
  prometheus::TextSerializer().Serialize(text, all);
  return std::move(text).str();
}

std::string AccountLabel(const Directory& directory, AccountId account) {
  std::string path;
  while (account && account != kRootAccount) {
    const auto found = directory.accounts.find(account);
    if (found == directory.accounts.end()) break;
    path = path.empty() ? found->second.name : found->second.name + "/" + path;
    account = found->second.parent;
  }
  return path.empty() ? "/" : path;
}

}  // namespace kezek::metrics
