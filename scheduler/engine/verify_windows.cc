// Whether a job keeps off what admins have reserved for others, and is where it asked to be: by the
// calendar of every reservation, node by node.

#include <algorithm>

#include "scheduler/engine/verify_rules.h"

namespace kezek::engine {
namespace {

bool Allows(const World& world, const AdminReservation& reservation, const Waiting& job) {
  for (const UserId& user : reservation.users) {
    if (user == job.user) return true;
  }
  const quota::AccountTree& tree = world.tree();
  const quota::AccountIndex project = tree.IndexOf(job.spec->project);
  return std::any_of(reservation.accounts.begin(), reservation.accounts.end(),
                     [&](const AccountId& account) {
                       const quota::AccountIndex above = tree.IndexOf(account);
                       return above != quota::kNoAccount && project != quota::kNoAccount &&
                              tree.IsAncestor(above, project);
                     });
}

// Whether the time lies in an occurrence, and whether any of it does.
struct Meeting {
  bool inside = false;
  bool meets = false;
};

Meeting MeetingOf(const AdminReservation& reservation, TimeMs from, TimeMs until) {
  Meeting meeting;
  for (TimeMs begin = reservation.start_ms; begin < until; begin += reservation.repeat_every_ms) {
    const TimeMs last = reservation.repeat_until_ms;
    if (begin != reservation.start_ms && last != 0 && begin > last) break;
    const TimeMs end = begin + reservation.duration_ms;
    meeting.inside |= begin <= from && until <= end;
    meeting.meets |= begin < until && from < end;
    if (reservation.repeat_every_ms == 0) break;
  }
  return meeting;
}

}  // namespace

std::optional<std::string> BrokenWindow(const World& world, const Waiting& job,
                                        const Placement& placement, TimeMs from, TimeMs until) {
  const auto& reservations = world.directory().reservations;
  const std::string& asked = job.spec->reservation;
  if (!asked.empty() && !reservations.contains(asked)) return "there is no reservation " + asked;
  for (const auto& [name, reservation] : reservations) {
    const auto has = [&of = reservation.nodes](const NodeGrant& grant) {
      return std::find(of.begin(), of.end(), grant.node) != of.end();
    };
    const bool some = std::any_of(placement.begin(), placement.end(), has);
    if (name != asked && !some) continue;
    const Meeting meeting = MeetingOf(reservation, from, until);
    if (name != asked) {
      if (meeting.meets) return "reservation " + name + " has its nodes before it ends";
      continue;
    }
    if (!std::all_of(placement.begin(), placement.end(), has)) {
      return "it is not on the nodes of reservation " + name;
    }
    if (!meeting.inside) return "it does not end inside reservation " + name;
    if (!Allows(world, reservation, job)) return "it may not use reservation " + name;
  }
  return std::nullopt;
}

}  // namespace kezek::engine
