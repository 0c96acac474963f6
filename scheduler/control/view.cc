// The View: what people are shown, and what submissions are admitted by.
#include <utility>

#include "scheduler/control/core.h"

namespace kezek::control {
namespace {

std::shared_ptr<const std::vector<Alive>> AliveOf(const Core& core) {
  auto alive = std::make_shared<std::vector<Alive>>();
  alive->reserve(core.state.attempts().size());
  for (const auto& [ref, attempt] : core.state.attempts()) {
    const Job& job = core.JobOf(ref.job);
    alive->push_back({.attempt = ref,
                      .user = job.user,
                      .project = job.spec->project,
                      .placement = attempt.placement,
                      .shape = job.spec->shape,
                      .counted_milli = attempt.counted_milli,
                      .start_ms = attempt.start_ms,
                      .limit_ms = attempt.limit_ms});
  }
  return alive;
}

std::map<JobRef, Promised> PromisedIn(const QueueState& state) {
  std::map<JobRef, Promised> promised;
  for (const auto& [row, reservation] : state.reservations()) {
    const Job* job = state.FindJob(row);
    if (job == nullptr) continue;
    promised[row] = {.user = job->user,
                     .project = job->spec->project,
                     .from_ms = reservation.from_ms,
                     .placement = reservation.placement,
                     .counted_milli = reservation.counted_milli};
  }
  return promised;
}

// Of many users: not at every tick.
std::shared_ptr<const UserUsage> UsageOfUsers(Core& core) {
  constexpr DurationMs kEvery = 10 * kSecondMs;
  const bool known = core.view != nullptr && core.view->user_usage != nullptr;
  if (known && core.now - core.users_shown_ms < kEvery) return core.view->user_usage;
  core.users_shown_ms = core.now;
  auto usage = std::make_shared<UserUsage>();
  for (const auto& [type, book] : core.engine.usage()) {
    for (const auto& [who, sum] : book.users()) {
      const auto gpu_hours = quota::UsageGpuHours(book.decay(), sum, core.now);
      if (gpu_hours > 0) usage->emplace(UserInProject{who.first, who.second, type}, gpu_hours);
    }
  }
  return usage;
}

}  // namespace

void MakeView(Core& core) {
  const bool ticked = core.ready.report.ticked;
  if (!ticked && !core.directory_changed && core.view != nullptr) return;
  View view;
  if (!ticked && core.view != nullptr) {
    view = *core.view;
  } else {
    view.waiting = std::make_shared<const WaitingStandings>(std::exchange(core.plan.waiting, {}));
    view.stopped = core.stopped.Take();
    view.standings = std::move(core.plan.standings);
    core.plan.standings.clear();
    view.settings_version = core.plan_version;
    view.waiting_for_budget = core.waiting_for_budget;
    view.user_usage = UsageOfUsers(core);
  }
  if (core.view != nullptr && !core.directory_changed) {
    view.nodes = core.view->nodes;
  } else {
    view.nodes.clear();
    for (const auto& [name, node] : core.state.nodes()) {
      view.nodes[name] = Effective(node, core.now);
    }
  }
  view.now_ms = core.now;
  view.tick = core.tick;
  view.epoch = core.state.epoch();
  view.stop_reason = core.stop;
  view.directory = core.state.directory();
  view.free_gpus = core.engine.FreeGpus();
  view.promised = PromisedIn(core.state);
  view.alive = AliveOf(core);
  view.budgets = ShowBudgets(core);
  view.queued_in_account = core.state.queued().in_account;
  view.queued_of_user = core.state.queued().of_user;
  view.queued_of_class_user = core.state.queued().of_class_user;
  view.cluster_answers = core.cluster_answers;
  view.cluster_silent_since_ms = core.cluster_answers ? 0 : core.cluster_since_ms;
  view.cluster_version = core.cluster_version;
  core.directory_changed = false;
  core.view = std::make_shared<const View>(std::move(view));
}

}  // namespace kezek::control
