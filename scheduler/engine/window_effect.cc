// What a reservation of admins does to what runs and what is promised; and nodes for it, where a
// number of them is asked for.

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "scheduler/engine/windows.h"
#include "scheduler/engine/world.h"

namespace kezek::engine {
namespace {

constexpr DurationMs kCompared = 400 * kDayMs;  // so far ahead two that repeat are compared

// Whether both ever have a moment in common, from now on.
bool MeetEver(const AdminReservation& a, const AdminReservation& b, TimeMs now) {
  const TimeMs first = std::max({now, a.start_ms, b.start_ms});
  const TimeMs until = first + kCompared;
  for (auto next = FirstIn(a, now, until); next; next = FirstIn(a, next->end_ms, until)) {
    if (FirstIn(b, std::max(now, next->begin_ms), next->end_ms)) return true;
  }
  return false;
}

TimeMs EndOf(const World& world, const Reservation& promise, TimeMs now) {
  return std::max(now, promise.from_ms + world.config().late_ms) + world.Occupies(promise.limit_ms);
}

bool IsPushed(const World& world, const AdminReservation& reservation, const Reservation& promise,
              TimeMs now) {
  return FirstIn(reservation, std::max(now, promise.from_ms), EndOf(world, promise, now))
      .has_value();
}

// A node that might do, the better ones first.
struct Candidate {
  bool runs_on = false;  // what is there, into the first occurrence
  std::int64_t pushed = 0;
  TimeMs drained_ms = 0;
  std::string name;
  auto Key() const { return std::tie(runs_on, pushed, drained_ms, name); }
};

using Leaf = std::vector<Candidate>;

// By what its first `count` nodes cost.
auto CostOf(const Leaf& leaf, std::size_t count) {
  std::int64_t runs_on = 0;
  std::int64_t pushed = 0;
  TimeMs drained_ms = 0;
  for (std::size_t i = 0; i < count; ++i) {
    runs_on += leaf[i].runs_on ? 1 : 0;
    pushed += leaf[i].pushed;
    drained_ms = std::max(drained_ms, leaf[i].drained_ms);
  }
  return std::tuple(runs_on, pushed, drained_ms);
}

std::vector<Leaf> LeavesOf(const World& world, const AdminReservation& reservation, TimeMs now) {
  const auto first = NextOccurrence(reservation, now);
  std::set<std::string> taken;
  for (const auto& [name, other] : world.directory().reservations) {
    if (name == reservation.name || !MeetEver(reservation, other, now)) continue;
    taken.insert(other.nodes.begin(), other.nodes.end());
  }
  std::map<std::string, std::int64_t> pushed;
  for (const auto& [row, promise] : world.reservations()) {
    if (!IsPushed(world, reservation, promise, now)) continue;
    for (const NodeGrant& grant : promise.placement) ++pushed[grant.node];
  }
  std::map<std::tuple<std::string, std::string>, Leaf> leaves;
  for (const auto& [name, node] : world.nodes()) {
    const bool may = node.gpu_type == reservation.gpu_type && InService(node, now) &&
                     !world.owners().contains(name) && !taken.contains(name);
    if (!may) continue;
    Candidate candidate{.pushed = pushed[name], .drained_ms = now, .name = name};
    for (const AttemptRef& ref : world.on(name)) {
      const Holding& attempt = world.holdings().at(ref);
      if (attempt.reservation == reservation.name) continue;
      candidate.drained_ms = std::max(candidate.drained_ms, world.EndOf(attempt, now));
    }
    candidate.runs_on = first && candidate.drained_ms > std::max(now, first->begin_ms);
    leaves[{node.block, node.leaf}].push_back(std::move(candidate));
  }
  std::vector<Leaf> result;
  for (auto& [place, leaf] : leaves) {
    std::sort(leaf.begin(), leaf.end(),
              [](const Candidate& a, const Candidate& b) { return a.Key() < b.Key(); });
    result.push_back(std::move(leaf));
  }
  return result;
}

}  // namespace

Engine::WindowEffect EffectOf(const World& world, const AdminReservation& reservation, TimeMs now) {
  Engine::WindowEffect effect;
  const auto has = [&](const NodeGrant& grant) { return HasNode(reservation, grant.node); };
  for (const auto& [name, other] : world.directory().reservations) {
    const bool meets =
        std::any_of(other.nodes.begin(), other.nodes.end(),
                    [&](const std::string& node) { return HasNode(reservation, node); });
    if (name == reservation.name || !meets || !MeetEver(reservation, other, now)) continue;
    effect.overlaps = name;
    break;
  }
  for (const auto& [row, promise] : world.reservations()) {
    const bool meets = std::any_of(promise.placement.begin(), promise.placement.end(), has);
    if (meets && IsPushed(world, reservation, promise, now)) effect.promises.push_back(promise);
  }
  const auto first = NextOccurrence(reservation, now);
  if (!first) return effect;
  for (const std::string& node : reservation.nodes) {
    for (const AttemptRef& ref : world.on(node)) {
      const Holding& attempt = world.holdings().at(ref);
      const bool runs_on = attempt.counts && attempt.reservation != reservation.name &&
                           world.EndOf(attempt, now) > std::max(now, first->begin_ms);
      if (runs_on && (!effect.runs_on || ref < *effect.runs_on)) effect.runs_on = ref;
    }
  }
  return effect;
}

// Whole leaves as long as one is no larger than what is still wanted, the cheapest first, then the
// larger one; the rest from the leaf whose best nodes cost least, and which leaves least over.
std::vector<std::string> NodesFor(const World& world, const AdminReservation& reservation,
                                  TimeMs now) {
  std::vector<Leaf> leaves = LeavesOf(world, reservation, now);
  auto wanted = static_cast<std::size_t>(std::max(0, reservation.node_count));
  std::vector<std::string> chosen;
  while (wanted > 0 && !leaves.empty()) {
    const auto taken_of = [&](const Leaf& leaf) { return std::min(wanted, leaf.size()); };
    const auto order = [&](const Leaf& leaf) {
      const std::size_t taken = taken_of(leaf);
      const bool whole = taken == leaf.size();
      const bool enough = taken == wanted;
      // One leaf that has all comes first; of those that have not, the larger one.
      const auto cost = CostOf(leaf, taken);
      return std::tuple(std::get<0>(cost), !enough, !whole, cost, enough ? leaf.size() : 0,
                        enough ? 0 : world.nodes().size() - leaf.size(), leaf.front().name);
    };
    const auto best =
        std::min_element(leaves.begin(), leaves.end(),
                         [&](const Leaf& a, const Leaf& b) { return order(a) < order(b); });
    const std::size_t taken = taken_of(*best);
    for (std::size_t i = 0; i < taken; ++i) chosen.push_back((*best)[i].name);
    wanted -= taken;
    leaves.erase(best);
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

}  // namespace kezek::engine
