// What admins have reserved, in words, for `admin reservation` and `nodes`.
#pragma once

#include <kezek/v1/site.pb.h>

#include <map>
#include <string>

#include "cmd/kezek/session.h"

namespace kezek::cli {

// `n[01-04]`.
std::string NodesOf(const v1::AdminReservation& one);
// `every week`, `every 2 d until 2026-12-24 18:00`; empty: once.
std::string RepeatOf(const v1::AdminReservation& one);
// `astronomy, aizhan@kaznu`, `nobody: maintenance`.
std::string WhomOf(const v1::AdminReservation& one);
// `tomorrow 08:00`, `now, until 18:00`, `over`: its next occurrence.
std::string NextOf(const Host& host, const v1::AdminReservation& one);

// By node, what is said of the reservations that it has within the next days; empty where the
// server knows none.
std::map<std::string, std::string> ReservedNodes(Session& session);

}  // namespace kezek::cli
