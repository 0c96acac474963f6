// Reasons in words: the stable wire name of every code, and the one function that makes a sentence.
//
// Fields are text. A field whose name ends in `_ms` holds UTC milliseconds since 1970 and is shown
// as "2026-11-21 14:20 UTC"; figures of GPUs are in GPUs (GpuText makes them), all else is shown as
// it is. A template names fields in braces, with a noun behind a colon where they are numbers of
// something: `{nodes:node}` is "1 node" or "4 nodes", and `{limit:length}`, of milliseconds, "1 h
// 30 min". A part in square brackets is left out when a field in it is missing or empty; outside
// brackets a missing field is shown as "?". Pure functions; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "kezek/reason.h"
#include "kezek/resources.h"
#include "kezek/time.h"

namespace kezek {

struct ReasonText {
  ReasonCode code;
  std::string_view name;      // on the wire, in the store, in JSON: never changed
  std::string_view sentence;  // template
};

namespace reason_text {

using enum ReasonCode;

// In the order of the enumeration, which is checked below.
inline constexpr std::array kTable = std::to_array<ReasonText>({
    {kNone, "NONE", ""},
    {kNotLookedAt, "NOT_LOOKED_AT",
     "The queue is long: this job is further back than each round looks[ (place {place})]."},
    {kWaitsForGpus, "WAITS_FOR_GPUS",
     "Waits for [{nodes:node} with {gpus_per_node} free {gpu_type} each|free resources]"
     "[; {free:GPU} free now][ for class {lane}][; the nodes of {dedicated} are not free, either]"
     "[; of its project's guarantee {guarantee_now:GPU} can be kept now]"
     "[; wider than the {wider_than_share:GPU} that its project is guaranteed or entitled to]."},
    {kWaitsForDomain, "WAITS_FOR_DOMAIN",
     "There is room, but not under one {within}[: {nodes:node} must be free together]."},
    {kWaitsForTopology, "WAITS_FOR_TOPOLOGY",
     "Prefers one leaf switch and waits for it[ until {until_ms}]."},
    {kGuaranteeProtected, "GUARANTEE_PROTECTED",
     "There is room, but it would take GPUs that [{account}|another account] keeps for itself."},
    {kGuaranteeFragmented, "GUARANTEE_FRAGMENTED",
     "Inside its guarantee, but neither free GPUs nor reclaim free nodes of its shape."},
    {kWiderThanGuarantee, "WIDER_THAN_GUARANTEE",
     "Wider than the guarantee and the weight share of its account[ {account}]."},
    {kWiderThanUnguaranteed, "WIDER_THAN_UNGUARANTEED",
     "Wider than all GPUs that no guarantee in demand covers[ ({available})]: it starts only when"
     " others do not need theirs[; {nodes:node} would be sure of a turn]."},
    {kReservationAhead, "RESERVATION_AHEAD",
     "Starting now would delay a job with a reservation[ at {at_ms}]."},
    {kReservedAt, "RESERVED_AT",
     "Has a reservation[ from {at_ms}][ instead of {was_ms}][ on {nodes}][, moved later: {why}]."},
    {kReservedByAdmin, "RESERVED_BY_ADMIN",
     "The nodes that would do are reserved[ from {at_ms}][ for {reservation}][ ({text})], and it"
     " would not end before."},
    {kWaitsForReservation, "WAITS_FOR_RESERVATION",
     "Waits for reservation {reservation}[, from {at_ms} on][: {nodes:node} of it must be free]."},
    {kReclaimUnderWay, "RECLAIM_UNDER_WAY",
     "GPUs are being taken back for it[: {gpus} still to come][, by {at_ms}][, on {nodes}]."},
    {kBeginTime, "BEGIN_TIME", "Asked not to start before {at_ms}."},
    {kDependency, "DEPENDENCY", "Waits for job {on}[ ({kind})][ until {until_ms}]."},
    {kArrayLimit, "ARRAY_LIMIT", "Its array runs as many elements as it may[: {limit}]."},
    {kHeldByUser, "HELD_BY_USER", "Held by its user[: {text}]."},
    {kHeldByAdmin, "HELD_BY_ADMIN", "Held by an administrator[: {text}]."},
    {kHeldByCluster, "HELD_BY_CLUSTER",
     "Held: the cluster refuses it[: {text}]. Mend it, then release the job."},
    {kLimitAccountGpus, "LIMIT_ACCOUNT_GPUS",
     "Account {account} runs as many GPUs as it may[: {running} of {limit}][; it asks for {asked}]"
     "[; {fits:GPU} would fit now]."},
    {kLimitAccountJobs, "LIMIT_ACCOUNT_JOBS",
     "Account {account} has as many jobs as it may[: {running} of {limit}]."},
    {kLimitUserGpus, "LIMIT_USER_GPUS",
     "Its user runs as many GPUs as one may[ in {account}][ in class {class}][: {running} of "
     "{limit}]"
     "[; it asks for {asked}][; {fits:GPU} would fit now]."},
    {kLimitUserJobs, "LIMIT_USER_JOBS",
     "Its user has as many jobs as one may[ in {account}][ in class {class}]"
     "[: {running} of {limit}][: {queued} of {limit} queued]."},
    {kLimitBorrow, "LIMIT_BORROW",
     "Account {account} borrows as many GPUs as it may[: {running} of {limit}, its guarantee and "
     "what"
     " it may borrow][; it asks for {asked}][; {fits:GPU} would fit now]."},
    {kBudgetExhausted, "BUDGET_EXHAUSTED",
     "Budget [{budget} ]of {account} does not hold it[: {left} GPU-hours left, {needed} needed]"
     "[; with a limit of {fits:length} it would]."},
    {kBudgetPeriodEnds, "BUDGET_PERIOD_ENDS",
     "Budget {budget} of {account} ends {end_ms}, no later one is set, and it may run no more than"
     " [{beyond:length}|a day] beyond[; with a limit of {fits:length} it would fit]."},
    {kClassNotPreemptible, "CLASS_NOT_PREEMPTIBLE",
     "Its class may not be preempted, so it starts only inside the guarantee[ of {account}]"
     "[, of which {guarantee_now:GPU} can be kept now][; it asks for {asked}]"
     "[; {fits:GPU} would fit now]."},
    {kClusterAway, "CLUSTER_AWAY", "The cluster does not answer[ since {since_ms}]."},
    {kClusterUnread, "CLUSTER_UNREAD",
     "Kezek is reading the cluster's state; it decides in a few seconds."},
    {kLaunchBackoff, "LAUNCH_BACKOFF", "A launch failed; tried again[ after {until_ms}]."},
    {kSetAside, "SET_ASIDE",
     "Set aside: a check of the plan found a fault, and an administrator has been told."},
    {kSchedulingStopped, "SCHEDULING_STOPPED",
     "Nothing starts until an administrator has decided[: {text}]."},
    {kNeverFitsMachine, "NEVER_FITS_MACHINE",
     "No set of [{pool} ]nodes of [class {lane}|this machine] has this shape"
     "[, nor has one of those dedicated to {dedicated}][; at most {largest} would do]."},
    {kNeverFitsLimit, "NEVER_FITS_LIMIT",
     "{asked} is above the limit[ of {account}][ of class {class}][: {limit}]."},
    {kNoSuchGpuType, "NO_SUCH_GPU_TYPE",
     "This cluster has no such GPU type[ ({asked})][. Types here: {types}]."},
    {kClassNotAllowed, "CLASS_NOT_ALLOWED",
     "Class {class} is not allowed in [{account}|its account][; allowed: {allowed}]."},
    {kClassificationNotAllowed, "CLASSIFICATION_NOT_ALLOWED",
     "Data classified {asked} is not allowed in [{account}|its account][; highest: {highest}]."},
    {kProjectClosed, "PROJECT_CLOSED", "Its project[ {account}] is closed[, as all of {above}]."},
    {kNotAMember, "NOT_A_MEMBER", "Its user[ {user}] is not a member of the project[ {account}]."},
    {kTimeLimitTooLong, "TIME_LIMIT_TOO_LONG",
     "The time limit[ of {asked:length}] is longer than allowed[: {limit:length}][ ({whose})]."},
    {kDependencyNeverMet, "DEPENDENCY_NEVER_MET",
     "What it waits for can no longer happen: job {on}[ ({kind})]."},
    {kDeadlineUnreachable, "DEADLINE_UNREACHABLE",
     "It could not end by its deadline[, {deadline_ms}][: by {earliest_ms} at the earliest]."},
    {kNoUnixAccount, "NO_UNIX_ACCOUNT",
     "Its user[ {user}] has no Unix account on the cluster; an administrator can set one."},
    {kNoSuchReservation, "NO_SUCH_RESERVATION",
     "There is no reservation {reservation}, or it is over."},
    {kReservationNotAllowed, "RESERVATION_NOT_ALLOWED",
     "Reservation {reservation} is not for this project or user."},
    {kReservationTooShort, "RESERVATION_TOO_SHORT",
     "It would not end inside reservation {reservation}[; with a time limit of {fits:length} it"
     " would]."},
    {kSubmitted, "SUBMITTED", "Submitted."},
    {kPlanned, "PLANNED",
     "Planned[ on {nodes}][, as promised for {promised_ms} at the latest][, of class {lane}][, "
     "dedicated to {dedicated}][, as a scavenger: budget "
     "{budget} does not hold it]."},
    {kReservationEnded, "RESERVATION_ENDED", "Its reservation[ from {at_ms}] is no more[: {why}]."},
    {kStarted, "STARTED", "Started[ on {nodes}]."},
    {kFinished, "FINISHED", "Ended[ with exit code {exit_code}][ by signal {signal}]."},
    {kTimedOut, "TIMED_OUT", "Reached its time limit[ of {limit}]."},
    {kCancelledByUser, "CANCELLED_BY_USER", "Cancelled[ by {by}]."},
    {kCancelledByAdmin, "CANCELLED_BY_ADMIN", "Cancelled by an administrator[: {text}]."},
    {kRequeuedByUser, "REQUEUED_BY_USER",
     "Put back into the queue by [{by}|its owner][: {text}][; it gets the signal {signal}]"
     "[, and has time until {until_ms}]."},
    {kRequeuedByAdmin, "REQUEUED_BY_ADMIN",
     "Put back into the queue by an administrator[: {text}][; it gets the signal {signal}]"
     "[, and has time until {until_ms}]."},
    {kRequeuedOnFailure, "REQUEUED_ON_FAILURE",
     "Failed[ with exit code {exit_code}][ by signal {signal}] and is tried again"
     "[: run {run} of {max}]."},
    {kNodeFailed, "NODE_FAILED", "A node failed[: {nodes}]."},
    {kLaunchFailed, "LAUNCH_FAILED", "The cluster did not start it[: {text}]."},
    {kLaunchTimedOut, "LAUNCH_TIMED_OUT", "The cluster did not start it in time[: {text}]."},
    {kPreempted, "PREEMPTED",
     "Preempted[ for {by}][: it gets the signal {signal}][, and has time until {until_ms}]."},
    {kPreemptedEnded, "PREEMPTED_ENDED",
     "Preempted[ for {by}], and not to be put back into the queue."},
    {kPreemptionLifted, "PREEMPTION_LIFTED",
     "Goes on: the job that it was to make room for no longer waits."},
    {kLostByCluster, "LOST_BY_CLUSTER",
     "The cluster no longer knows it[; last seen {last_seen_ms}]."},
    {kReleased, "RELEASED", "Released[: {text}]."},
    {kUpdated, "UPDATED", "Changed: {field}[ from {from}][ to {to}][: {text}]."},
    {kPlacementDiffers, "PLACEMENT_DIFFERS",
     "The cluster granted {granted} instead of what was planned, {planned}."},
    {kSignalled, "SIGNALLED", "Sent the signal {signal}[ by {by}][: {text}]."},
    {kSignalUnsure, "SIGNAL_UNSURE",
     "The cluster did not confirm the signal {signal}: it may not have reached the job."},
    {kCheckpoint, "CHECKPOINT", "Reported a checkpoint[: {path}]."},
    {kRefunded, "REFUNDED",
     "{amount} GPU-hours given back[ to budget {budget}][, for the time since {since_ms}]."},
    {kBudgetWarning, "BUDGET_WARNING",
     "Budget {budget} of {account} is spent to {percent} %[, {held} GPU-hours are held][: {left}"
     " GPU-hours left][, and job {waits} waits for more]."},
    {kBudgetEnded, "BUDGET_ENDED",
     "Budget {budget} of {account} has ended[: {expired} GPU-hours expire][, {carried} are carried"
     " over]."},
    {kCorrection, "CORRECTION",
     "Correction {id} of {amount} GPU-hours in {account} is {state}[: {text}]."},
    {kGuaranteesScaled, "GUARANTEES_SCALED",
     "Guarantees in demand of {gpu_type} exceed the GPUs in service: those of {accounts:account}"
     " count in proportion now, {kept} of {due:GPU}."},
    {kGuaranteesWhole, "GUARANTEES_WHOLE", "Guarantees of {gpu_type} count in full again."},
    {kUntilLimits, "UNTIL_LIMITS",
     "At full time limits of what runs[ and of {ahead:job} ahead of it]."},
    {kNotBefore, "NOT_BEFORE",
     "More is ahead of it than was followed[ ({ahead:job})]: it starts no earlier."},
    {kFewerNodes, "FEWER_NODES", "With [{nodes:node}|fewer nodes]."},
    {kFewerGpus, "FEWER_GPUS", "With [{gpus:GPU}|fewer GPUs]."},
    {kShorterLimit, "SHORTER_LIMIT", "With a [time limit of {limit:length}|shorter time limit]."},
    {kNoWithin, "NO_WITHIN", "Without the demand for one [{within}|domain]."},
    {kNoPrefer, "NO_PREFER", "Without the preference for one [{prefer}|domain]."},
    {kOtherClass, "OTHER_CLASS", "In [class {class}|another class]."},
    {kWarning, "WARNING", "[{field}: ]{text}."},
});

constexpr bool TableIsInOrder() {
  for (std::size_t i = 0; i < kTable.size(); ++i) {
    if (static_cast<std::size_t>(kTable[i].code) != i) return false;
  }
  return true;
}
static_assert(TableIsInOrder(), "one row for each code, in the order of the enumeration");
static_assert(kTable.size() == static_cast<std::size_t>(kWarning) + 1, "a row for every code");

inline std::string Padded(std::int64_t value, std::size_t width) {
  std::string text = std::to_string(value);
  return text.size() < width ? std::string(width - text.size(), '0') + text : text;
}

// Civil date of days since 1970, after Howard Hinnant's "chrono-compatible low-level date
// algorithms" (years of 400-year eras that begin in March).
inline std::string UtcText(TimeMs time_ms) {
  const std::int64_t minutes = time_ms / kMinuteMs;
  const std::int64_t days = minutes / (24 * 60);
  const std::int64_t shifted = days + 719'468;
  const std::int64_t era = shifted / 146'097;
  const std::int64_t day_of_era = shifted - era * 146'097;
  const std::int64_t year_of_era =
      (day_of_era - day_of_era / 1'460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const std::int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::int64_t month_from_march = (5 * day_of_year + 2) / 153;
  const std::int64_t day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
  const std::int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
  const std::int64_t year = year_of_era + era * 400 + (month <= 2 ? 1 : 0);
  return Padded(year, 4) + "-" + Padded(month, 2) + "-" + Padded(day, 2) + " " +
         Padded(minutes / 60 % 24, 2) + ":" + Padded(minutes % 60, 2) + " UTC";
}

// The field as people read it; empty if it is missing.
inline std::string Shown(const Reason& reason, std::string_view field) {
  const auto found = reason.fields.find(std::string(field));
  if (found == reason.fields.end() || found->second.empty()) return {};
  const std::string& text = found->second;
  const bool is_time = field.size() > 3 && field.substr(field.size() - 3) == "_ms";
  if (!is_time || text.size() > 15) return text;
  TimeMs value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return text;
    value = value * 10 + (c - '0');
  }
  return UtcText(value);
}

// "1 d 2 h 5 min"; parts that are 0 are left out.
inline std::string LengthText(DurationMs length_ms) {
  std::string text;
  const auto add = [&text](std::int64_t number, std::string_view unit) {
    if (number == 0) return;
    text += (text.empty() ? "" : " ") + std::to_string(number) + " " + std::string(unit);
  };
  add(length_ms / kDayMs, "d");
  add(length_ms % kDayMs / kHourMs, "h");
  add(length_ms % kHourMs / kMinuteMs, "min");
  add(length_ms % kMinuteMs / kSecondMs, "s");
  return text.empty() ? "0 s" : text;
}

// The field of `{field}`, `{field:noun}` or `{field:length}`; empty if it is missing.
inline std::string Shown(const Reason& reason, std::string_view field, std::string_view noun) {
  std::string text = Shown(reason, field);
  if (text.empty() || noun.empty()) return text;
  if (noun != "length") return text + " " + std::string(noun) + (text == "1" ? "" : "s");
  if (text.size() > 15 || text.find_first_not_of("0123456789") != std::string::npos) return text;
  DurationMs length_ms = 0;
  for (const char c : text) length_ms = length_ms * 10 + (c - '0');
  return LengthText(length_ms);
}

// `text` with its fields put in; second is false if one of them was missing.
inline std::pair<std::string, bool> Filled(const Reason& reason, std::string_view text) {
  std::string result;
  bool complete = true;
  while (!text.empty()) {
    const std::size_t open = text.find('{');
    result += text.substr(0, open);
    if (open == std::string_view::npos) break;
    const std::size_t close = text.find('}', open);
    const std::string_view name = text.substr(open + 1, close - open - 1);
    const std::size_t colon = name.find(':');
    const std::string_view noun =
        colon == std::string_view::npos ? std::string_view() : name.substr(colon + 1);
    const std::string shown = Shown(reason, name.substr(0, colon), noun);
    complete = complete && !shown.empty();
    result += shown.empty() ? "?" : shown;
    text = close == std::string_view::npos ? std::string_view() : text.substr(close + 1);
  }
  return {result, complete};
}

// A part in brackets: "this" or "this|otherwise".
inline std::string Optional(const Reason& reason, std::string_view part) {
  const std::size_t bar = part.find('|');
  auto [text, complete] = Filled(reason, part.substr(0, bar));
  if (complete) return std::move(text);
  return bar == std::string_view::npos ? std::string() : std::string(part.substr(bar + 1));
}

}  // namespace reason_text

inline std::string_view WireName(ReasonCode code) {
  return reason_text::kTable[static_cast<std::size_t>(code)].name;
}

// None: no code has this name.
inline std::optional<ReasonCode> ReasonFromWire(std::string_view name) {
  for (const ReasonText& row : reason_text::kTable) {
    if (row.name == name) return row.code;
  }
  return std::nullopt;
}

// One English sentence with its full stop; empty for kNone.
inline std::string Sentence(const Reason& reason) {
  std::string_view rest = reason_text::kTable[static_cast<std::size_t>(reason.code)].sentence;
  std::string result;
  while (!rest.empty()) {
    const std::size_t open = rest.find('[');
    result += reason_text::Filled(reason, rest.substr(0, open)).first;
    if (open == std::string_view::npos) break;
    const std::size_t close = rest.find(']', open);
    result += reason_text::Optional(reason, rest.substr(open + 1, close - open - 1));
    rest = rest.substr(close + 1);
  }
  return result;
}

// "8", "0.5", "12.125": a figure of GPUs for a reason's field.
inline std::string GpuText(MilliGpus milli) {
  const MilliGpus size = milli < 0 ? -milli : milli;
  std::string text = (milli < 0 ? "-" : "") + std::to_string(size / 1000);
  if (size % 1000 == 0) return text;
  std::string rest = reason_text::Padded(size % 1000, 3);
  while (rest.back() == '0') rest.pop_back();
  return text + "." + rest;
}

}  // namespace kezek
