#include "cmd/kezekd/controller_thread.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "kezek/check.h"
#include "scheduler/control/admission.h"
#include "scheduler/control/loop.h"

namespace kezek::kezekd {
namespace {

struct Asked {
  Command command;
  std::function<void(Result<CommandOutcome>)> done;
};
using Message = std::variant<Committed, ClusterEvent, Asked>;

Error Ended() { return {Code::kUnavailable, "kezekd is stopping; try again", {}}; }

}  // namespace

struct ControllerThread::State {
  State(control::ControlConfig config_in, Clock& clock_in)
      : config(std::move(config_in)), clock(clock_in) {}

  const control::ControlConfig config;
  Clock& clock;
  Outside outside;
  std::unique_ptr<control::Loop> loop;  // the thread's own, once it runs
  std::thread thread;

  std::mutex inbox_mutex;
  std::condition_variable wake;
  std::vector<Message> inbox;
  bool stopping = false;  // under inbox_mutex
  bool ended = false;     // nobody will read the inbox any more

  mutable std::mutex view_mutex;
  std::shared_ptr<const View> view;
  std::shared_ptr<const control::Admission> admission;

  void Publish(const std::shared_ptr<const View>& next);
  void Post(Message message);
  void TakeInbox();
  // Waits until something comes in, the loop wants to run, or Stop. False: Stop.
  bool Wait();
  void Run();
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
  const std::lock_guard lock(view_mutex);
  view = next;
  admission = std::move(checks);
}

void ControllerThread::State::Post(Message message) {
  {
    const std::lock_guard lock(inbox_mutex);
    if (!ended) {
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
    TakeInbox();
    const Result<control::RoundReport> report = loop->RunOnce(clock.Now());
    if (!report) {
      End();
      if (outside.on_fatal) outside.on_fatal(report.error());
      return;
    }
    if (outside.on_round) outside.on_round(*report);
  }
  End();
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
  state_->loop = std::make_unique<control::Loop>(
      state_->config, state_->outside.state, state_->outside.cluster,
      [state = state_.get()](const std::shared_ptr<const View>& view) { state->Publish(view); });
  if (Result<void> begun = state_->loop->Begin(state_->clock.Now()); !begun) return begun;
  state_->thread = std::thread([state = state_.get()] { state->Run(); });
  return {};
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

Result<JobSpec> ControllerThread::Admit(UserId owner, JobSpec spec) const {
  std::shared_ptr<const View> view;
  std::shared_ptr<const control::Admission> admission;
  {
    const std::lock_guard lock(state_->view_mutex);
    view = state_->view;
    admission = state_->admission;
  }
  if (admission == nullptr) {
    return Error{Code::kUnavailable, "kezekd is starting; try again", {}};
  }
  return admission->Admit(*view, owner, std::move(spec));
}

MilliGpus ControllerThread::Counted(const JobSpec& spec) const {
  const auto admission = state_->Admitting();
  return admission == nullptr ? 0 : admission->Counted(spec);
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
