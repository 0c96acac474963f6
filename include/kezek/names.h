// The text that each enumerator is stored as and told by in events. Names never change; an
// enumerator without a name does not compile. Pure; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

#include "kezek/account.h"
#include "kezek/budget.h"
#include "kezek/check.h"
#include "kezek/event.h"
#include "kezek/job.h"
#include "kezek/node.h"
#include "kezek/resources.h"
#include "kezek/user.h"

namespace kezek {

// One array per enumeration, in its order; `kLast` is its last enumerator.
template <class E>
struct Names;

#define KEZEK_NAMES(TYPE, LAST, ...)                                                 \
  template <>                                                                        \
  struct Names<TYPE> {                                                               \
    static constexpr std::array kAll = std::to_array<std::string_view>(__VA_ARGS__); \
    static_assert(kAll.size() == static_cast<std::size_t>(TYPE::LAST) + 1);          \
  }

KEZEK_NAMES(JobState, kCancelled,
            {"queued", "starting", "running", "succeeded", "failed", "timed_out", "cancelled"});
KEZEK_NAMES(JobKind, kInteractive, {"batch", "training", "inference", "interactive"});
KEZEK_NAMES(DependencyKind, kAfter, {"afterok", "afterany", "afternotok", "after"});
KEZEK_NAMES(Domain, kBlock, {"any", "leaf", "block"});
KEZEK_NAMES(Spread, kBlock, {"none", "node", "leaf", "block"});
KEZEK_NAMES(Hold, kCluster, {"none", "user", "admin", "cluster"});
KEZEK_NAMES(AttemptState, kEnded, {"starting", "running", "ended"});
KEZEK_NAMES(AttemptOutcome, kRequeued,
            {"none", "succeeded", "failed", "timed_out", "cancelled", "preempted", "node_failed",
             "launch_failed", "requeued"});
KEZEK_NAMES(Ending, kRequeue,
            {"none", "cancel", "preempt", "time_limit", "launch_timeout", "requeue"});
KEZEK_NAMES(NodeHealth, kUnknown, {"up", "draining", "down", "unknown"});
KEZEK_NAMES(Subject, kCluster, {"job", "account", "user", "token", "node", "cluster"});
KEZEK_NAMES(Book, kBudget, {"usage", "charge", "budget"});
KEZEK_NAMES(EntryKind, kForeign,
            {"piece", "redate", "correction", "settlement", "hold", "release", "refund", "grant",
             "carry_over", "expiry", "adjustment", "foreign"});
KEZEK_NAMES(Pot, kExpired, {"", "grants", "carried", "left", "held", "spent", "expired"});
KEZEK_NAMES(AtExhaustion, kScavenge, {"stop", "scavenge"});
KEZEK_NAMES(CorrectionState, kDeclined, {"proposed", "booked", "declined"});
KEZEK_NAMES(EntitledBy, kScaled,
            {"weight_share", "guarantee", "demand", "borrow_max", "running_limit", "scaled"});
KEZEK_NAMES(ProjectRule, kShortest, {"fair", "fifo", "shortest"});
KEZEK_NAMES(Role, kMetricsReader,
            {"researcher", "project_lead", "institution_admin", "cluster_admin", "auditor",
             "metrics_reader"});
KEZEK_NAMES(Scope, kMetrics, {"read", "submit", "manage", "admin", "metrics"});

#undef KEZEK_NAMES

template <class E>
constexpr std::string_view NameOf(E value) {
  const auto index = static_cast<std::size_t>(value);
  KEZEK_CHECK(index < Names<E>::kAll.size(), "enumerator outside of its enumeration");
  return Names<E>::kAll[index];
}

// None: no enumerator has this name.
template <class E>
constexpr std::optional<E> FromName(std::string_view name) {
  for (std::size_t i = 0; i < Names<E>::kAll.size(); ++i) {
    if (Names<E>::kAll[i] == name) return static_cast<E>(i);
  }
  return std::nullopt;
}

}  // namespace kezek
