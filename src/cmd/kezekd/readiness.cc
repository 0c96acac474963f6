#include "cmd/kezekd/readiness.h"

#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <utility>

namespace kezek::kezekd {
namespace {

constexpr DurationMs kStuckMs = kMinuteMs;
constexpr DurationMs kTickOldMs = kMinuteMs;
constexpr std::chrono::seconds kProbeEvery{1};

const char* NameOf(Worker worker) {
  switch (worker) {
    case Worker::kController:
      return "controller";
    case Worker::kCommitter:
      return "committer";
    case Worker::kFollower:
      return "follower";
  }
  return "";
}

void Say(Health& health, const std::string& part, const std::string& wrong) {
  health.text += part + ": " + (wrong.empty() ? "ok" : wrong) + "\n";
  if (!wrong.empty()) health.good = false;
}

}  // namespace

Health Liveness(const std::vector<std::pair<Worker, DurationMs>>& busy) {
  Health health;
  for (const Worker worker : {Worker::kController, Worker::kCommitter, Worker::kFollower}) {
    std::string wrong;
    for (const auto& [who, for_ms] : busy) {
      if (who != worker || for_ms <= kStuckMs) continue;
      wrong = "at the same piece of work for " + std::to_string(for_ms / kSecondMs) + " s";
    }
    Say(health, NameOf(worker), wrong);
  }
  return health;
}

struct Readiness::State {
  enum class Database : std::uint8_t { kAnswers, kFails, kSilent };

  explicit State(const Parts& parts_in) : parts(parts_in) {}

  Health Judge(Database database) const;
  void Answered(Database database);

  const Parts parts;
  std::atomic<bool> leads = false;

  // One question to the database at a time, for all who ask meanwhile.
  std::mutex mutex;
  bool under_way = false;
  std::optional<Database> last;
  std::chrono::steady_clock::time_point answered;
  std::vector<std::function<void(const Health&)>> waiting;
};

Health Readiness::State::Judge(Database database) const {
  const std::shared_ptr<const View> view = parts.desk->view();
  Health health;
  Say(health, "leader",
      leads || view != nullptr ? "" : "another kezekd leads, or none can; nothing is served yet");
  std::string controller;
  if (view == nullptr) controller = "not loaded yet";
  if (view != nullptr && leads) {
    const DurationMs age = parts.clock->Now() - view->now_ms;
    if (age > kTickOldMs) controller = "last round " + std::to_string(age / kSecondMs) + " s ago";
  }
  Say(health, "controller", controller);
  const std::string away = database == Database::kSilent ? "no answer in time" : "does not answer";
  Say(health, "database", database == Database::kAnswers ? "" : away);
  return health;
}

void Readiness::State::Answered(Database database) {
  std::vector<std::function<void(const Health&)>> all;
  {
    const std::lock_guard lock(mutex);
    under_way = false;
    last = database;
    answered = std::chrono::steady_clock::now();
    all.swap(waiting);
  }
  const Health health = Judge(database);
  for (const auto& done : all) done(health);
}

Readiness::Readiness(Parts parts) : state_(std::make_shared<State>(parts)) {}

void Readiness::SetLeads(bool leads) { state_->leads = leads; }

bool Readiness::leads() const { return state_->leads; }

void Readiness::Check(std::function<void(const Health&)> done) {
  std::optional<State::Database> known;
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->last && std::chrono::steady_clock::now() - state_->answered < kProbeEvery) {
      known = state_->last;
    } else {
      state_->waiting.push_back(std::move(done));
      if (std::exchange(state_->under_way, true)) return;
    }
  }
  if (known) return done(state_->Judge(*known));
  state_->parts.read->Read([state = state_](Reader& reader) {
    const bool answers = reader.LastEventSeq().has_value();
    state->Answered(answers ? State::Database::kAnswers : State::Database::kFails);
  });
}

Health Readiness::Late() const { return state_->Judge(State::Database::kSilent); }

}  // namespace kezek::kezekd
