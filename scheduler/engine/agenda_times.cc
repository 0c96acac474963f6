// When an agenda has room: the earliest time for a gang.
//
// Between two times at which anything ends or begins nothing changes, so those at which something
// ends are the ones to try. At each it is known how many nodes have room for as long as is asked:
// of each cell, from when on and until when, worked out once. Nodes are placed on only where there
// are enough.

#include <algorithm>

#include "scheduler/engine/agenda.h"
#include "scheduler/engine/node_fit.h"

namespace kezek::engine {
namespace {

// Times for which a full placement is tried one by one; after that more and more are passed over.
constexpr std::int32_t kTries = 64;

using Span = std::pair<TimeMs, TimeMs>;  // [first, second)

}  // namespace

void Agenda::FindEnds() {
  if (ends_known_) return;
  ends_known_ = true;
  ends_.clear();
  bool sorted = true;
  for (const auto& [known, seated] : world_.seats().ends(pool_)) {
    if (seated->attempt->shape.gpu_type != key_.gpu_type) continue;
    const Holding& attempt = *seated->attempt;
    ends_.push_back({EndOf(attempt, false) + LateBy(attempt), seated});
    sorted &= ends_.size() < 2 || ends_[ends_.size() - 2].first <= ends_.back().first;
  }
  if (sorted) return;
  std::stable_sort(ends_.begin(), ends_.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
}

// Without what is promised: what a promise that is made now may count on.
FreeNode Agenda::LeftAt(const Cell& cell, TimeMs at_ms) const {
  NodeBalance balance = PoolIn(free_).nodes[cell.first];
  for (const Cell::Held& held : cell.held) {
    if (held.free_from_ms <= at_ms) Add(balance, held.use, -1);
  }
  for (const Cell::Span& span : cell.started) {
    if (span.stay.gone_by_ms <= at_ms) Add(balance, span.use, -1);
  }
  return balance.Free();
}

// When each of its nodes has room for the shape, promises to the row aside.
void Agenda::AddVacancies(const Cell& cell, const Shape& shape, const JobRef& row,
                          const Window& window, std::vector<Vacancy>& changes) const {
  std::vector<TimeMs> times{window.from_ms};  // at which what is left of it changes
  std::vector<Span> barred;                   // whoever begins in these would meet a promise
  const auto at = [&](TimeMs ms) {
    if (ms > window.from_ms && ms < window.before_ms) times.push_back(ms);
  };
  for (const Cell::Held& held : cell.held) {
    at(held.stay.gone_by_ms);
    at(held.free_from_ms);
  }
  for (const Cell::Span& span : cell.started) at(span.stay.gone_by_ms);
  for (const auto& [promise, gpus] : cell.promised) {
    if (promise->row == row) continue;
    const TimeMs begin = BeginOf(*promise);
    const bool claim = !promise->victims.empty();
    at(begin);
    at(EndOf(*promise));
    if (HasRoom(FreeAt(cell, {begin, claim}, row, kNobody), shape)) continue;
    barred.push_back({begin - window.occupies_ms + 1, claim ? begin + 1 : begin});
  }
  windows_.AddBarred(cell, window.occupies_ms, barred);
  std::sort(times.begin(), times.end());
  times.erase(std::unique(times.begin(), times.end()), times.end());
  std::sort(barred.begin(), barred.end());
  for (std::size_t i = 0; i < times.size(); ++i) {
    if (!HasRoom(LeftAt(cell, times[i]), shape)) continue;
    if (!HasRoom(FreeAt(cell, {times[i], false}, row, kNobody), shape)) continue;
    TimeMs from = times[i];
    const TimeMs until = i + 1 < times.size() ? times[i + 1] : window.before_ms;
    for (const auto& [first, last] : barred) {
      if (last <= from) continue;
      if (first >= until) break;
      if (first > from) {
        changes.push_back({from, cell.size});
        changes.push_back({first, -std::int64_t{cell.size}});
      }
      from = last;
    }
    if (from >= until) continue;
    changes.push_back({from, cell.size});
    changes.push_back({until, -std::int64_t{cell.size}});
  }
}

std::vector<Agenda::Vacancy> Agenda::Vacancies(const Shape& shape, const JobRef& row,
                                               const Window& window) const {
  std::vector<Vacancy> counts;
  for (Cells::Index i = 0; i < cells_.all().size(); ++i) {
    if (cells_.at(i).size > 0) AddVacancies(On(i), shape, row, window, counts);
  }
  std::sort(counts.begin(), counts.end(),
            [](const Vacancy& a, const Vacancy& b) { return a.from_ms < b.from_ms; });
  std::int64_t nodes = 0;
  for (Vacancy& one : counts) one.count = nodes += one.count;
  return counts;
}

// The first, and those at which something ends.
std::vector<TimeMs> Agenda::TimesIn(const JobRef& row, const Window& window) {
  FindEnds();
  std::vector<TimeMs> times{window.from_ms};
  const auto at = [&](TimeMs ms) {
    if (ms > window.from_ms && ms < window.before_ms) times.push_back(ms);
  };
  for (const auto& [end_ms, seated] : ends_) at(end_ms);
  for (const Ending& start : starts_) at(start.at_ms);
  for (const auto& [other, promise] : promises_) {
    if (other != row) at(EndOf(*promise));
  }
  std::vector<TimeMs> window_ends;
  windows_.AddEnds(window_ends);
  for (const TimeMs end_ms : window_ends) at(end_ms);
  std::sort(times.begin(), times.end());
  times.erase(std::unique(times.begin(), times.end()), times.end());
  return times;
}

std::optional<Agenda::Slot> Agenda::Earliest(const Request& request, DurationMs limit_ms,
                                             const JobRef& row, TimeMs after_ms, TimeMs before_ms) {
  const Window window{std::max(now_, after_ms), before_ms, world_.StaysFor(limit_ms)};
  if (window.from_ms >= before_ms) return std::nullopt;
  const Shape& shape = request.spec->shape;
  const std::vector<TimeMs> times = TimesIn(row, window);
  const std::vector<Vacancy> vacancies = Vacancies(shape, row, window);
  std::stable_sort(starts_.begin(), starts_.end(),
                   [](const Ending& a, const Ending& b) { return a.at_ms < b.at_ms; });
  std::optional<Machine> at;  // without what has ended
  std::size_t ended = 0;
  std::size_t started = 0;
  std::size_t known = 0;
  std::int64_t nodes = 0;
  std::int32_t tries = 0;
  std::int32_t pass_over = 0;
  for (const TimeMs now : times) {
    for (; known < vacancies.size() && vacancies[known].from_ms <= now; ++known) {
      nodes = vacancies[known].count;
    }
    if (nodes < shape.nodes || (now != times.back() && --pass_over >= 0)) continue;
    if (!at) at = free_;
    for (; ended < ends_.size() && ends_[ended].first <= now; ++ended) {
      const Seats::Seated& seated = *ends_[ended].second;
      at->GiveBack({pool_, seated.attempt->shape}, In(seated.seats, pool_));
    }
    for (; started < starts_.size() && starts_[started].at_ms <= now; ++started) {
      at->GiveBack({pool_, starts_[started].shape}, starts_[started].seats);
    }
    Machine room = *at;
    const TimeMs until = now + window.occupies_ms;
    Limit(room, {now, false}, {until, until}, row, kNobody);
    if (auto placement = Place(PoolIn(room), request)) return Slot{now, std::move(*placement)};
    if (++tries > kTries) pass_over = tries - kTries;
  }
  return std::nullopt;
}

}  // namespace kezek::engine
