// What people do in a simulation, by seed: submissions of every kind, and commands about them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kezek/desk.h"
#include "kezek/store.h"
#include "scheduler/control/config.h"
#include "scheduler/sim/random.h"

namespace kezek::sim {

// The machine and the people of every simulation: 8 nodes of 8 GPUs under two leaves, three sectors
// with two projects each, two users in each.
std::vector<Node> SimNodes();
std::vector<Account> SimAccounts();
std::vector<User> SimUsers();
// Budgets for some of the accounts, as settings: of one project, of one sector whose jobs go on as
// scavengers, and of the root; in periods of `period_ms` from `start` on. With `plenty_from` those
// that end later than that stop nothing.
PutAccounts SimBudgets(const Directory& directory, TimeMs start, DurationMs period_ms,
                       std::optional<TimeMs> plenty_from);
control::ControlConfig SimConfig();
// With reservations and reclaim, and classes that give little time.
control::ControlConfig SimConfigWithPromises();

class Workload {
 public:
  using Do = std::function<void(Command)>;

  // `jobs` submissions over the first `span_ms`. With `checkpoints` jobs say that they have some,
  // and ask for less time before they are preempted. With `windows` some ask for what admins have
  // reserved, and some limits may delay what is reserved.
  Workload(std::uint64_t seed, std::int32_t jobs, TimeMs start, DurationMs span_ms,
           bool checkpoints = false, bool windows = false);

  // When people want to do something next; none left: INT64_MAX.
  TimeMs NextMs() const;
  // Does what is due. Refused submissions are counted, commands go to `command`.
  void Act(TimeMs now, const View& view, SubmitStore& store, const Do& command);

  const std::set<JobId>& acknowledged() const { return acknowledged_; }
  // The database was lost: these are no longer asked for. Their numbers are given again.
  template <class Lost>
  void Forget(const Lost& lost) {
    std::erase_if(acknowledged_, lost);
    last_ = acknowledged_.empty() ? 0 : acknowledged_.rbegin()->value;
  }
  std::int64_t refused() const { return refused_; }

 private:
  void SubmitOne(TimeMs now, const View& view, SubmitStore& store);
  void CommandOne(const Do& command);
  JobSpec MakeSpec(TimeMs now);
  void AskForWindow(const View& view, JobSpec& spec);
  JobRef AnyJob();

  Random random_;
  const bool checkpoints_;
  const bool windows_;
  std::vector<TimeMs> submissions_;  // ascending
  std::vector<TimeMs> commands_;
  std::size_t next_submission_ = 0;
  std::size_t next_command_ = 0;
  std::set<JobId> acknowledged_;
  std::int64_t last_ = 0;  // id
  std::int64_t refused_ = 0;
};

}  // namespace kezek::sim
