// How long the engine takes: tick_bench [--NAME VALUE ...], see Options. Prints one JSON object.
//
// An empty machine fills from the queue; a second engine is told what is there and decides for the
// first time; then ticks, in each of which some of what runs ends and as many jobs come; then ticks
// that are about a single job that has come. Times are of this thread's own processor time, events
// and what becomes of the plan included.
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "scheduler/engine/engine.h"
#include "tests/bench/measuring.h"

namespace {

using namespace kezek;
using bench::Calibrate;
using bench::Dice;
using bench::NowNs;
using bench::Times;

constexpr TimeMs kNow = 20'000 * kDayMs + 5 * kHourMs;
const std::string kType = "h200";

struct Options {
  std::int64_t nodes = 1250;
  std::int64_t jobs = 100'000;
  std::int64_t accounts = 2000;
  std::int64_t users = 10'000;
  std::int64_t turnover = 10;  // of a thousand that run, how many end in a tick
  std::int64_t ticks = 200;
  std::int64_t arrivals = 200;  // ticks about one job
  std::int64_t seconds = 20;    // at most, of ticks of either kind
  std::int64_t limited = 10;    // of a hundred projects, how many have a limit that stops jobs
  std::int64_t budgets = 0;     // 1: each institution has a budget, which holds all that it starts
  std::int64_t promises = 0;    // reservations alive; more than 0: reclaim, too
  std::int64_t seed = 1;
};

Options Read(int argc, char** argv) {
  Options options;
  const std::map<std::string, std::int64_t*> known = {
      {"--nodes", &options.nodes},       {"--jobs", &options.jobs},
      {"--accounts", &options.accounts}, {"--users", &options.users},
      {"--turnover", &options.turnover}, {"--ticks", &options.ticks},
      {"--arrivals", &options.arrivals}, {"--seconds", &options.seconds},
      {"--limited", &options.limited},   {"--budgets", &options.budgets},
      {"--promises", &options.promises}, {"--seed", &options.seed}};
  for (int i = 1; i < argc; i += 2) {
    const auto option = known.find(argv[i]);
    if (option == known.end() || i + 1 == argc) {
      std::fprintf(stderr, "tick_bench: what is %s?\n", argv[i]);
      std::exit(2);
    }
    *option->second = std::atoll(argv[i + 1]);
  }
  return options;
}

double ResidentMib() {
  malloc_trim(0);
  long pages = 0;
  long resident = 0;
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr || std::fscanf(file, "%ld %ld", &pages, &resident) != 2) std::abort();
  std::fclose(file);
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1048576.0;
}

// The world around the engine: accounts, nodes, jobs, and what becomes of plans.
class Site {
 public:
  explicit Site(const Options& options);
  // An empty engine that knows the accounts and nodes.
  engine::Engine Make();
  void SetNodes(engine::Engine& engine, NodeHealth health) const;
  void Tell(engine::Engine& engine);  // all that waits and runs
  void Submit(engine::Engine& engine);
  engine::Plan Decide(const engine::Engine& engine) {
    phase_began_ns_ = NowNs();
    return engine.Decide(now_ms_);
  }
  void EndOne(engine::Engine& engine);
  void Commit(engine::Engine& engine, const engine::Plan& plan);
  const std::vector<engine::Holding>& running() const { return running_; }
  const std::map<JobRef, engine::Waiting>& waiting() const { return waiting_; }
  void Pass(DurationMs time_ms) { now_ms_ += time_ms; }
  TimeMs now_ms() const { return now_ms_; }
  // From here on events and phases count.
  void Begin() {
    events_.Clear();
    phases_.clear();
  }
  Times& events() { return events_; }
  std::map<std::string, std::int64_t>& phases() { return phases_; }

 private:
  void AddAccounts();
  void AddShapes();
  std::string NodeName(std::int64_t i) const { return "n" + std::to_string(100'000 + i); }
  // One event, told and timed.
  template <class Act>
  void Event(const Act& act) {
    const std::int64_t began = NowNs();
    act();
    events_.Add(NowNs() - began);
  }

  const Options options_;
  Dice dice_;
  TimeMs now_ms_ = kNow;
  Directory directory_;
  std::vector<AccountId> projects_;
  std::vector<JobSpec> shapes_;
  std::map<JobRef, engine::Waiting> waiting_;
  std::vector<engine::Holding> running_;
  std::vector<engine::UsageBooking> booked_;  // since then: usage
  std::int64_t next_job_ = 1;
  std::int64_t phase_began_ns_ = 0;
  std::map<std::string, std::int64_t> phases_;
  Times events_;
};

Site::Site(const Options& options) : options_(options), dice_(options.seed) {
  AddAccounts();
  AddShapes();
}

// 4 sectors, an institution for each 25 projects. Guarantees come to four fifths of the machine.
void Site::AddAccounts() {
  const MilliGpus all = options_.nodes * 8000;
  const std::int64_t institutions = std::max<std::int64_t>(4, (options_.accounts - 5) / 26);
  const std::int64_t projects = std::max<std::int64_t>(4, options_.accounts - 5 - institutions);
  for (std::int64_t id = 1; id <= 5 + institutions + projects; ++id) {
    Account account{.id = AccountId{id}, .parent = {}, .name = "a" + std::to_string(id)};
    Share share;
    share.weight_milli = dice_.Roll(1, 10) * 1000;
    if (id == 1) {
      account.kind = "cluster";
      share.guarantee_milli = all;
    } else if (id <= 5) {
      account.parent = AccountId{1};
      account.kind = "sector";
      share.guarantee_milli = all / 5;
    } else if (id <= 5 + institutions) {
      account.parent = AccountId{2 + id % 4};
      account.kind = "institution";
      share.guarantee_milli = all * 4 / 5 / (institutions + 4) / 1000 * 1000;
      if (options_.budgets != 0) {
        account.settings.budgets = {{.name = "year",
                                     .gpu_type = {},
                                     .milli_gpu_hours = 1'000'000'000'000,
                                     .start_ms = 0,
                                     .end_ms = kNow + 365 * kDayMs}};
      }
    } else {
      account.parent = AccountId{6 + id % institutions};
      account.kind = "project";
      if (dice_.Roll(0, 99) < options_.limited) {
        account.settings.account_limits.running_milli = dice_.Roll(1, 16) * 1000;
      }
      projects_.push_back(account.id);
    }
    account.settings.shares[kType] = share;
    directory_.accounts[account.id] = account;
  }
  directory_.classes["normal"] = {.name = "normal", .rank = 2};
  directory_.classes["debug"] = {.name = "debug", .rank = 0};
  directory_.classes["scavenger"] = {.name = "scavenger", .rank = 3, .scavenger = true};
  directory_.rate_milli[kType] = 1000;
}

// Of one GPU to 32 nodes, each with the CPUs and memory of its GPUs, or with twice the memory, or
// little; small ones are many.
void Site::AddShapes() {
  const std::vector<std::tuple<int, int, int>> sizes = {
      {1, 1, 40}, {1, 2, 20}, {1, 4, 15}, {1, 8, 12}, {2, 8, 6}, {4, 8, 4}, {8, 8, 2}, {32, 8, 1}};
  for (const auto& [nodes, gpus, part] : sizes) {
    for (int i = 0; i < part; ++i) {
      JobSpec spec;
      spec.shape = {.nodes = nodes,
                    .gpus_per_node = gpus,
                    .gpu_type = kType,
                    .cpus_per_node = 8 * gpus,
                    .memory_mib_per_node = 131'072 * gpus};
      if (i % 4 == 1) spec.shape.memory_mib_per_node /= 4;
      if (i % 4 == 2) spec.shape.cpus_per_node /= 2;
      if (nodes > 1 && i % 2 == 1) spec.prefer = Domain::kLeaf;
      shapes_.push_back(spec);
    }
  }
}

engine::Engine Site::Make() {
  engine::EngineConfig config;
  config.reservations = static_cast<std::int32_t>(options_.promises);
  config.reclaim = options_.promises > 0;
  config.phase_ended = [this](std::string_view phase) {
    const std::int64_t now = NowNs();
    phases_[std::string(phase)] += now - phase_began_ns_;
    phase_began_ns_ = now;
  };
  engine::Engine engine(config, std::make_shared<const Directory>(directory_));
  for (const auto& [id, account] : directory_.accounts) {
    for (const BudgetSpec& spec : account.settings.budgets) {
      const MilliGpuMs grant = spec.milli_gpu_hours * kHourMs;
      engine.SetBudget({id, spec.name}, {.granted = grant, .left = grant});
    }
  }
  SetNodes(engine, NodeHealth::kUp);
  return engine;
}

void Site::SetNodes(engine::Engine& engine, NodeHealth health) const {
  for (std::int64_t i = 0; i < options_.nodes; ++i) {
    engine.SetNode({.name = NodeName(i),
                    .gpu_type = kType,
                    .gpus = 8,
                    .cpus = 64,
                    .memory_mib = 1024 * 1024,
                    .leaf = "leaf" + std::to_string(i / 32),
                    .block = "block" + std::to_string(i / 256),
                    .health = health});
  }
}

void Site::Tell(engine::Engine& engine) {
  for (const engine::UsageBooking& booking : booked_) engine.Book(booking);
  for (const engine::Holding& attempt : running_) engine.SetHolding(attempt);
  for (const auto& [ref, job] : waiting_) engine.SetWaiting(job);
}

void Site::Submit(engine::Engine& engine) {
  auto spec = std::make_shared<JobSpec>(
      shapes_[static_cast<std::size_t>(dice_.Roll(0, std::ssize(shapes_) - 1))]);
  const std::int64_t user = dice_.Roll(0, options_.users - 1);
  const auto project = static_cast<std::size_t>(user) % projects_.size();
  const std::int64_t dice = dice_.Roll(0, 99);
  spec->project = projects_[project];
  spec->job_class = dice < 5 ? "scavenger" : dice < 15 ? "debug" : "normal";
  spec->name = "train";
  spec->time_limit_ms = dice_.Roll(1, 48) * kHourMs;
  engine::Waiting job{.ref = {JobId{next_job_++}},
                      .user = UserId{user + 1},
                      .spec = std::move(spec),
                      .submitted_ms = now_ms_,
                      .queued_since_ms = now_ms_};
  Event([&] { engine.SetWaiting(job); });
  waiting_[job.ref] = std::move(job);
}

void Site::EndOne(engine::Engine& engine) {
  if (running_.empty()) return;
  std::swap(running_[static_cast<std::size_t>(dice_.Roll(0, std::ssize(running_) - 1))],
            running_.back());
  const engine::Holding& ended = running_.back();
  Event([&] { engine.RemoveHolding(ended.attempt); });
  running_.pop_back();
}

void Site::Commit(engine::Engine& engine, const engine::Plan& plan) {
  for (const engine::Start& start : plan.starts) {
    const engine::Waiting job = std::move(waiting_.at(start.row));
    waiting_.erase(start.row);
    const engine::Holding attempt{.attempt = {start.job, 1},
                                  .user = job.user,
                                  .project = job.spec->project,
                                  .job_class = job.spec->job_class,
                                  .shape = job.spec->shape,
                                  .placement = start.placement,
                                  .counted_milli = start.counted_milli,
                                  .start_ms = now_ms_,
                                  .limit_ms = job.spec->time_limit_ms,
                                  .grace_ms = 5 * kMinuteMs};
    engine::UsageBooking booking{.project = job.spec->project,
                                 .user = job.user,
                                 .gpu_type = kType,
                                 .date_ms = now_ms_,
                                 .amount = start.counted_milli * kHourMs};
    Event([&] { engine.RemoveWaiting(job.ref); });
    Event([&] { engine.SetHolding(attempt); });
    Event([&] { engine.Book(booking); });
    running_.push_back(attempt);
    booked_.push_back(std::move(booking));
  }
  for (const engine::ReservationChange& change : plan.reservations) {
    if (change.news == engine::ReservationNews::kEnded) {
      engine.RemoveReservation(change.reservation.row);
    } else {
      engine.SetReservation(change.reservation);
    }
  }
  for (const engine::Preempt& preempt : plan.preempts) {
    const auto victim = std::find_if(
        running_.begin(), running_.end(),
        [&](const engine::Holding& attempt) { return attempt.attempt == preempt.victim; });
    if (victim == running_.end()) continue;
    engine.RemoveHolding(preempt.victim);  // gone at once
    running_.erase(victim);
  }
}

struct Filled {
  std::size_t starts = 0;
  std::int64_t ns = 0;
};

// An empty machine takes all it can from the queue.
Filled Fill(Site& site, engine::Engine& engine) {
  Filled filled;
  for (bool more = true; more;) {
    const std::int64_t began = NowNs();
    const engine::Plan plan = site.Decide(engine);
    site.Commit(engine, plan);
    filled.ns += NowNs() - began;
    filled.starts += plan.starts.size();
    more = plan.more;
    site.Pass(1000);
  }
  return filled;
}

struct Ticked {
  Times times;
  std::size_t starts = 0;
  std::size_t answers = 0;  // rows that wait or start, told of so after a tick
  std::int64_t ns = 0;
};

// Of what runs so many of a thousand end in each, and as many jobs come; or just one comes.
Ticked Tick(Site& site, engine::Engine& engine, const Options& options, bool about_one,
            bench::Digest& digest) {
  Ticked ticked;
  const std::int64_t until = NowNs() + options.seconds * 1'000'000'000;
  const std::int64_t ticks = about_one ? options.arrivals : options.ticks;
  for (std::int64_t i = 0; i < ticks && NowNs() < until; ++i) {
    site.Pass(1000);
    const std::int64_t running = std::ssize(site.running());
    const std::int64_t ends =
        about_one ? 0 : std::max<std::int64_t>(1, running * options.turnover / 1000);
    const std::int64_t began = NowNs();
    for (std::int64_t k = 0; k < ends; ++k) site.EndOne(engine);
    for (std::int64_t k = 0; k < std::max<std::int64_t>(1, ends); ++k) site.Submit(engine);
    const engine::Plan plan = site.Decide(engine);
    if (!plan.dropped.empty()) {
      const auto& [row, why] = plan.dropped.front();
      std::fprintf(stderr, "tick_bench: job %s was dropped: %s\n", ToText(row).c_str(),
                   why.c_str());
      std::abort();
    }
    if (about_one) ticked.times.Add(NowNs() - began);
    site.Commit(engine, plan);
    if (!about_one) ticked.times.Add(NowNs() - began);
    ticked.ns += NowNs() - began;
    ticked.starts += plan.starts.size();
    for (const engine::Start& start : plan.starts) {
      digest.Add(ToText(start.job));
      for (const NodeGrant& grant : start.placement) digest.Add(grant.node);
    }
    for (const engine::Preempt& preempt : plan.preempts) digest.Add(ClusterName(preempt.victim));
    ticked.answers += plan.starts.size() + plan.waiting.size();
  }
  return ticked;
}

double Ms(std::int64_t ns) { return static_cast<double>(ns) / 1e6; }

void Print(const Options& options, const std::vector<std::pair<std::string, double>>& figures,
           const std::map<std::string, std::int64_t>& phases, std::int64_t ticks) {
  std::printf(
      "{\"nodes\": %lld, \"jobs\": %lld, \"limited\": %lld, \"budgets\": %lld, "
      "\"promises\": %lld",
      static_cast<long long>(options.nodes), static_cast<long long>(options.jobs),
      static_cast<long long>(options.limited), static_cast<long long>(options.budgets),
      static_cast<long long>(options.promises));
  for (const auto& [name, value] : figures) std::printf(", \"%s\": %.3f", name.c_str(), value);
  std::printf(", \"phases_ms\": {");
  const char* between = "";
  for (const auto& [name, ns] : phases) {
    std::printf("%s\"%s\": %.3f", between, name.c_str(),
                Ms(ns) / static_cast<double>(std::max<std::int64_t>(1, ticks)));
    between = ", ";
  }
  std::printf("}}\n");
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = Read(argc, argv);
  std::vector<std::pair<std::string, double>> figures;
  const auto add = [&](const char* name, double value) { figures.push_back({name, value}); };
  add("calibration_us", static_cast<double>(Calibrate()) / 1e3);
  Site site(options);
  {
    engine::Engine engine = site.Make();
    site.SetNodes(engine, NodeHealth::kDraining);
    for (std::int64_t i = 0; i < options.jobs; ++i) site.Submit(engine);
    static_cast<void>(site.Decide(engine));  // all are in their order; nothing can start
    site.SetNodes(engine, NodeHealth::kUp);
    const Filled filled = Fill(site, engine);
    add("filling_starts", static_cast<double>(filled.starts));
    add("decisions_per_s",
        static_cast<double>(filled.starts) * 1e9 / static_cast<double>(filled.ns));
    while (std::ssize(site.waiting()) < options.jobs) site.Submit(engine);
  }
  const double before = ResidentMib();
  const std::int64_t began = NowNs();
  engine::Engine engine = site.Make();
  site.Tell(engine);
  const engine::Plan first = site.Decide(engine);
  add("cold_start_ms", Ms(NowNs() - began));
  site.Commit(engine, first);
  add("running", static_cast<double>(site.running().size()));
  for (int i = 0; i < 3; ++i) static_cast<void>(site.Decide(engine));  // warms up
  site.Begin();
  bench::Digest digest;
  Ticked ticked = Tick(site, engine, options, false, digest);
  const auto ticks = static_cast<std::int64_t>(ticked.times.size());
  const std::map<std::string, std::int64_t> phases = site.phases();
  add("ticks", static_cast<double>(ticks));
  add("starts", static_cast<double>(ticked.starts));
  add("answers_per_s", static_cast<double>(ticked.answers) * 1e9 / static_cast<double>(ticked.ns));
  add("tick_ms_p50", Ms(ticked.times.Quantile(500)));
  add("tick_ms_p99", Ms(ticked.times.Quantile(990)));
  add("tick_ms_max", Ms(ticked.times.Quantile(1000)));
  add("event_us_p99", Ms(site.events().Quantile(990)) * 1e3);
  Ticked arrivals = Tick(site, engine, options, true, digest);
  add("digest", digest.value());
  add("arrivals", static_cast<double>(arrivals.times.size()));
  add("arrival_ms_p50", Ms(arrivals.times.Quantile(500)));
  add("arrival_ms_p99", Ms(arrivals.times.Quantile(990)));
  const double after = ResidentMib();
  add("rss_mib", after);
  add("engine_mib", after - before);
  Print(options, figures, phases, ticks);
  return 0;
}
