#include "scheduler/sim/simulator.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "kezek/reason_text.h"
#include "scheduler/control/loop.h"
#include "scheduler/control/queue_state.h"
#include "scheduler/control/tag.h"
#include "scheduler/sim/admins.h"
#include "scheduler/sim/checker.h"
#include "scheduler/sim/fake_cluster.h"
#include "scheduler/sim/gate.h"
#include "scheduler/sim/memory_store.h"
#include "scheduler/sim/random.h"
#include "scheduler/sim/workload.h"

namespace kezek::sim {
namespace {

constexpr TimeMs kStart = 1'800'000'000'000;
constexpr std::int64_t kCompareEvery = 16;  // rounds
constexpr DurationMs kSweepMs = 5 * kMinuteMs;
constexpr DurationMs kStuckMs = 10 * kMinuteMs;
constexpr DurationMs kPeriodMs = 50 * kMinuteMs;  // of budgets
constexpr DurationMs kAdminsMs = 90 * kMinuteMs;  // for so long admins reserve nodes
constexpr DurationMs kRepeatMs = 2 * kHourMs;     // after which what repeats is deleted
constexpr std::uint64_t kAdminsSeed = 0x61646d696e73;
constexpr std::uint64_t kClocksSeed = 0x636c6f636b73;
constexpr DurationMs kSkewMost = 4 * kMinuteMs;

std::int64_t EpochOf(const FakeJob& job) {
  const auto parts = control::ParseTag(job.tag);
  return parts ? parts->epoch : 0;
}

class Simulation {
 public:
  explicit Simulation(const SimOptions& options);
  SimResult Run();

 private:
  struct Observer final : CommitObserver {
    explicit Observer(Simulation* owner_in) : owner(owner_in) {}
    void OnCommitted(const Committed& committed) override { owner->Saw(committed); }
    Simulation* owner;
  };

  bool Faulty() const { return now_ < kStart + options_.faults_ms; }
  void Saw(const Committed& committed);
  void Line(const std::string& text);
  void Begin();
  void Crash();
  void People();
  void SetBudgets();
  void Round();
  void Sweep();
  void SayWaiting();
  void EndWindows();
  void CopyDatabase();
  void LoseDatabase();
  void DecideOnRestore();
  bool BeyondCopy(const FakeJob& job) const;
  bool LeftHeld(const FakeJob& job) const;
  bool Finished() const;
  TimeMs NextMs() const;
  void DoCommand(Command command);

  const SimOptions options_;
  Random random_;
  MemoryStore store_;
  FakeCluster cluster_;
  const control::ControlConfig config_;
  Workload workload_;
  Checker checker_;
  WindowChecker windows_;
  std::optional<Admins> admins_;
  Observer observer_;
  std::unique_ptr<Gate> gate_;
  std::unique_ptr<control::Loop> loop_;
  std::shared_ptr<const View> view_;
  TimeMs now_ = kStart;
  TimeMs begin_at_ = kStart;  // while there is no controller
  TimeMs sweep_at_ = 0;
  TimeMs budgets_at_ = 0;  // when they are looked at
  // What ends later than that stops nothing any more, once the faults have stopped.
  TimeMs plenty_from_ = kStart + options_.faults_ms + 2 * kPeriodMs;
  // The copy, and what was right about it when it was made.
  struct Copy {
    MemoryStore store;
    Checker checker;
    WindowChecker windows;
  };
  std::optional<Copy> copy_;
  TimeMs copy_at_ = INT64_MAX;
  TimeMs lose_at_ = INT64_MAX;
  TimeMs decide_at_ = 0;
  std::int64_t epochs_restored_ = 0;  // the last one of the copy that was restored
  bool healed_ = false;
  std::int32_t commit_fails_ = 0;
  bool crashes_on_ = false;
  SimResult result_;
};

Simulation::Simulation(const SimOptions& options)
    : options_(options),
      random_(options.seed),
      store_("sim-" + std::to_string(options.seed)),
      cluster_(SimNodes(), random_.Next(), kStart),
      config_(options.promises ? SimConfigWithPromises() : SimConfig()),
      workload_(random_.Next(), options.jobs, kStart, options.span_ms, options.promises,
                options.windows),
      windows_(config_.charge.kill_margin_ms, config_.engine.late_ms),
      observer_(this) {
  store_.Seed(SimAccounts(), SimUsers());
  store_.SetTime(now_);
  store_.SetObserver(&observer_);
  store_.SetWatch([this](const MemoryStore& store, const Changes& changes) {
    checker_.OnCommit(store, changes);
    windows_.OnCommit(store, changes, now_);
  });
  cluster_.slurm().SetOnStart([this](const FakeJob& job) {
    Line("cluster starts " + ClusterName(job.submitted_for) + " on " + job.nodes_text);
    // What was submitted before a database was lost, that database may have known.
    if (EpochOf(job) > epochs_restored_) checker_.OnStart(store_, cluster_.slurm(), job);
  });
  cluster_.SetOnEnding([this](const FakeJob& job, const std::string& signal) {
    if (signal == "TERM") Line("cluster is to tell " + ClusterName(job.submitted_for) + " to go");
    if (EpochOf(job) > epochs_restored_) checker_.OnEnding(store_, job, signal, now_);
  });
  cluster_.slurm().SetOnNote([this](const std::string& text) { Line("cluster: " + text); });
  if (options.skew) {
    Random clocks(options.seed ^ kClocksSeed);
    cluster_.slurm().SetSkew(clocks.Between(-kSkewMost, kSkewMost));
  }
  if (options.windows) admins_.emplace(options.seed ^ kAdminsSeed, kStart, kAdminsMs);
  if (options.faults_ms == 0) return;
  cluster_.SetFaults(DrawFaults(random_));
  commit_fails_ = random_.Permille(300) ? static_cast<std::int32_t>(random_.Between(1, 50)) : 0;
  crashes_on_ = random_.Permille(700);
  if (!options.restore) return;
  copy_at_ = kStart + random_.Between(kMinuteMs, 40 * kMinuteMs);
  lose_at_ = copy_at_ + random_.Between(kMinuteMs, 20 * kMinuteMs);
}

void Simulation::Line(const std::string& text) {
  result_.trace += std::to_string(now_ - kStart) + " " + text + "\n";
}

void Simulation::Saw(const Committed& committed) {
  for (const Event& event : committed.events) {
    std::string line = event.subject == Subject::kJob ? "job " + ToText(event.job) : event.name;
    if (event.attempt != 0) line += "." + std::to_string(event.attempt);
    if (!event.to.empty()) line += " " + event.from + "->" + event.to;
    line += " " + std::to_string(static_cast<int>(event.reason.code));
    for (const auto& [name, value] : event.reason.fields) line += " " + name + "=" + value;
    Line(line);
  }
  if (loop_ != nullptr && !committed.submitted.empty()) loop_->Offer(committed);
}

void Simulation::Begin() {
  Gate::Plan plan;
  if (Faulty() && crashes_on_ && random_.Permille(800)) {
    plan.calls = random_.Between(1, 400);
    plan.last_commit_lasts = random_.Permille(500);
  }
  if (Faulty()) plan.commit_fails = commit_fails_;
  gate_ = std::make_unique<Gate>(&store_, &cluster_, plan, random_.Next());
  gate_->SetOnAct([this, begun = now_] {
    // What the process before had sent may be taken when all has been compared.
    const bool late = now_ < begun + config_.lost_answer_ms + config_.reconcile_ms + kMinuteMs;
    for (const FakeJob* job : cluster_.slurm().ShownAll()) {
      if (!BeyondCopy(*job) || (late && job->taken_ms >= begun)) continue;
      result_.breaches.push_back("the cluster is told to act while it has " +
                                 ClusterName(job->submitted_for) + ", which was lost");
    }
  });
  loop_ = std::make_unique<control::Loop>(
      config_, gate_.get(), gate_.get(),
      [this](const std::shared_ptr<const View>& view) { view_ = view; });
  cluster_.SetSink([this](ClusterEvent event) { loop_->Offer(std::move(event)); });
  const Result<void> begun = loop_->Begin(now_);
  KEZEK_CHECK(begun.has_value(), "the store in memory always leads");
  if (epochs_restored_ == INT64_MAX) {
    epochs_restored_ = store_.epoch() - 1;
    checker_.Restored(epochs_restored_);
    windows_.Restored(epochs_restored_);
  }
}

void Simulation::Crash() {
  Line("the controller dies");
  ++result_.crashes;
  cluster_.SetSink(nullptr);
  loop_.reset();
  gate_.reset();
  view_.reset();
  windows_.Interrupted();
  begin_at_ = now_ + random_.Between(0, 2 * kMinuteMs);
}

// The copy is made at any commit: the leader goes on, in the same epoch.
void Simulation::CopyDatabase() {
  if (copy_ || now_ < copy_at_) return;
  copy_.emplace(Copy{store_, checker_, windows_});
  Line("the database is copied");
}

void Simulation::LoseDatabase() {
  if (now_ < lose_at_) return;
  lose_at_ = INT64_MAX;
  if (loop_ != nullptr) Crash();
  Line("the database is lost, an older copy restored");
  store_ = std::move(copy_->store);
  checker_ = std::move(copy_->checker);
  windows_ = std::move(copy_->windows);
  windows_.Restored(INT64_MAX);
  store_.SetTime(now_);
  epochs_restored_ = INT64_MAX;  // until the copy leads
  for (const auto& [serial, job] : cluster_.slurm().jobs()) {
    const auto attempt = store_.attempts().find(job.submitted_for);
    const bool known = attempt != store_.attempts().end() &&
                       attempt->second.epoch == EpochOf(job) &&
                       attempt->second.cluster_job_id == job.job.id;
    if (!known) cluster_.slurm().Disown(serial);
  }
  workload_.Forget([this](JobId id) { return !store_.jobs().contains({id, kNoElement}); });
  begin_at_ = now_ + kSecondMs;
}

// Alive in the cluster, of an attempt the database does not have, and not decided about. Nobody
// knows what has another name.
bool Simulation::BeyondCopy(const FakeJob& job) const {
  const std::int64_t epoch = EpochOf(job);
  const bool alive = !HasEnded(job.job.state) && !job.disguised;
  if (epoch == 0 || !alive || store_.accepted_epochs().contains(epoch)) return false;
  const auto attempt = store_.attempts().find(job.submitted_for);
  return attempt == store_.attempts().end() || attempt->second.epoch != epoch;
}

// A twin of an attempt that is over by the copy, which the lost database would have ended.
bool Simulation::LeftHeld(const FakeJob& job) const {
  if (!job.disowned || !job.job.held || HasEnded(job.job.state)) return false;
  const auto attempt = store_.attempts().find(job.submitted_for);
  return attempt != store_.attempts().end() && attempt->second.state == AttemptState::kEnded;
}

// The admin ends by hand what the lost database knew of, and accepts the restore when it is gone.
void Simulation::DecideOnRestore() {
  if (loop_ == nullptr || view_ == nullptr || view_->stop_reason.empty() || now_ < decide_at_)
    return;
  decide_at_ = now_ + kMinuteMs;
  bool gone = true;
  for (const FakeJob* job : cluster_.slurm().ShownAll()) {
    if (!BeyondCopy(*job) && !LeftHeld(*job)) continue;
    gone = false;
    cluster_.slurm().Cancel(job->job.id, job->job.unix_account);
  }
  if (!gone) return;
  ++result_.stops;
  DoCommand({.actor = UserId{1},
             .actor_name = "admin",
             .body = ResumeScheduling{.text = "dealt with", .accept_restore = true}});
}

void Simulation::DoCommand(Command command) {
  windows_.OnAsked(command.body);
  CommandBody body = command.body;
  loop_->Offer(std::move(command), [this, body](const Result<CommandOutcome>& outcome) {
    if (outcome) windows_.OnDone(store_, body, *outcome);
    if (outcome) {
      Line("command done: " + std::to_string(outcome->jobs.size()));
    } else {
      Line("command refused: " + outcome.error().message);
    }
  });
}

// Until they are set as they should be, whatever was lost on the way.
void Simulation::SetBudgets() {
  if (options_.seed % 2 != 0 || loop_ == nullptr || view_ == nullptr || now_ < budgets_at_) return;
  const std::optional<TimeMs> plenty = Faulty() ? std::nullopt : std::optional(plenty_from_);
  const Directory& directory = *view_->directory;
  PutAccounts put = SimBudgets(directory, kStart, kPeriodMs, plenty);
  std::erase_if(put.accounts, [&](const PutAccounts::Item& item) {
    return item.account == directory.accounts.at(item.account.id);
  });
  budgets_at_ = now_ + kMinuteMs;
  if (put.accounts.empty()) return;
  DoCommand({.actor = UserId{1}, .actor_name = "admin", .body = std::move(put)});
}

void Simulation::People() {
  SetBudgets();
  const auto tell = [this](Command command) { DoCommand(std::move(command)); };
  const bool up = loop_ != nullptr && view_ != nullptr;
  if (up && admins_) admins_->Act(now_, *view_, tell);
  if (workload_.NextMs() > now_ || loop_ == nullptr || view_ == nullptr) return;
  workload_.Act(now_, *view_, store_, tell);
}

// After the faults: holds are released, nodes come back.
void Simulation::Sweep() {
  if (Faulty() || loop_ == nullptr || now_ < sweep_at_) return;
  if (!healed_) {
    healed_ = true;
    Line("the faults stop");
    cluster_.Heal(now_);
    gate_->Heal();
  }
  sweep_at_ = now_ + kSweepMs;
  if (now_ >= kStart + options_.faults_ms + kStuckMs) {
    checker_.CheckStuck(store_, cluster_.slurm(), now_ - kStuckMs, now_);
  }
  ReleaseJobs release{.jobs = {}, .by_admin = true};
  for (const auto& [ref, job] : store_.jobs()) {
    if (job.state == JobState::kQueued && job.hold != Hold::kNone) release.jobs.push_back(ref);
  }
  Command command{.actor = UserId{1}, .actor_name = "admin", .body = ChangeJobs{{release}}};
  if (!release.jobs.empty()) DoCommand(command);
  SetNodeService resume{.nodes = {}, .drain = false, .text = ""};
  for (const Node& node : SimNodes()) resume.nodes.push_back(node.name);
  command.body = resume;
  DoCommand(command);
  EndWindows();
}

// What can have its turn no more is cancelled by who owns it.
void Simulation::EndWindows() {
  if (!admins_ || view_ == nullptr || admins_->NextMs() != INT64_MAX) return;
  if (now_ >= kStart + kAdminsMs + kRepeatMs) {
    admins_->DeleteRepeated(*view_, [this](Command command) { DoCommand(std::move(command)); });
  }
  CancelJobs cancel;
  for (const auto& [ref, job] : store_.jobs()) {
    const bool waits = job.state == JobState::kQueued && !job.spec->reservation.empty();
    if (waits && !windows_.MayRunYet(store_, job, now_)) cancel.jobs.push_back(ref);
  }
  if (cancel.jobs.empty()) return;
  DoCommand({.actor = UserId{1}, .actor_name = "user", .body = ChangeJobs{{std::move(cancel)}}});
}

void Simulation::SayWaiting() {
  if (view_ == nullptr) return;
  std::map<JobRef, JobStanding> waiting;
  if (view_->waiting != nullptr) waiting = view_->waiting->All();
  view_->stopped.ForEach([&](const JobRef& ref, const JobStanding& it) { waiting[ref] = it; });
  for (const auto& [ref, standing] : waiting) {
    Line("waits: " + ToText(ref) + " " + Sentence(standing.reason));
  }
}

void Simulation::Round() {
  if (loop_ == nullptr || loop_->NextWakeMs() > now_) return;
  const Result<control::RoundReport> report = loop_->RunOnce(now_);
  ++result_.rounds;
  if (gate_->dead()) return Crash();
  KEZEK_CHECK(report.has_value(), "only the dead lose the leadership");
  for (const std::string& note : report->notes) Line("note: " + note);
  for (const std::string& alarm : report->alarms) result_.breaches.push_back("alarm: " + alarm);
  if (!report->reloaded.empty()) Line("begins anew: " + report->reloaded);
  if (options_.windows && view_ != nullptr) {
    windows_.OnView(store_, cluster_.slurm(), *view_, now_);
  }
  if (loop_->controller() != nullptr && result_.rounds % kCompareEvery == 0) {
    checker_.CompareFold(store_, loop_->controller()->state());
  }
}

bool Simulation::Finished() const {
  if (Faulty() || workload_.NextMs() != INT64_MAX || !healed_) return false;
  const bool all_final = std::all_of(store_.jobs().begin(), store_.jobs().end(),
                                     [](const auto& item) { return IsFinal(item.second.state); });
  // Strays are cancelled with a listing: let some pass. What waits and bears another name is its
  // owner's.
  const std::vector<const FakeJob*> shown = cluster_.slurm().ShownAll();
  return all_final && std::all_of(shown.begin(), shown.end(), [](const FakeJob* job) {
           return HasEnded(job->job.state) ||
                  (job->disguised && job->job.state == ClusterJobState::kPending);
         });
}

TimeMs Simulation::NextMs() const {
  TimeMs next = cluster_.NextMs();
  if (loop_ == nullptr) {
    next = std::min(next, begin_at_);
  } else {
    next = std::min({next, loop_->NextWakeMs(), workload_.NextMs()});
    if (admins_) next = std::min(next, admins_->NextMs());
    if (!Faulty()) next = std::min(next, sweep_at_);
  }
  return std::max(next, now_);
}

SimResult Simulation::Run() {
  const TimeMs last = kStart + options_.span_ms + options_.faults_ms + options_.patience_ms;
  while (!Finished() && now_ < last && checker_.breaches().empty() && windows_.breaches().empty() &&
         cluster_.slurm().breaches().empty()) {
    now_ = NextMs();
    store_.SetTime(now_);
    cluster_.Advance(now_);
    if (options_.windows) windows_.OnTime(store_, cluster_.slurm(), now_);
    if (loop_ == nullptr && begin_at_ <= now_) Begin();
    CopyDatabase();
    LoseDatabase();
    People();
    DecideOnRestore();
    Sweep();
    Round();
  }
  if (Finished()) {
    checker_.AtEnd(store_, cluster_.slurm(), workload_.acknowledged());
  } else if (checker_.breaches().empty() && windows_.breaches().empty() &&
             cluster_.slurm().breaches().empty()) {
    result_.breaches.push_back("not finished after the faults have stopped");
    SayWaiting();
    checker_.AtEnd(store_, cluster_.slurm(), workload_.acknowledged());
  }
  for (const std::string& breach : cluster_.slurm().breaches()) result_.breaches.push_back(breach);
  for (const std::string& breach : checker_.breaches()) result_.breaches.push_back(breach);
  for (const std::string& breach : windows_.breaches()) result_.breaches.push_back(breach);
  result_.windows = windows_.figures();
  for (const std::string& breach : result_.breaches) Line("BREACH: " + breach);
  result_.acknowledged = std::ssize(workload_.acknowledged());
  result_.refused = workload_.refused();
  result_.attempts = std::ssize(store_.attempts());
  for (const auto& [ref, attempt] : store_.attempts()) {
    result_.preempted += attempt.outcome == AttemptOutcome::kPreempted ? 1 : 0;
  }
  for (const Event& event : store_.events()) {
    result_.promises += event.reason.code == ReasonCode::kReservedAt ||
                                event.reason.code == ReasonCode::kReclaimUnderWay ||
                                event.reason.code == ReasonCode::kReservationEnded
                            ? 1
                            : 0;
  }
  result_.happened = cluster_.slurm().happened();
  result_.simulated_ms = now_ - kStart;
  return std::move(result_);
}

}  // namespace

SimResult Simulate(const SimOptions& options) { return Simulation(options).Run(); }

}  // namespace kezek::sim
