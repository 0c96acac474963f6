// Who may call what, and how far it reaches: one table, a row for every rpc.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "kezek/user.h"

namespace kezek::rpc {

// What is no rpc but needs a role too: GET /metrics over HTTP, with every account's figures in it.
inline constexpr std::string_view kReadMetrics = "GET /metrics";

// How far a role reaches in one rpc. What is reached is a job by its owner and project, an account,
// or a user by the accounts of its roles.
enum class Reach : std::uint8_t {
  kNone,
  kOwn,      // what is the caller's own, in the account of the role
  kAccount,  // everything in the account of the role and below it
  kAll,      // everything
};

inline constexpr std::size_t kRoles = 6;

struct AccessRow {
  std::string_view method;          // "/kezek.v1.JobService/Submit", or kReadMetrics
  bool everybody;                   // any signed-in user may call it for what is his or her own
  Scope scope;                      // what a limited token must be for
  std::array<Reach, kRoles> reach;  // by Role, in the order of the enumeration
  bool signed_in = true;            // false: needs no token (Login)
};

std::span<const AccessRow> AccessTable();

// Whether a daemon that stands by answers it too: reads for which the stored rows suffice.
bool OnStandby(std::string_view method);

// The row of a method; null if it has none, and then nobody may call it.
const AccessRow* FindAccess(std::string_view method);

}  // namespace kezek::rpc
