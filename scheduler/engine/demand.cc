#include "scheduler/engine/demand.h"

#include <utility>

namespace kezek::engine {

void Demand::Set(const JobRef& row, const Ask& ask) {
  Remove(row);
  const Ask* kept = &asks_.emplace(row, ask).first->second;
  if (!ask.may_be_stopped) {
    plain_[KeyOf(ask)] += ask.count.counted_milli * ask.jobs;
    return;
  }
  Group& group = groups_[ask.group];
  group.rows.emplace(row, kept);
  group.known &= group.until < row;
  group.more = true;
}

void Demand::Remove(const JobRef& row) {
  const auto found = asks_.find(row);
  if (found == asks_.end()) return;
  const Ask& ask = found->second;
  if (!ask.may_be_stopped) {
    const auto plain = plain_.find(KeyOf(ask));
    plain->second -= ask.count.counted_milli * ask.jobs;
    if (plain->second == 0) plain_.erase(plain);
  } else {
    const auto group = groups_.find(ask.group);
    group->second.rows.erase(row);
    group->second.known &= group->second.until < row;
    if (group->second.rows.empty()) groups_.erase(group);
  }
  asks_.erase(found);
}

void Demand::Clear() {
  asks_.clear();
  plain_.clear();
  groups_.clear();
}

void Demand::Touch(AccountId group) {
  if (!group) {
    for (auto& [account, each] : groups_) each.known = false;
    return;
  }
  const auto found = groups_.find(group);
  if (found != groups_.end()) found->second.known = false;
}

void Demand::Keep(AccountId group, Counted counted) const {
  Group& kept = groups_.at(group);
  kept.known = true;
  kept.until = kept.rows.rbegin()->first;
  kept.more = false;
  kept.counted = std::move(counted);
}

}  // namespace kezek::engine
