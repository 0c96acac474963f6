// Random but valid small worlds: an account tree whose guarantees fit, classes, nodes under leaves
// and blocks, and jobs as they are after admission. The same seed gives the same world.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "kezek/desk.h"
#include "kezek/job.h"
#include "kezek/node.h"

namespace kezek::test {

class RandomWorld {
 public:
  explicit RandomWorld(std::uint64_t seed) : bits_(seed) {}

  // least…most, both included.
  std::int64_t Int(std::int64_t least, std::int64_t most);
  bool Chance(int percent) { return Int(0, 99) < percent; }
  template <class T>
  const T& Pick(const std::vector<T>& from) {
    return from[static_cast<std::size_t>(Int(0, static_cast<std::int64_t>(from.size()) - 1))];
  }

  // Nodes n000…, of type h200 (8 GPUs) and at times a100 (4 GPUs), at times some of them with less
  // than the others of their type; most are up.
  std::vector<Node> Nodes(std::int32_t count);
  // Another state of the same node: health, drained, foreign use, now and then a GPU less.
  Node Changed(Node node, TimeMs now);

  // Root, sectors 2…, institutions, projects; guarantees of children fit in their parents' and the
  // root's in `gpus`. Some have borrow_max, lend_max, limits, rules. Classes debug, realtime,
  // normal, scavenger. `users` users 1…
  Directory Accounts(std::int32_t gpus, std::int32_t users);
  // The same accounts with other settings, budgets excepted; at times one has moved, or is closed.
  Directory Changed(Directory directory, std::int32_t gpus);
  // Other budgets for some accounts: none, or one or two periods in a row about `now`, of all types
  // together or of one, that stop or make scavengers. Names are new each time.
  Directory Budgeted(Directory directory, TimeMs now);

  std::vector<AccountId> Projects(const Directory& directory) const;
  // A job of one of the projects, that mostly fits on such nodes; an array at times.
  JobSpec Job(const std::vector<AccountId>& projects);

 private:
  void Settle(Account& account, MilliGpus guarantee);
  void Share(Directory& directory, AccountId parent, MilliGpus guarantee);
  Limits SomeLimits();
  void Dedicate(Directory& directory);

  std::mt19937_64 bits_;
  std::int64_t next_budget_ = 1;
};

// As whoever changes accounts or classes makes it.
inline std::shared_ptr<const Directory> WithOwners(Directory directory) {
  directory.owners = OwnersOf(directory.accounts, directory.classes);
  return std::make_shared<const Directory>(std::move(directory));
}

}  // namespace kezek::test
