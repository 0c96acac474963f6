// Why a job waits, was refused, held or ended: a stable code with fields. Text is made from it in
// one place (Sentence, in reason_text.h) and never parsed.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace kezek {

// "Not now" reasons may pass by themselves; "never" reasons need somebody to change something.
enum class ReasonCode : std::uint8_t {
  kNone,
  // Waiting, not now.
  kNotLookedAt,       // further back than the tick looks; place
  kWaitsForGpus,      // no room now; nodes, gpus_per_node, gpu_type, free, guarantee_now if scaled
  kWaitsForDomain,    // room, but not under one leaf/block; within, nodes
  kWaitsForTopology,  // prefers a leaf and still waits for one; until_ms
  kGuaranteeProtected,   // room, but it would take what others keep for themselves (lend_max)
  kGuaranteeFragmented,  // inside its guarantee, and neither free GPUs nor reclaim frees its shape
  kWiderThanGuarantee,   // the gang is wider than its account's guarantee and weight share
  kWiderThanUnguaranteed,  // wider than all that no guarantee in demand covers; asked, available,
                           // nodes
  kReservationAhead,       // starting now would delay a reservation; job, at_ms
  // Has a reservation; at_ms, nodes. Of an event that it was moved: was_ms; cause, and in words
  // why.
  kReservedAt,
  // Others' window is ahead on the nodes that would do; reservation, at_ms, text: why, in the
  // admin's words.
  kReservedByAdmin,
  // Asked to run in an admin's reservation; reservation, at_ms: when it begins, or nodes: they are
  // in use.
  kWaitsForReservation,
  kReclaimUnderWay,  // victims are ending; gpus, at_ms; of an event besides nodes
  kBeginTime,        // asked not to start before; at_ms
  kDependency,       // waits for other jobs; on, kind, until_ms
  kArrayLimit,       // its array runs as many as it may; limit
  kHeldByUser,
  kHeldByAdmin,       // held with the admin's words; text
  kHeldByCluster,     // the cluster below refuses it for good; text
  kLimitAccountGpus,  // limit of an account; account, limit, running
  kLimitAccountJobs,
  kLimitUserGpus,
  kLimitUserJobs,
  kLimitBorrow,       // borrow_max reached; account, limit
  kBudgetExhausted,   // account, budget, left, needed; fits: the longest limit it holds, ms
  kBudgetPeriodEnds,  // too long for its period, no later one; account, budget, end_ms, fits
  // May not be preempted, so starts only inside the guarantee; account, guarantee_now if scaled.
  kClassNotPreemptible,
  kClusterAway,        // the cluster below does not answer; since_ms
  kClusterUnread,      // Kezek has begun, or the cluster answers again: not all is read yet
  kLaunchBackoff,      // a launch failed lately; until_ms
  kSetAside,           // verify dropped the decision; an admin was told
  kSchedulingStopped,  // until an admin decides; text
  // Refused or impossible until somebody changes something.
  // No set of configured nodes that it may use has this shape; field, largest; lane: the class that
  // it starts in alone, or pool ("shared") and dedicated, where nodes have owners.
  kNeverFitsMachine,
  kNeverFitsLimit,            // above a limit; account or class, limit, asked
  kNoSuchGpuType,             // types
  kClassNotAllowed,           // account, class, allowed
  kClassificationNotAllowed,  // account, asked, highest
  kProjectClosed,
  kNotAMember,
  kTimeLimitTooLong,     // limit, asked, whose
  kDependencyNeverMet,   // on, kind
  kDeadlineUnreachable,  // deadline_ms, earliest_ms
  kNoUnixAccount,        // user
  // Of the admin's reservation that it asks for; reservation, and fits: the longest limit, ms.
  kNoSuchReservation,
  kReservationNotAllowed,
  kReservationTooShort,
  // Changes of state.
  kSubmitted,
  // nodes; lane, dedicated: whose they are, if somebody's; budget: what makes it a scavenger;
  // promised_ms: when it was to start at the latest, by its reservation.
  kPlanned,
  kReservationEnded,  // though its job has not started; at_ms, cause, why in words
  kStarted,
  kFinished,  // exit_code, signal
  kTimedOut,
  kCancelledByUser,
  kCancelledByAdmin,
  kRequeuedByUser,   // by, if through Kezek, and text; of the request besides until_ms, signal
  kRequeuedByAdmin,  // text; until_ms, signal
  kRequeuedOnFailure,
  kNodeFailed,        // nodes
  kLaunchFailed,      // text
  kLaunchTimedOut,    // text: the cluster's own reason
  kPreempted,         // by: for whom; while it ends besides until_ms, signal
  kPreemptedEnded,    // preempted, and not to be requeued; by
  kPreemptionLifted,  // it goes on: nobody waits for its nodes any more
  kLostByCluster,     // the cluster no longer knows it; last_seen_ms
  kReleased,
  kUpdated,           // field, from, to
  kPlacementDiffers,  // what was granted is not what was planned; planned, granted
  kSignalled,         // on request; signal, by, text
  kSignalUnsure,      // the cluster did not confirm it; signal
  kCheckpoint,        // the job has one; path
  kRefunded,          // given back; amount, budget, since_ms: for the time from then on
  kBudgetWarning,     // account, budget, percent, left
  kBudgetEnded,       // the end of its period; account, budget, carried, expired
  kCorrection,        // of the ledger; id, state, account, amount, text
  // Guarantees in demand exceed what serves: gpu_type, accounts, due, kept (in GPUs).
  kGuaranteesScaled,
  kGuaranteesWhole,  // no longer; gpu_type
  // Estimates, and what they assume.
  kUntilLimits,  // that all runs to its limit: what runs, and what is ahead of it; ahead
  kNotBefore,    // a bound: not all that is ahead of it was followed; ahead
  // What a job's owner could change.
  kFewerNodes,    // nodes
  kFewerGpus,     // gpus: of one node
  kShorterLimit,  // limit
  kNoWithin,      // within
  kNoPrefer,      // prefer
  kOtherClass,    // class; scavenger: 1 if it is one
  kWarning,       // taken, but without effect; field, text
};

// A code and the fields its sentence needs; the code's wire name is WireName of reason_text.h.
struct Reason {
  ReasonCode code = ReasonCode::kNone;
  std::map<std::string, std::string> fields;
  bool operator==(const Reason&) const = default;
};

// Why nothing starts on a cluster that is silent since then; 0: it is still being read.
inline Reason ClusterReason(std::int64_t silent_since_ms) {
  if (silent_since_ms == 0) return {ReasonCode::kClusterUnread, {}};
  return {ReasonCode::kClusterAway, {{"since_ms", std::to_string(silent_since_ms)}}};
}

}  // namespace kezek
