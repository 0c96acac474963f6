#include "rpc/what_if_convert.h"

#include <string>
#include <vector>

#include "rpc/account_plan.h"

namespace kezek::rpc {
namespace {

template <class Texts>
void AddAll(const std::vector<JobRef>& jobs, Texts* out) {
  for (const JobRef& job : jobs) *out->Add() = ToText(job);
}

v1::WhatIfAccount ToWire(const WhatIfRow& row, const std::string& path) {
  v1::WhatIfAccount wire;
  wire.set_account(path);
  wire.set_gpu_type(row.gpu_type);
  wire.set_entitlement_before_milli_gpus(row.entitled_before_milli);
  wire.set_entitlement_after_milli_gpus(row.entitled_after_milli);
  wire.set_running_milli_gpus(row.running_milli);
  AddAll(row.starts, wire.mutable_starts());
  AddAll(row.waits, wire.mutable_waits());
  AddAll(row.stopped, wire.mutable_stopped());
  AddAll(row.freed, wire.mutable_freed());
  for (const AttemptRef& attempt : row.unguaranteed) wire.add_unguaranteed(ToText(attempt.job));
  wire.set_unguaranteed_milli_gpu_ms(row.unguaranteed_ms);
  for (const AttemptRef& attempt : row.preempted) wire.add_preempted(ToText(attempt.job));
  AddAll(row.reclaims, wire.mutable_reclaims());
  wire.set_nearer(static_cast<std::int32_t>(row.nearer));
  wire.set_farther(static_cast<std::int32_t>(row.farther));
  return wire;
}

}  // namespace

v1::WhatIf ToWire(const Caller& caller, const WhatIf& what_if) {
  v1::WhatIf wire;
  wire.set_tick_ms(what_if.now_ms);
  for (const WhatIfRow& row : what_if.rows) {
    const std::string& path = what_if.paths.at(row.account);
    const bool made = !caller.directory().accounts.contains(row.account);
    if (made ? RulesPath(caller, path) : caller.ReachesAccount(row.account)) {
      *wire.add_accounts() = ToWire(row, path);
    }
  }
  for (const auto& [type, queue] : what_if.next) {
    v1::WhatIfNext& next = *wire.add_next();
    next.set_gpu_type(type);
    for (const WhatIf::Next& job : queue.before) {
      if (caller.ReachesAccount(job.project)) next.add_before(ToText(job.job));
    }
    for (const WhatIf::Next& job : queue.after) {
      if (caller.ReachesAccount(job.project)) next.add_after(ToText(job.job));
    }
  }
  return wire;
}

}  // namespace kezek::rpc
