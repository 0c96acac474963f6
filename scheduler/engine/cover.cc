#include "scheduler/engine/cover.h"

#include <algorithm>
#include <tuple>
#include <vector>

#include "scheduler/engine/passes.h"

namespace kezek::engine {
namespace {

using quota::AccountIndex;

// The guarantee that counts now.
MilliGpus GuaranteeOf(const World& world, const Draft& draft, AccountIndex account,
                      const std::string& type) {
  const auto entitled = draft.entitled.find(type);
  if (entitled == draft.entitled.end()) return world.tree().Guarantee(account, type);
  return entitled->second[static_cast<std::size_t>(account)].guarantee_milli;
}

CoverMap CoversOf(const World& world, const Draft& draft) {
  std::vector<const Holding*> runs;
  for (const auto& [ref, attempt] : world.holdings()) {
    const bool known = world.tree().IndexOf(attempt.project) != quota::kNoAccount;
    if (known && attempt.counts && world.CountOf(attempt).IsShared()) runs.push_back(&attempt);
  }
  const auto age = [](const Holding* attempt) {  // not running yet: youngest
    return std::tuple(attempt->start_ms == 0, attempt->start_ms, attempt->attempt);
  };
  std::sort(runs.begin(), runs.end(),
            [&age](const Holding* a, const Holding* b) { return age(a) < age(b); });
  std::map<std::pair<AccountIndex, std::string>, MilliGpus> left;
  CoverMap covers;
  for (const Holding* attempt : runs) {
    const std::string& type = attempt->shape.gpu_type;
    for (auto i = world.tree().IndexOf(attempt->project); i != quota::kNoAccount;
         i = world.tree().parent(i)) {
      const auto [rest, first] = left.try_emplace({i, type}, GuaranteeOf(world, draft, i, type));
      if (attempt->counted_milli > rest->second) continue;
      rest->second -= attempt->counted_milli;
      covers[{i, type}].insert(attempt->attempt);
    }
  }
  return covers;
}

}  // namespace

CoverMap CoveredBy(const World& world, TimeMs now) {
  Draft draft(world, now);
  WalkApart(world, draft);
  Entitle(world, draft);
  return CoversOf(world, draft);
}

}  // namespace kezek::engine
