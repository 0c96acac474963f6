#include "cmd/kezekd/controller_thread.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "kezek/check.h"
#include "scheduler/control/admission.h"
#include "scheduler/control/loop.h"
#include "scheduler/control/queue_door.h"
#include "scheduler/control/queue_tally.h"

namespace kezek::kezekd {
namespace {

struct Asked {
  Command command;
  std::function<void(Result<CommandOutcome>)> done;
};
using Message = std::variant<Committed, ClusterEvent, Asked>;

using Steady = std::chrono::steady_clock;

constexpr std::chrono::seconds kTallyEvery{5};

DurationUs Microseconds(Steady::duration span) {
  return std::chrono::duration_cast<std::chrono::microseconds>(span).count();
}

// Cuts a round into phases. One thread.
class RoundWatch {
 public:
  void Begin() {
    times_ = {};
    begun_ = last_ = Steady::now();
  }
  void Ended(std::string_view phase) {
    const auto now = Steady::now();
    times_.phases.emplace_back(phase, Microseconds(now - last_));
    last_ = now;
  }
  // Where nothing was committed, the plan ends here.
  void EndedUnlessCommitted(std::string_view phase) {
    if (times_.phases.empty() || times_.phases.back().first != "commit") Ended(phase);
  }
  RoundTimes End() {
    Ended("act");
    times_.took_us = Microseconds(last_ - begun_);
    return std::move(times_);
  }

 private:
  RoundTimes times_;
  Steady::time_point begun_;
  Steady::time_point last_;
};

// The store, with the time of commits told. The thread rests in them: the committer works.
class TimedStore final : public StateStore {
 public:
  TimedStore(StateStore* store, RoundWatch* watch, Meter* meter)
      : store_(store), watch_(watch), meter_(meter) {}
  Result<Snapshot> Lead() override { return store_->Lead(); }
  Result<void> Commit(const Changes& changes) override {
    if (changes.empty()) return store_->Commit(changes);
    watch_->Ended("plan");
    if (meter_ != nullptr) meter_->Rests(Worker::kController);
    Result<void> committed = store_->Commit(changes);
    if (meter_ != nullptr) meter_->Begins(Worker::kController);
    watch_->Ended("commit");
    return committed;
  }
  Result<std::vector<JobPayload>> LoadPayloads(const std::vector<JobId>& jobs) override {
    return store_->LoadPayloads(jobs);
  }
  Result<std::vector<Job>> LoadJobs(const std::vector<JobRef>& jobs) override {
    return store_->LoadJobs(jobs);
  }

 private:
  StateStore* store_;
  RoundWatch* watch_;
  Meter* meter_;
};

Error Ended() { return {Code::kUnavailable, "kezekd is stopping; try again", {}}; }

}  // namespace

struct ControllerThread::State {
  State(control::ControlConfig config_in, Clock& clock_in)
      : config(std::move(config_in)), clock(clock_in) {
    config.engine.phase_ended = [this](std::string_view phase) { watch.Ended(phase); };
  }

  control::ControlConfig config;  // not changed later
  Clock& clock;
  Outside outside;
  RoundWatch watch;
  std::unique_ptr<TimedStore> store;
  std::optional<Steady::time_point> tallied;
  std::unique_ptr<control::Loop> loop;  // the thread's own, once it runs
  std::thread thread;

  std::mutex inbox_mutex;
  std::condition_variable wake;
  std::vector<Message> inbox;
  bool running = false;  // under inbox_mutex, as the next
  bool stopping = false;
  bool ended = false;  // nobody will read the inbox any more

  mutable std::mutex view_mutex;
  std::shared_ptr<const View> view;
  std::shared_ptr<const control::Admission> admission;

  std::mutex door_mutex;
  control::QueueDoor door;

  void Publish(const std::shared_ptr<const View>& next);
  void Post(Message message);
  void DropOlder(const Message& message);
  void TakeInbox();
  // Waits until something comes in, the loop wants to run, or Stop. False: Stop.
  bool Wait();
  void Run();
  Result<control::RoundReport> Round();
  void Tally();
  void End();
  std::shared_ptr<const control::Admission> Admitting() const {
    const std::lock_guard lock(view_mutex);
    return admission;
  }
};

// What submissions are checked with is made anew only when accounts or nodes have changed.
void ControllerThread::State::Publish(const std::shared_ptr<const View>& next) {
  std::shared_ptr<const control::Admission> checks = Admitting();
  if (checks == nullptr || checks->directory() != next->directory ||
      checks->nodes() != next->nodes) {
    checks = std::make_shared<const control::Admission>(config, next->directory, next->nodes);
  }
  {
    const std::lock_guard lock(door_mutex);
    door.Show(checks, *next);
  }
  const std::lock_guard lock(view_mutex);
  view = next;
  admission = std::move(checks);
}

// A standby may wait for days: of what the cluster says, only the last of each kind is kept.
void ControllerThread::State::DropOlder(const Message& message) {
  const auto* event = std::get_if<ClusterEvent>(&message);
  if (event == nullptr) return;
  std::erase_if(inbox, [event](const Message& older) {
    const auto* other = std::get_if<ClusterEvent>(&older);
    return other != nullptr && other->index() == event->index();
  });
}

void ControllerThread::State::Post(Message message) {
  {
    const std::lock_guard lock(inbox_mutex);
    if (!ended) {
      if (!running) DropOlder(message);
      inbox.push_back(std::move(message));
      wake.notify_one();
      return;
    }
  }
  if (auto* asked = std::get_if<Asked>(&message)) asked->done(Ended());
}

void ControllerThread::State::TakeInbox() {
  std::vector<Message> messages;
  {
    const std::lock_guard lock(inbox_mutex);
    messages.swap(inbox);
  }
  for (Message& message : messages) {
    if (auto* committed = std::get_if<Committed>(&message)) {
      const std::lock_guard lock(door_mutex);
      for (const Job& job : committed->submitted) door.TakeIn(job);
      loop->Offer(std::move(*committed));
    } else if (auto* event = std::get_if<ClusterEvent>(&message)) {
      loop->Offer(std::move(*event));
    } else if (auto* asked = std::get_if<Asked>(&message)) {
      loop->Offer(std::move(asked->command), std::move(asked->done));
    }
  }
}

bool ControllerThread::State::Wait() {
  const DurationMs wait = std::max<DurationMs>(0, loop->NextWakeMs() - clock.Now());
  std::unique_lock lock(inbox_mutex);
  wake.wait_for(lock, std::chrono::milliseconds(wait),
                [this] { return stopping || !inbox.empty(); });
  return !stopping;
}

void ControllerThread::State::Run() {
  while (Wait()) {
    if (outside.meter != nullptr) outside.meter->Begins(Worker::kController);
    const Result<control::RoundReport> report = Round();
    if (outside.meter != nullptr) outside.meter->Rests(Worker::kController);
    if (!report) {
      End();
      if (outside.on_fatal) outside.on_fatal(report.error());
      return;
    }
  }
  End();
}

Result<control::RoundReport> ControllerThread::State::Round() {
  watch.Begin();
  TakeInbox();
  Result<control::RoundReport> report = loop->RunOnce(clock.Now());
  if (!report) return report;
  if (outside.on_round) outside.on_round(*report, watch.End());
  if (report->ticked && outside.on_tally) Tally();
  return report;
}

void ControllerThread::State::Tally() {
  const auto now = Steady::now();
  if (tallied && now - *tallied < kTallyEvery) return;
  tallied = now;
  const control::Controller& controller = *loop->controller();
  outside.on_tally(control::TallyQueue(controller.state(), *controller.view()));
}

void ControllerThread::State::End() {
  std::vector<Message> messages;
  {
    const std::lock_guard lock(inbox_mutex);
    ended = true;
    messages.swap(inbox);
  }
  for (Message& message : messages) {
    if (auto* asked = std::get_if<Asked>(&message)) asked->done(Ended());
  }
  if (loop != nullptr) loop->Abandon();
}

ControllerThread::ControllerThread(control::ControlConfig config, Clock& clock)
    : state_(std::make_unique<State>(std::move(config), clock)) {}

ControllerThread::~ControllerThread() { Stop(); }

Result<void> ControllerThread::Start(Outside outside) {
  KEZEK_CHECK(!state_->thread.joinable(), "the controller is started once");
  KEZEK_CHECK(outside.state != nullptr && outside.cluster != nullptr, "Start needs both ports");
  state_->outside = std::move(outside);
  state_->store =
      std::make_unique<TimedStore>(state_->outside.state, &state_->watch, state_->outside.meter);
  state_->loop = std::make_unique<control::Loop>(
      state_->config, state_->store.get(), state_->outside.cluster,
      [state = state_.get()](const std::shared_ptr<const View>& view) {
        state->watch.EndedUnlessCommitted("plan");
        state->Publish(view);
        state->watch.Ended("publish");
      });
  if (Result<void> begun = state_->loop->Begin(state_->clock.Now()); !begun) return begun;
  {
    const std::lock_guard lock(state_->inbox_mutex);
    state_->running = true;
  }
  state_->thread = std::thread([state = state_.get()] { state->Run(); });
  return {};
}

void ControllerThread::ShowStandby(View view) {
  KEZEK_CHECK(!state_->thread.joinable(), "the controller publishes by itself now");
  state_->Publish(std::make_shared<const View>(std::move(view)));
}

void ControllerThread::Stop() {
  {
    const std::lock_guard lock(state_->inbox_mutex);
    state_->stopping = true;
  }
  state_->wake.notify_one();
  if (state_->thread.joinable()) {
    state_->thread.join();
  } else {
    state_->End();
  }
}

ClusterSink ControllerThread::sink() {
  return [state = state_.get()](ClusterEvent event) { state->Post(std::move(event)); };
}

Result<JobSpec> ControllerThread::Admit(JobSpec spec) const {
  const auto admission = state_->Admitting();
  const auto seen = view();
  if (admission == nullptr || seen == nullptr) {
    return Error{Code::kUnavailable, "kezekd is starting; try again", {}};
  }
  Result<JobSpec> complete = admission->Complete(std::move(spec));
  if (!complete) return complete;
  const auto carried_in = [&seen](const BudgetRef& budget) -> MilliGpuMs {
    if (seen->budgets == nullptr) return 0;
    const auto found = std::find_if(seen->budgets->begin(), seen->budgets->end(),
                                    [&](const auto& known) { return known.ref == budget; });
    return found == seen->budgets->end() ? 0 : found->balance.carried_in;
  };
  const auto held = admission->CheckBudgets(*complete, seen->now_ms, carried_in);
  if (!held) return held.error();
  return complete;
}

Result<void> ControllerThread::TakePlaces(UserId owner, const JobSpec& spec) {
  const std::lock_guard lock(state_->door_mutex);
  return state_->door.Enter(owner, spec);
}

void ControllerThread::GiveBackPlaces(UserId owner, const JobSpec& spec) {
  const std::lock_guard lock(state_->door_mutex);
  state_->door.Leave(owner, spec);
}

MilliGpus ControllerThread::Counted(const JobSpec& spec) const {
  const auto admission = state_->Admitting();
  return admission == nullptr ? 0 : admission->Counted(spec);
}

MilliGpuMs ControllerThread::ChargeSoFar(const Attempt& attempt, TimeMs now_ms) const {
  return quota::ChargeSoFar(attempt, now_ms, state_->config.charge);
}

void ControllerThread::Do(Command command, std::function<void(Result<CommandOutcome>)> done) {
  state_->Post(Asked{std::move(command), std::move(done)});
}

std::shared_ptr<const View> ControllerThread::view() const {
  const std::lock_guard lock(state_->view_mutex);
  return state_->view;
}

// Only submissions matter here: what the controller itself has committed it knows.
void ControllerThread::OnCommitted(const Committed& committed) {
  if (committed.submitted.empty()) return;
  Committed submitted;
  submitted.submitted = committed.submitted;
  submitted.time_ms = committed.time_ms;
  state_->Post(std::move(submitted));
}

}  // namespace kezek::kezekd
