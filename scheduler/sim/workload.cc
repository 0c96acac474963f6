#include "scheduler/sim/workload.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "scheduler/control/admission.h"

namespace kezek::sim {
namespace {

constexpr std::int32_t kNodes = 8;
constexpr std::int32_t kGpus = 8;
constexpr std::int64_t kFirstProject = 5;
constexpr std::int64_t kProjects = 6;

// A stand-in for a keyed hash that is good enough to tell tags apart (FNV-1a).
std::string Hash(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : text) {
    hash = (hash ^ static_cast<std::uint64_t>(static_cast<unsigned char>(c))) * 0x100000001b3ULL;
  }
  return std::to_string(hash);
}

Account MakeAccount(std::int64_t id, std::int64_t parent, std::string name, std::string kind) {
  Account account;
  account.id = AccountId{id};
  account.parent = AccountId{parent};
  account.name = std::move(name);
  account.kind = std::move(kind);
  account.version = id;
  return account;
}

}  // namespace

std::vector<Node> SimNodes() {
  std::vector<Node> nodes;
  for (std::int32_t i = 1; i <= kNodes; ++i) {
    Node node;
    node.name = "n" + std::to_string(i);
    node.gpu_type = "h200";
    node.gpus = kGpus;
    node.cpus = 64;
    node.memory_mib = 1'024'000;
    node.leaf = i <= kNodes / 2 ? "leaf1" : "leaf2";
    node.block = "block1";
    nodes.push_back(std::move(node));
  }
  return nodes;
}

std::vector<Account> SimAccounts() {
  std::vector<Account> accounts;
  accounts.push_back(MakeAccount(1, 0, "cluster", "cluster"));
  accounts.back().settings.shares["h200"] = {.weight_milli = 1000, .guarantee_milli = 48'000};
  for (std::int64_t sector = 0; sector < 3; ++sector) {
    Account account = MakeAccount(2 + sector, 1, "sector" + std::to_string(sector), "sector");
    account.settings.shares["h200"] = {.weight_milli = 1000 * (sector + 1),
                                       .guarantee_milli = 16'000};
    accounts.push_back(std::move(account));
  }
  for (std::int64_t i = 0; i < kProjects; ++i) {
    Account account =
        MakeAccount(kFirstProject + i, 2 + i / 2, "project" + std::to_string(i), "project");
    account.settings.shares["h200"] = {.weight_milli = 1000, .guarantee_milli = 8000};
    if (i == 1) account.settings.account_limits.jobs_running = 3;
    if (i == 2) account.settings.user_limits.running_milli = 16'000;
    accounts.push_back(std::move(account));
  }
  return accounts;
}

PutAccounts SimBudgets(const Directory& directory, TimeMs start, DurationMs period_ms,
                       std::optional<TimeMs> plenty_from) {
  constexpr std::int64_t kPlenty = 1'000'000'000;  // milli-GPU-hours
  struct Row {
    std::int64_t account;
    std::int64_t milli_gpu_hours;
    AtExhaustion at_exhaustion;
    std::int32_t percent;
  };
  PutAccounts put;
  put.reason = "budgets";
  for (const Row& row :
       {Row{1, 600'000, AtExhaustion::kStop, 50}, Row{3, 20'000, AtExhaustion::kScavenge, 100},
        Row{kFirstProject, 12'000, AtExhaustion::kStop, 0}}) {
    Account account = directory.accounts.at(AccountId{row.account});
    std::vector<BudgetSpec>& specs = account.settings.budgets;
    specs.clear();
    for (std::int64_t i = 0; specs.size() < 100; ++i) {
      specs.push_back({.name = "p" + std::to_string(i),
                       .milli_gpu_hours = row.milli_gpu_hours,
                       .start_ms = start + i * period_ms,
                       .end_ms = start + (i + 1) * period_ms,
                       .at_exhaustion = row.at_exhaustion,
                       .carry_over_percent = row.percent});
    }
    for (BudgetSpec& spec : specs) {
      if (plenty_from && spec.end_ms > *plenty_from) spec.milli_gpu_hours = kPlenty;
    }
    put.accounts.push_back({std::move(account), ""});
  }
  return put;
}

std::vector<User> SimUsers() {
  std::vector<User> users;
  for (std::int64_t i = 0; i < 2 * kProjects; ++i) {
    User user;
    user.id = UserId{i + 1};
    user.name = "user" + std::to_string(i) + "@sim";
    user.unix_account = "kz-user" + std::to_string(i);
    user.unix_uid = 2000 + i;
    for (std::int64_t p = 0; p < kProjects; ++p) {
      user.roles.push_back({Role::kResearcher, AccountId{kFirstProject + p}});
    }
    users.push_back(std::move(user));
  }
  return users;
}

control::ControlConfig SimConfig() {
  control::ControlConfig config;
  const auto add = [&config](std::string name, std::int32_t rank) -> ClassRules& {
    ClassRules& rules = config.classes[name];
    rules.name = std::move(name);
    rules.rank = rank;
    return rules;
  };
  add("debug", 0).longest_limit_ms = kHourMs;
  ClassRules& realtime = add("realtime", 1);
  realtime.preemptible = false;
  realtime.preempts_lower = true;
  add("normal", 2);
  add("scavenger", 3).scavenger = true;
  config.nodes = SimNodes();
  config.output_root = "/output";
  config.cluster_name = "sim";
  config.keyed_hash = Hash;
  return config;
}

control::ControlConfig SimConfigWithPromises() {
  control::ControlConfig config = SimConfig();
  config.engine.reservations = 8;
  config.engine.reclaim = true;
  for (auto& [name, rules] : config.classes) {
    rules.min_run_ms = rules.scavenger ? 0 : 20 * kSecondMs;
    rules.grace_max_ms = kMinuteMs;
  }
  return config;
}

Workload::Workload(std::uint64_t seed, std::int32_t jobs, TimeMs start, DurationMs span_ms,
                   bool checkpoints, bool windows)
    : random_(seed), checkpoints_(checkpoints), windows_(windows) {
  for (std::int32_t i = 0; i < jobs; ++i) {
    submissions_.push_back(start + random_.Between(0, span_ms));
  }
  for (std::int32_t i = 0; i < jobs / 3; ++i) {
    commands_.push_back(start + random_.Between(kMinuteMs, span_ms + 10 * kMinuteMs));
  }
  std::sort(submissions_.begin(), submissions_.end());
  std::sort(commands_.begin(), commands_.end());
}

TimeMs Workload::NextMs() const {
  TimeMs next = INT64_MAX;
  if (next_submission_ < submissions_.size()) next = submissions_[next_submission_];
  if (next_command_ < commands_.size()) next = std::min(next, commands_[next_command_]);
  return next;
}

void Workload::Act(TimeMs now, const View& view, SubmitStore& store, const Do& command) {
  while (next_submission_ < submissions_.size() && submissions_[next_submission_] <= now) {
    ++next_submission_;
    SubmitOne(now, view, store);
  }
  while (next_command_ < commands_.size() && commands_[next_command_] <= now) {
    ++next_command_;
    CommandOne(command);
  }
}

JobSpec Workload::MakeSpec(TimeMs now) {
  JobSpec spec;
  spec.name = "job" + std::to_string(next_submission_);
  spec.project = AccountId{kFirstProject + random_.Between(0, kProjects - 1)};
  const std::int64_t kind = random_.Between(0, 19);
  spec.job_class = kind == 0   ? "debug"
                   : kind == 1 ? "realtime"
                   : kind == 2 ? "scavenger"
                               : "normal";
  spec.shape.nodes = static_cast<std::int32_t>(random_.Permille(250) ? random_.Between(2, 4) : 1);
  spec.shape.gpus_per_node = static_cast<std::int32_t>(
      spec.shape.nodes > 1 ? random_.Between(4, 8) : random_.Between(0, 8));
  spec.time_limit_ms = random_.Between(1, 15) * kMinuteMs;
  if (random_.Permille(200)) spec.within = Domain::kLeaf;
  if (random_.Permille(300)) {
    spec.requeue = true;
    spec.max_attempts = static_cast<std::int32_t>(random_.Between(1, 3));
  }
  if (random_.Permille(100)) spec.begin_ms = now + random_.Between(1, 20) * kMinuteMs;
  if (random_.Permille(60)) spec.deadline_ms = now + random_.Between(10, 60) * kMinuteMs;
  // The batch shell's is Kezek's to send.
  if (random_.Permille(100)) spec.signal = {"USR1", 30 * kSecondMs, random_.Permille(700)};
  if (random_.Permille(150)) {
    spec.array = ArraySpec{{{0, static_cast<std::int32_t>(random_.Between(1, 12)), 1}},
                           static_cast<std::int32_t>(random_.Between(0, 3))};
    spec.shape.nodes = 1;
  }
  for (std::int64_t i = random_.Permille(200) ? random_.Between(1, 2) : 0; i > 0; --i) {
    const JobRef on = AnyJob();
    if (!on.id) break;
    const auto how = static_cast<DependencyKind>(random_.Between(0, 3));
    const bool later = how == DependencyKind::kAfter && random_.Permille(500);
    spec.dependencies.push_back({how, on, later ? random_.Between(1, 10) * kMinuteMs : 0});
  }
  spec.kill_on_invalid_dependency = true;
  if (checkpoints_) spec.grace_ms = random_.Between(0, 2) * 20 * kSecondMs;
  return spec;
}

// Also one that others may use, or that is too short.
void Workload::AskForWindow(const View& view, JobSpec& spec) {
  const auto& all = view.directory->reservations;
  if (all.empty() || !random_.Permille(500)) return;
  auto one = all.begin();
  std::advance(one, random_.Between(0, std::ssize(all) - 1));
  spec.reservation = one->first;
  spec.shape.nodes =
      std::min(spec.shape.nodes, static_cast<std::int32_t>(std::ssize(one->second.nodes)));
  if (random_.Permille(700)) spec.time_limit_ms = random_.Between(1, 6) * kMinuteMs;
  if (one->second.IsMaintenance()) return;
  constexpr int kTries = 10;  // most are of somebody who may
  for (int i = 0; i < kTries; ++i) {
    if (MayUse(one->second, view.directory->accounts, spec.project, {})) return;
    spec.project = AccountId{kFirstProject + random_.Between(0, kProjects - 1)};
  }
}

JobRef Workload::AnyJob() {
  if (last_ == 0) return {};
  return {JobId{random_.Between(std::max<std::int64_t>(1, last_ - 20), last_)},
          random_.Permille(150) ? static_cast<std::int32_t>(random_.Between(0, 5)) : kNoElement};
}

void Workload::SubmitOne(TimeMs now, const View& view, SubmitStore& store) {
  JobSpec spec = MakeSpec(now);
  if (windows_) AskForWindow(view, spec);
  const std::int64_t run = random_.Between(0, 20 * kMinuteMs);
  const std::int64_t exit = random_.Permille(250) ? random_.Between(1, 3) : 0;
  const control::Admission admission(SimConfig(), view.directory, view.nodes);
  Submission submission;
  submission.user = UserId{1 + 2 * (spec.project.value - kFirstProject) + random_.Between(0, 1)};
  submission.user_name = "user";
  submission.script = "ms=" + std::to_string(run) + " exit=" + std::to_string(exit);
  submission.hold = random_.Permille(50) ? Hold::kUser : Hold::kNone;
  submission.idempotency_key = "key" + std::to_string(next_submission_);
  Result<JobSpec> complete = admission.Complete(std::move(spec));
  const control::QueuedJobs queued{view.queued_in_account, view.queued_of_user,
                                   view.queued_of_class_user};
  if (!complete || !admission.CheckQueue(queued, submission.user, *complete)) {
    ++refused_;
    return;
  }
  submission.spec = std::make_shared<const JobSpec>(std::move(*complete));
  const int times = random_.Permille(50) ? 2 : 1;  // a client that did not hear the answer
  for (int i = 0; i < times; ++i) {
    store.Submit({submission}, [this](Result<std::vector<Submitted>> done) {
      for (const Submitted& submitted : *done) {
        acknowledged_.insert(submitted.id);
        last_ = std::max(last_, submitted.id.value);
      }
    });
  }
}

void Workload::CommandOne(const Do& command) {
  const JobRef job = AnyJob();
  if (!job.id) return;
  Command what{.actor = UserId{1}, .actor_name = "user", .body = ChangeJobs{}};
  auto& changes = std::get<ChangeJobs>(what.body).changes;
  switch (random_.Between(0, 8)) {
    case 0:
      changes = {CancelJobs{{job}}};
      break;
    case 1:  // two at once
      changes = {HoldJobs{.jobs = {AnyJob()}, .by_admin = true, .text = ""},
                 UpdateJobs{.jobs = {job, AnyJob()}, .comment = "c"}};
      break;
    case 2:
      changes = {HoldJobs{.jobs = {job}, .by_admin = false, .text = ""}};
      break;
    case 3:
      changes = {ReleaseJobs{.jobs = {job}, .by_admin = true}};
      break;
    case 4:
      changes = {UpdateJobs{.jobs = {job}, .time_limit_ms = random_.Between(1, 10) * kMinuteMs}};
      if (windows_) {
        auto& update = std::get<UpdateJobs>(changes.front());
        update.time_limit_ms = random_.Between(5, 30) * kMinuteMs;
        update.by_admin = true;
        update.allow_delay = random_.Permille(300);
      }
      break;
    case 5:
      what.body = SetNodeService{.nodes = {"n" + std::to_string(random_.Between(1, kNodes))},
                                 .drain = random_.Permille(500),
                                 .text = "by hand"};
      break;
    case 6:
      changes = {SignalJobs{.jobs = {job}, .signal = random_.Permille(500) ? "USR1" : "HUP"}};
      break;
    case 7:
      changes = {RequeueJobs{.jobs = {job, AnyJob()}, .hold = random_.Permille(200)}};
      break;
    default:
      changes = {CancelJobs{{job, AnyJob()}}};
      if (checkpoints_) what.body = NoteCheckpoint{.job = AnyJob()};
  }
  command(std::move(what));
}

}  // namespace kezek::sim
