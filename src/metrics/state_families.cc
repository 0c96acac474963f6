#include "metrics/state_families.h"

#include <algorithm>
#include <map>
#include <utility>

#include "kezek/budget_forecast.h"
#include "kezek/check.h"
#include "kezek/names.h"
#include "kezek/reason_text.h"
#include "metrics/families.h"
#include "metrics/metrics.h"

namespace kezek::metrics {
namespace {

constexpr double kPerMilli = 1000;
constexpr double kSecondsPerHour = 3600;

double Gpus(MilliGpus milli) { return static_cast<double>(milli) / kPerMilli; }

void AddAccounts(const View& view, std::vector<prometheus::MetricFamily>& all) {
  struct Figure {
    GaugeFamily family;
    double (*of)(const Standing& standing);
  };
  using S = const Standing&;
  Figure figures[] = {
      {GaugeFamily("kezek_account_guarantee_gpus"), [](S s) { return Gpus(s.guarantee_milli); }},
      {GaugeFamily("kezek_account_guarantee_now_gpus"),
       [](S s) { return Gpus(s.guarantee_now_milli); }},
      {GaugeFamily("kezek_account_entitlement_gpus"), [](S s) { return Gpus(s.entitled_milli); }},
      {GaugeFamily("kezek_account_allocated_gpus"), [](S s) { return Gpus(s.allocated_milli); }},
      {GaugeFamily("kezek_account_borrowed_gpus"), [](S s) { return Gpus(s.Borrowed()); }},
      {GaugeFamily("kezek_account_lent_gpus"), [](S s) { return Gpus(s.lent_milli); }},
      {GaugeFamily("kezek_account_kept_idle_gpus"), [](S s) { return Gpus(s.idle_milli); }},
      {GaugeFamily("kezek_account_owed_gpus"), [](S s) { return Gpus(s.Owed()); }},
      {GaugeFamily("kezek_account_apart_gpus"), [](S s) { return Gpus(s.apart_milli); }},
      {GaugeFamily("kezek_account_demand_gpus"), [](S s) { return Gpus(s.demand_milli); }},
      {GaugeFamily("kezek_account_usage_gpu_seconds"),
       [](S s) { return s.usage_gpu_hours * kSecondsPerHour; }},
  };
  GaugeFamily bound("kezek_account_entitlement_bound");
  GaugeFamily info("kezek_account_info");
  for (const auto& [key, standing] : view.standings) {
    const std::string account = AccountLabel(*view.directory, key.first);
    for (Figure& figure : figures) figure.family.Add({account, key.second}, figure.of(standing));
    bound.Add({account, key.second, std::string(NameOf(standing.entitled_by))}, 1);
  }
  for (const auto& [id, account] : view.directory->accounts) {
    info.Add({AccountLabel(*view.directory, id), account.kind}, 1);
  }
  for (Figure& figure : figures) figure.family.AddTo(all);
  bound.AddTo(all);
  info.AddTo(all);
}

double GpuSeconds(MilliGpuMs amount) {
  return static_cast<double>(amount) / kPerMilli / static_cast<double>(kSecondMs);
}

double SecondsOf(TimeMs time_ms) {
  return static_cast<double>(time_ms) / static_cast<double>(kSecondMs);
}

// Only of periods that are current: else the number of series would grow with the years.
void AddBudgets(const View& view, std::vector<prometheus::MetricFamily>& all) {
  if (view.budgets == nullptr) return;
  GaugeFamily granted("kezek_budget_granted_gpu_seconds");
  GaugeFamily spent("kezek_budget_spent_gpu_seconds");
  GaugeFamily held("kezek_budget_held_gpu_seconds");
  GaugeFamily left("kezek_budget_left_gpu_seconds");
  GaugeFamily end("kezek_budget_end_timestamp_seconds");
  GaugeFamily warned("kezek_budget_warned_percent");
  GaugeFamily runs_out("kezek_budget_runs_out_timestamp_seconds");
  GaugeFamily will_expire("kezek_budget_will_expire_gpu_seconds");
  for (const BudgetStanding& budget : *view.budgets) {
    const BudgetSpec& spec = budget.spec;
    if (view.now_ms < spec.start_ms || view.now_ms >= spec.end_ms) continue;
    const std::vector<std::string> labels = {AccountLabel(*view.directory, budget.ref.account),
                                             spec.name, spec.gpu_type};
    granted.Add(labels, GpuSeconds(budget.balance.granted + budget.balance.carried_in));
    spent.Add(labels, GpuSeconds(budget.balance.spent));
    held.Add(labels, GpuSeconds(budget.balance.held));
    left.Add(labels, GpuSeconds(budget.balance.left));
    end.Add(labels, SecondsOf(spec.end_ms));
    warned.Add(labels, budget.balance.warned_percent);
    const BudgetPace pace{budget.balance.spent, std::max(kHourMs, view.now_ms - spec.start_ms)};
    const BudgetForecast forecast =
        ForecastOf(spec, budget.balance, pace, view.now_ms, HasNextPeriod(*view.budgets, budget));
    if (forecast.runs_out_ms != 0) runs_out.Add(labels, SecondsOf(forecast.runs_out_ms));
    will_expire.Add(labels, GpuSeconds(forecast.will_expire));
  }
  for (GaugeFamily* family :
       {&granted, &spent, &held, &left, &end, &warned, &runs_out, &will_expire}) {
    family->AddTo(all);
  }
}

// GPUs that our attempts hold, by node.
std::map<std::string, std::int32_t> Held(const View& view) {
  std::map<std::string, std::int32_t> held;
  if (view.alive == nullptr) return held;
  for (const Alive& alive : *view.alive) {
    for (const NodeGrant& grant : alive.placement) held[grant.node] += grant.gpus;
  }
  return held;
}

// Those that are on or still to come.
void AddAdminReservations(const View& view, std::vector<prometheus::MetricFamily>& all) {
  GaugeFamily gpus("kezek_admin_reservation_gpus");
  GaugeFamily begins("kezek_admin_reservation_begin_timestamp_seconds");
  GaugeFamily ends("kezek_admin_reservation_end_timestamp_seconds");
  for (const auto& [name, reservation] : view.directory->reservations) {
    const auto next = NextOccurrence(reservation, view.now_ms);
    if (!next) continue;
    std::int64_t of_nodes = 0;
    for (const std::string& node : reservation.nodes) {
      const auto known = view.nodes.find(node);
      if (known != view.nodes.end()) of_nodes += known->second.gpus;
    }
    gpus.Add({name, reservation.IsMaintenance() ? "maintenance" : "use"},
             static_cast<double>(of_nodes));
    begins.Add({name}, SecondsOf(next->begin_ms));
    ends.Add({name}, SecondsOf(next->end_ms));
  }
  for (GaugeFamily* family : {&gpus, &begins, &ends}) family->AddTo(all);
}

void AddNodes(const View& view, std::vector<prometheus::MetricFamily>& all) {
  std::map<std::pair<std::string, std::string>, std::int64_t> nodes;
  std::map<std::pair<std::string, std::string>, std::int64_t> gpus;
  const auto held = Held(view);
  for (const auto& [name, node] : view.nodes) {
    for (const std::string_view state : Names<NodeHealth>::kAll) {
      nodes[{node.gpu_type, std::string(state)}];
    }
    for (const char* state : {"allocated", "foreign", "free", "draining", "down", "unknown"}) {
      gpus[{node.gpu_type, state}];
    }
    const std::string health(NameOf(node.health));
    ++nodes[{node.gpu_type, health}];
    const auto ours = held.find(name);
    const std::int32_t allocated = std::min(ours == held.end() ? 0 : ours->second, node.gpus);
    const std::int32_t foreign = std::clamp(node.foreign_gpus, 0, node.gpus - allocated);
    gpus[{node.gpu_type, "allocated"}] += allocated;
    gpus[{node.gpu_type, "foreign"}] += foreign;
    const bool up = node.health == NodeHealth::kUp;
    gpus[{node.gpu_type, up ? "free" : health}] += node.gpus - allocated - foreign;
  }
  GaugeFamily node_family("kezek_nodes");
  for (const auto& [key, count] : nodes) {
    node_family.Add({key.first, key.second}, static_cast<double>(count));
  }
  GaugeFamily gpu_family("kezek_gpus");
  for (const auto& [key, count] : gpus) {
    gpu_family.Add({key.first, key.second}, static_cast<double>(count));
  }
  node_family.AddTo(all);
  gpu_family.AddTo(all);
}

}  // namespace

GaugeFamily::GaugeFamily(std::string_view name) {
  const FamilyInfo& info = FamilyNamed(name);
  KEZEK_CHECK(info.kind == Kind::kGauge, "only gauges are made from a state");
  names_ = LabelsOf(info);
  family_.name = info.name;
  family_.help = info.help;
  family_.type = prometheus::MetricType::Gauge;
}

void GaugeFamily::Add(const std::vector<std::string>& labels, double value) {
  KEZEK_CHECK(labels.size() == names_.size(), "a value for every label");
  prometheus::ClientMetric metric;
  for (std::size_t i = 0; i < labels.size(); ++i) metric.label.push_back({names_[i], labels[i]});
  metric.gauge.value = value;
  family_.metric.push_back(std::move(metric));
}

void GaugeFamily::AddTo(std::vector<prometheus::MetricFamily>& all) {
  if (!family_.metric.empty()) all.push_back(std::move(family_));
}

void AddGauge(std::string_view name, double value, std::vector<prometheus::MetricFamily>& all) {
  GaugeFamily family(name);
  family.Add({}, value);
  family.AddTo(all);
}

void AddViewFamilies(const View& view, std::vector<prometheus::MetricFamily>& all) {
  if (view.directory != nullptr) {
    AddAccounts(view, all);
    AddBudgets(view, all);
    AddAdminReservations(view, all);
  }
  AddNodes(view, all);
  const double now_s = static_cast<double>(view.now_ms) / static_cast<double>(kSecondMs);
  AddGauge("kezek_last_tick_timestamp_seconds", now_s, all);
  AddGauge("kezek_slurm_up", view.cluster_answers ? 1 : 0, all);
  AddGauge("kezek_epoch", static_cast<double>(view.epoch), all);
}

void AddQueueFamilies(const QueueTally& tally, std::vector<prometheus::MetricFamily>& all) {
  GaugeFamily jobs("kezek_queue_jobs");
  GaugeFamily gpus("kezek_queue_gpus");
  for (const QueuedJobs& queued : tally.queued) {
    const std::vector<std::string> labels = {queued.job_class,
                                             std::string(WireName(queued.reason))};
    jobs.Add(labels, static_cast<double>(queued.jobs));
    gpus.Add(labels, Gpus(queued.counted_milli));
  }
  GaugeFamily attempts("kezek_attempts");
  GaugeFamily attempt_gpus("kezek_attempt_gpus");
  for (const AliveAttempts& alive : tally.alive) {
    const std::vector<std::string> labels = {alive.job_class,
                                             alive.running ? "running" : "starting"};
    attempts.Add(labels, static_cast<double>(alive.attempts));
    attempt_gpus.Add(labels, Gpus(alive.counted_milli));
  }
  for (GaugeFamily* family : {&jobs, &gpus, &attempts, &attempt_gpus}) family->AddTo(all);
}

}  // namespace kezek::metrics
