#include "scheduler/sim/admins.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

namespace kezek::sim {
namespace {

constexpr std::int64_t kNames = 5;
constexpr std::int64_t kSimNodes = 8;
constexpr std::int64_t kAccounts = 10;  // the first is all of them
constexpr std::int64_t kUsers = 12;

Command ByAdmin(CommandBody body) {
  return {.actor = UserId{1}, .actor_name = "admin", .body = std::move(body)};
}

}  // namespace

Admins::Admins(std::uint64_t seed, TimeMs start, DurationMs span_ms) : random_(seed) {
  for (std::int64_t i = random_.Between(6, 20); i > 0; --i) {
    acts_.push_back(start + random_.Between(0, span_ms));
  }
  std::sort(acts_.begin(), acts_.end());
}

TimeMs Admins::NextMs() const { return next_ < acts_.size() ? acts_[next_] : INT64_MAX; }

// Half at short notice, or in force already; what repeats began days ago, or lasts nearly until it
// begins again, so that a simulation sees an end and the next beginning.
void Admins::DrawTimes(AdminReservation& one, TimeMs now) {
  const bool ahead = random_.Permille(500);
  one.start_ms = now + (ahead ? random_.Between(10, 50) : random_.Between(-5, 5)) * kMinuteMs;
  one.duration_ms = random_.Between(5, 40) * kMinuteMs;
  one.repeat_every_ms = one.repeat_until_ms = 0;
  if (!random_.Permille(400)) return;
  one.repeat_every_ms = (random_.Permille(500) ? 1 : 7) * kDayMs;
  one.start_ms -= random_.Between(0, 3) * one.repeat_every_ms;
  if (random_.Permille(250)) {
    one.duration_ms = one.repeat_every_ms - random_.Between(0, 40) * kMinuteMs;
    one.start_ms -= one.repeat_every_ms - random_.Between(0, 60) * kMinuteMs;
  }
  if (random_.Permille(300)) {
    one.repeat_until_ms = one.start_ms + random_.Between(0, 5) * one.repeat_every_ms;
  }
}

void Admins::DrawNodes(AdminReservation& one) {
  one.nodes.clear();
  one.node_count = 0;
  one.gpu_type.clear();
  if (random_.Permille(400)) {
    one.node_count = static_cast<std::int32_t>(random_.Between(1, 4));
    one.gpu_type = "h200";
    return;
  }
  std::set<std::string> nodes;
  for (std::int64_t i = random_.Between(1, 4); i > 0; --i) {
    nodes.insert("n" + std::to_string(random_.Between(1, kSimNodes)));
  }
  one.nodes.assign(nodes.begin(), nodes.end());
}

void Admins::DrawUsers(AdminReservation& one) {
  one.accounts.clear();
  one.users.clear();
  if (random_.Permille(350)) return;
  if (random_.Permille(850)) one.accounts.push_back(AccountId{random_.Between(1, kAccounts)});
  if (random_.Permille(200)) one.accounts.push_back(AccountId{random_.Between(2, kAccounts)});
  if (random_.Permille(250)) one.users.push_back(UserId{random_.Between(1, kUsers)});
}

AdminReservation Admins::Draw(TimeMs now) {
  AdminReservation one{.name = "w" + std::to_string(random_.Between(1, kNames))};
  DrawTimes(one, now);
  DrawNodes(one);
  DrawUsers(one);
  one.reason = "drawn";
  return one;
}

// One side of it; at times of a version that is gone.
AdminReservation Admins::Change(AdminReservation one, TimeMs now) {
  const std::int64_t what = random_.Between(0, 4);
  if (what == 0) DrawTimes(one, now);
  if (what == 1) DrawNodes(one);
  if (what == 2) DrawUsers(one);
  if (what == 3) one.duration_ms = random_.Between(5, 40) * kMinuteMs;
  if (what == 4) one.start_ms += random_.Between(-10, 10) * kMinuteMs;
  if (one.node_count != 0) one.nodes.clear();
  if (random_.Permille(50)) ++one.version;
  one.reason = "changed";
  return one;
}

void Admins::Act(TimeMs now, const View& view, const Do& command) {
  const auto& known = view.directory->reservations;
  for (; next_ < acts_.size() && acts_[next_] <= now; ++next_) {
    const std::int64_t what = random_.Between(0, 99);
    PutReservation put;
    if (known.empty() || what < 55) {
      put.reservation = Draw(now);
    } else {
      auto one = known.begin();
      std::advance(one, random_.Between(0, std::ssize(known) - 1));
      if (what >= 85) {
        command(ByAdmin(DeleteReservation{one->first, "no longer"}));
        continue;
      }
      put.reservation = Change(one->second, now);
    }
    put.delay_jobs = random_.Permille(600);
    put.allow_running = random_.Permille(500);
    command(ByAdmin(std::move(put)));
  }
}

void Admins::DeleteRepeated(const View& view, const Do& command) const {
  for (const auto& [name, one] : view.directory->reservations) {
    if (one.repeat_every_ms != 0) command(ByAdmin(DeleteReservation{name, "over"}));
  }
}

}  // namespace kezek::sim
