#include "cmd/kezek/windows.h"

#include <kezek/v1/cluster.pb.h>

#include <optional>
#include <vector>

#include "cmd/kezek/render.h"
#include "kezek/admin_reservation.h"
#include "kezek/host_list.h"

namespace kezek::cli {
namespace {

constexpr DurationMs kAhead = 14 * kDayMs;

std::optional<Occurrence> Next(const Host& host, const v1::AdminReservation& one) {
  return NextOccurrence({.start_ms = one.start_ms(),
                         .duration_ms = one.duration_ms(),
                         .repeat_every_ms = one.repeat_every_ms(),
                         .repeat_until_ms = one.repeat_until_ms()},
                        host.now_ms());
}

}  // namespace

std::string NodesOf(const v1::AdminReservation& one) {
  return CompressHostList({one.nodes().begin(), one.nodes().end()});
}

std::string RepeatOf(const v1::AdminReservation& one) {
  const std::int64_t every = one.repeat_every_ms();
  if (every == 0) return "";
  std::string text = "every " + (every == kDayMs       ? std::string("day")
                                 : every == 7 * kDayMs ? std::string("week")
                                                       : Length(every));
  if (one.repeat_until_ms() != 0) text += " until " + ExactMoment(one.repeat_until_ms());
  return text;
}

std::string WhomOf(const v1::AdminReservation& one) {
  std::string text;
  for (const auto* names : {&one.accounts(), &one.users()}) {
    for (const std::string& name : *names) text += (text.empty() ? "" : ", ") + name;
  }
  return text.empty() ? "nobody: maintenance" : text;
}

std::string NextOf(const Host& host, const v1::AdminReservation& one) {
  const auto next = Next(host, one);
  if (!next) return "over";
  if (next->begin_ms > host.now_ms()) return Moment(host, next->begin_ms);
  return "now, until " + Moment(host, next->end_ms);
}

std::map<std::string, std::string> ReservedNodes(Session& session) {
  std::map<std::string, std::string> reserved;
  const auto all = Ask<v1::ListReservationsResponse>(session, v1::ListReservationsRequest());
  if (!all) return reserved;  // a server that knows none has none
  for (const v1::AdminReservation& one : all->reservations()) {
    const auto next = Next(session.host, one);
    if (!next || next->begin_ms > session.host.now_ms() + kAhead) continue;
    const std::string text = "reserved " + NextOf(session.host, one) + ": " + one.name();
    for (const std::string& node : one.nodes()) {
      std::string& note = reserved[node];
      note += (note.empty() ? "" : "; ") + text;
    }
  }
  return reserved;
}

}  // namespace kezek::cli
