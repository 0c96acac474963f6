#include "scheduler/control/loop.h"

#include <algorithm>
#include <set>
#include <utility>

#include "scheduler/control/launch_spec.h"

namespace kezek::control {
namespace {

constexpr DurationMs kBeginAgainMs = kSecondMs;

Error NotKnown() {
  return {Code::kUnavailable,
          "the store failed; it is not known whether this took effect, look and try again",
          {}};
}

// Everything but submissions, one call each.
struct Perform {
  Cluster& cluster;
  void operator()(const SubmitAction&) const {}
  void operator()(const ReleaseAction& action) const {
    cluster.Release(action.job.attempt, action.job.cluster_job_id, action.job.unix_account);
  }
  void operator()(const CancelAction& action) const {
    cluster.Cancel(action.job.attempt, action.job.cluster_job_id, action.job.unix_account);
  }
  void operator()(const SignalAction& action) const {
    cluster.Signal(action.job.attempt, action.job.cluster_job_id, action.job.unix_account,
                   action.signal, action.batch_shell_only);
  }
  void operator()(const LimitAction& action) const {
    cluster.SetLimit(action.job, action.limit_ms);
  }
  void operator()(const FindAction& action) const { cluster.FindByName(action.attempt); }
  void operator()(const LookAction& action) const { cluster.Look(action.job); }
  void operator()(const ReconcileAction&) const { cluster.Reconcile(); }
  void operator()(const FollowAction& action) const { cluster.Follow(action.jobs); }
};

// Asking again would not help. Everything else the store says of the whole question.
bool IsOfOnePayload(const Error& error) {
  return error.code == Code::kDataLoss || error.code == Code::kNotFound;
}

Result<JobPayload> PayloadOf(JobId job, const Result<std::vector<JobPayload>>& payloads) {
  if (!payloads) return payloads.error();
  const auto found = std::find_if(payloads->begin(), payloads->end(),
                                  [job](const JobPayload& payload) { return payload.id == job; });
  if (found == payloads->end()) {
    return Error{Code::kNotFound, "the store has none of this job", {}};
  }
  return *found;
}

}  // namespace

Loop::Loop(ControlConfig config, StateStore* store, Cluster* cluster, Publish publish)
    : config_(std::move(config)), store_(store), cluster_(cluster), publish_(std::move(publish)) {}

Loop::~Loop() = default;

Result<void> Loop::Begin(TimeMs now) {
  controller_.reset();
  Result<Snapshot> snapshot = store_->Lead();
  if (!snapshot) return snapshot.error();
  controller_ = std::make_unique<Controller>(config_, *snapshot, now);
  published_ = controller_->view();
  if (publish_) publish_(published_);
  // A new controller has not heard how the cluster is; nobody says so again unless it changes.
  if (status_) {
    inputs_.emplace_back(*status_);
    std::rotate(inputs_.begin(), inputs_.end() - 1, inputs_.end());
  }
  return {};
}

void Loop::Offer(Committed committed) { inputs_.emplace_back(std::move(committed)); }

void Loop::Offer(ClusterEvent event) {
  if (std::holds_alternative<ClusterUp>(event) || std::holds_alternative<ClusterSilent>(event)) {
    status_ = event;
  }
  inputs_.emplace_back(std::move(event));
}

void Loop::Offer(Command command, Done done) {
  const std::int64_t token = next_token_++;
  waiting_.emplace(token, std::move(done));
  inputs_.emplace_back(CommandInput{token, std::move(command)});
}

TimeMs Loop::NextWakeMs() const {
  if (controller_ == nullptr) return retry_at_ms_;
  return inputs_.empty() ? controller_->NextWakeMs() : 0;
}

Result<RoundReport> Loop::RunOnce(TimeMs now) {
  if (controller_ == nullptr) {
    return Restart(now, {Code::kUnavailable, "the store was away", {}});
  }
  for (Input& input : inputs_) controller_->Offer(std::move(input));
  inputs_.clear();
  Ready ready = controller_->Step(now);
  // Also without changes: submissions alone may have shown the store that it has to lead again.
  const Result<void> committed = store_->Commit(ready.changes);
  if (!committed && committed.error().code == Code::kAborted) return committed.error();
  if (!committed) return Restart(now, committed.error());
  controller_->CommitDone();
  if (controller_->view() != published_) {
    published_ = controller_->view();
    if (publish_) publish_(published_);
  }
  Act(std::move(ready.actions));
  Answer(std::move(ready.replies));
  LoadJobs(ready.load_jobs);
  return std::move(ready.report);
}

// What the step had taken in is in the snapshot (submissions), seen again (the cluster) or
// answered with an error (commands).
Result<RoundReport> Loop::Restart(TimeMs now, const Error& error) {
  std::erase_if(inputs_, [](const Input& input) {
    return std::holds_alternative<CommandInput>(input) || std::holds_alternative<LoadedJobs>(input);
  });
  Abandon();
  RoundReport report;
  report.now_ms = now;
  report.reloaded = error.message;
  const Result<void> begun = Begin(now);
  if (!begun) {
    if (begun.error().code == Code::kAborted) return begun.error();
    retry_at_ms_ = now + kBeginAgainMs;
    report.reloaded += "; " + begun.error().message;
  }
  return report;
}

void Loop::Abandon() {
  std::map<std::int64_t, Done> waiting;
  waiting.swap(waiting_);
  for (const auto& [token, done] : waiting) done(NotKnown());
}

void Loop::Act(std::vector<ClusterAction> actions) {
  std::set<JobId> wanted;
  for (const ClusterAction& action : actions) {
    if (const auto* submit = std::get_if<SubmitAction>(&action)) wanted.insert(submit->payload);
  }
  const Payloads payloads = LoadPayloads(wanted);
  for (ClusterAction& action : actions) {
    if (auto* submit = std::get_if<SubmitAction>(&action)) {
      Launch1(std::move(*submit), payloads);
    } else {
      std::visit(Perform{*cluster_}, action);
    }
  }
}

// One that cannot be read keeps nobody else's job from its start: each is asked for by itself then.
Loop::Payloads Loop::LoadPayloads(const std::set<JobId>& jobs) {
  Payloads payloads;
  if (jobs.empty()) return payloads;
  auto all = store_->LoadPayloads({jobs.begin(), jobs.end()});
  if (all || !IsOfOnePayload(all.error())) {
    for (const JobId& job : jobs) payloads.emplace(job, PayloadOf(job, all));
    return payloads;
  }
  for (const JobId& job : jobs) payloads.emplace(job, PayloadOf(job, store_->LoadPayloads({job})));
  return payloads;
}

void Loop::Launch1(SubmitAction action, const Payloads& payloads) {
  const Result<JobPayload>& payload = payloads.at(action.payload);
  if (!payload) {
    const Error& error = payload.error();
    Offer(ClusterEvent{
        LaunchRefused{action.launch.attempt, IsOfOnePayload(error), "script: " + error.message}});
    return;
  }
  CompleteLaunch(action.launch, *payload);
  cluster_->Submit(std::move(action.launch));
}

void Loop::Answer(std::vector<Reply> replies) {
  for (Reply& reply : replies) {
    const auto found = waiting_.find(reply.token);
    if (found == waiting_.end()) continue;
    const Done done = std::move(found->second);
    waiting_.erase(found);
    done(std::move(reply.outcome));
  }
}

// On an error the next tick asks again for those that are still waited for.
void Loop::LoadJobs(const std::vector<JobRef>& jobs) {
  if (jobs.empty()) return;
  Result<std::vector<Job>> found = store_->LoadJobs(jobs);
  if (!found) {
    inputs_.emplace_back(LoadedJobs{jobs, {}, true});
    return;
  }
  inputs_.emplace_back(LoadedJobs{jobs, std::move(*found), false});
}

}  // namespace kezek::control
