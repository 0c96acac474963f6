#include "rpc/reconcile.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "kezek/host_list.h"
#include "kezek/names.h"
#include "kezek/node_parts.h"
#include "kezek/reason_text.h"
#include "kezek/report_arithmetic.h"
#include "rpc/books_plan.h"
#include "rpc/streams.h"

namespace kezek::rpc {
namespace {

constexpr std::int32_t kPiece = 1000;     // attempts read at a time
constexpr int kReconcileRowsMost = 5000;  // in an answer
constexpr DurationMs kFirstStretch = kHourMs;
constexpr DurationMs kShortestStretch = kMinuteMs;
constexpr std::size_t kRunsMany = 4000;  // in one stretch: the next is shorter
constexpr std::size_t kRunsFew = 1000;

// Slurm tells whole seconds.
TimeMs Second(TimeMs time_ms) { return time_ms / kSecondMs * kSecondMs; }

bool HasRun(const BookedRun& run) { return run.start_ms > 0; }
bool HasRun(const Attempt& attempt) { return attempt.start_ms > 0; }

std::int64_t GpusOf(const Placement& placement) {
  std::int64_t gpus = 0;
  for (const NodeGrant& grant : placement) gpus += grant.gpus;
  return gpus;
}

MilliGpuMs TimeHere(const Attempt& attempt) {
  if (!HasRun(attempt)) return 0;
  return 1000 * GpusOf(attempt.placement) * (Second(attempt.end_ms) - Second(attempt.start_ms));
}

MilliGpuMs TimeThere(const BookedRun& run) {
  if (!HasRun(run) || run.end_ms == 0) return 0;
  return 1000 * run.gpus * (run.end_ms - run.start_ms);
}

// What the time comes to at the attempt's own rate, rounded down.
MilliGpuMs PriceOf(const Attempt& attempt, DurationMs time_ms) {
  const WideInt product = static_cast<WideInt>(attempt.counted_milli) * time_ms *
                          attempt.rate_milli * attempt.factor_milli;
  return static_cast<MilliGpuMs>(product / kMillion);
}

std::string NodesOf(const Placement& placement) {
  std::vector<std::string> names;
  for (const NodeGrant& grant : placement) names.emplace_back(HostOf(grant.node));
  std::sort(names.begin(), names.end());
  return CompressHostList(std::move(names));
}

// To the second; "never" for 0.
std::string Told(TimeMs time_ms) {
  if (time_ms == 0) return "never";
  std::string text = reason_text::UtcText(time_ms);
  const std::string seconds = std::to_string(time_ms / kSecondMs % 60);
  return text.insert(text.rfind(' '), (seconds.size() == 1 ? ":0" : ":") + seconds);
}

// Rows about one pair.
class Rows {
 public:
  Rows(const AttemptRef& attempt, std::int64_t cluster_job_id, MilliGpuMs difference)
      : attempt_(attempt), cluster_job_id_(cluster_job_id), difference_(difference) {}

  void Add(const std::string& code, const std::string& what, const std::string& here,
           const std::string& slurm) {
    AddDifferent(code, what, here, slurm, difference_);
  }
  void AddDifferent(const std::string& code, const std::string& what, const std::string& here,
                    const std::string& slurm, MilliGpuMs difference) {
    v1::ReconcileRow row;
    row.set_job(ToText(attempt_.job));
    row.set_attempt(attempt_.number);
    row.set_slurm_job_id(cluster_job_id_);
    row.mutable_reason()->set_code(code);
    row.mutable_reason()->set_sentence(what + ": " + here + " here, " + slurm + " by Slurm.");
    (*row.mutable_reason()->mutable_fields())["here"] = here;
    (*row.mutable_reason()->mutable_fields())["slurm"] = slurm;
    row.set_difference_milli_gpu_ms(difference);
    rows_.push_back(std::move(row));
  }
  void AddTimes(const std::string& code, const std::string& what, TimeMs here, TimeMs slurm) {
    Add(code, what, Told(here), Told(slurm));
    auto& fields = *rows_.back().mutable_reason()->mutable_fields();
    fields["here"] = std::to_string(here);
    fields["slurm"] = std::to_string(slurm);
  }
  // A whole sentence instead of both sides.
  void Say(const std::string& code, const std::string& sentence) {
    Add(code, "", "", "");
    rows_.back().mutable_reason()->set_sentence(sentence);
    rows_.back().mutable_reason()->clear_fields();
  }
  bool empty() const { return rows_.empty(); }
  std::vector<v1::ReconcileRow> Take() { return std::move(rows_); }

 private:
  AttemptRef attempt_;
  std::int64_t cluster_job_id_;
  MilliGpuMs difference_;
  std::vector<v1::ReconcileRow> rows_;
};

void CompareCharge(const ChargedAttempt& here, const BookedRun& run, Rows* rows) {
  const Attempt& attempt = here.attempt;
  const bool ran = HasRun(attempt) && HasRun(run);
  const MilliGpuMs due = ran ? PriceOf(attempt, run.end_ms - run.start_ms) : 0;
  if (here.settlements > 1) {
    rows->AddDifferent("CHARGE_DIFFERS", "Settled", std::to_string(here.settlements) + " times",
                       "once", here.settled - due);
  } else if (here.settled != due) {
    rows->AddDifferent("CHARGE_DIFFERS", "Charge in milli-GPU-ms", std::to_string(here.settled),
                       std::to_string(due), here.settled - due);
  }
}

}  // namespace

std::vector<v1::ReconcileRow> CompareRun(const ChargedAttempt& here, const BookedRun& run,
                                         const ClusterBooking& booking) {
  const Attempt& attempt = here.attempt;
  Rows rows(attempt.ref, run.cluster_job_id, TimeHere(attempt) - TimeThere(run));
  if (!HasRun(attempt) && !HasRun(run)) return {};
  if (run.end_ms == 0) {
    rows.Say("RUNS_IN_SLURM", "Has ended here, and runs on in Slurm's accounting.");
    return rows.Take();
  }
  if (Second(attempt.start_ms) != run.start_ms) {
    rows.AddTimes("START_DIFFERS", "Start", attempt.start_ms, run.start_ms);
  }
  if (Second(attempt.end_ms) != run.end_ms && HasRun(attempt)) {
    rows.AddTimes("END_DIFFERS", "End", attempt.end_ms, run.end_ms);
  }
  if (HasRun(run)) {
    const std::string placed = NodesOf(attempt.placement);
    const std::string granted = NodesOf(run.granted);
    if (placed != granted) rows.Add("NODES_DIFFER", "Nodes", placed, granted);
    const std::int64_t gpus = GpusOf(attempt.placement);
    if (gpus != run.gpus) {
      rows.Add("GPUS_DIFFER", "GPUs", std::to_string(gpus), std::to_string(run.gpus));
    }
  }
  if (!booking.account.empty() && booking.account != run.account) {
    rows.Add("ACCOUNT_DIFFERS", "Slurm account", booking.account, run.account);
  }
  if (!booking.qos.empty() && booking.qos != run.qos) {
    rows.Add("QOS_DIFFERS", "QOS", booking.qos, run.qos);
  }
  if (!here.unix_account.empty() && here.unix_account != run.unix_account) {
    rows.Add("USER_DIFFERS", "Unix account", here.unix_account, run.unix_account);
  }
  CompareCharge(here, run, &rows);
  return rows.Take();
}

namespace {

class Reconciler {
 public:
  Reconciler(const ReconcileQuestion& question, ClusterBooks& books, AttemptReading& attempts,
             v1::ReportReconcileResponse* response)
      : question_(question), books_(books), attempts_(attempts), response_(response) {}

  Result<void> Run(const std::atomic<bool>& stopping) {
    DurationMs stretch = kFirstStretch;
    for (TimeMs at = question_.since_ms; at < question_.until_ms;) {
      if (stopping) return Stopping();
      const TimeMs end = std::min(at + stretch, question_.until_ms);
      const auto runs = books_.EndedRuns(at, end);
      if (!runs) return BooksError(runs.error());
      if (auto done = TakeStretch(*runs, at, end, stopping); !done) return done;
      at = end;
      if (runs->size() > kRunsMany) stretch = std::max(kShortestStretch, stretch / 2);
      if (runs->size() < kRunsFew) stretch = std::min(kDayMs, stretch * 2);
    }
    for (auto& [account, total] : totals_) {
      total.set_slurm_account(account);
      *response_->add_totals() = total;
    }
    return {};
  }

 private:
  bool IsOthers(const BookedRun& run) const {
    return !run.tag.empty() && !run.tag.starts_with(question_.tag_prefix);
  }

  // As one of this installation's attempts.
  bool IsNamed(const BookedRun& run) const { return run.attempt.number != 0 && !IsOthers(run); }

  // The runs of this installation's attempts, each by its attempt whatever its owner has called it.
  // What is not Kezek's and has had GPUs is counted apart, as is what is charged as such though it
  // bears an attempt's name.
  Result<std::vector<BookedRun>> TakeOurs(const std::vector<BookedRun>& runs, TimeMs begin,
                                          TimeMs end) {
    std::vector<std::int64_t> ids;
    for (const BookedRun& run : runs) {
      if (!IsNamed(run) && HasRun(run)) ids.push_back(run.cluster_job_id);
    }
    Result<std::vector<ChargedAttempt>> known = std::vector<ChargedAttempt>();
    if (!ids.empty()) known = attempts_.RunAs(ids);
    if (!known) return known.error();
    const auto charged = attempts_.Foreign(begin, end);
    if (!charged) return charged.error();
    std::vector<BookedRun> ours;
    for (const BookedRun& run : runs) {
      const auto whose = std::find_if(known->begin(), known->end(),
                                      [&run](const auto& one) { return IsRunOf(one, run); });
      if (charged->runs.contains({run.cluster_job_id, run.start_ms})) {
        CountForeign(run, *charged);
      } else if (IsNamed(run)) {
        ours.push_back(run);
      } else if (whose != known->end()) {
        ours.push_back(run);
        ours.back().attempt = whose->attempt.ref;
      } else if (HasRun(run) && run.gpus > 0) {
        CountForeign(run, *charged);
      }
    }
    return ours;
  }

  void CountForeign(const BookedRun& run, const ForeignCharged& charged) {
    response_->set_foreign_jobs(response_->foreign_jobs() + 1);
    response_->set_foreign_milli_gpu_ms(response_->foreign_milli_gpu_ms() + TimeThere(run));
    if (charged.runs.contains({run.cluster_job_id, run.start_ms})) {
      response_->set_foreign_charged(response_->foreign_charged() + 1);
      return;
    }
    const ForeignRead& read = charged.read;
    const bool due = read.since_ms != 0 && run.end_ms >= read.since_ms &&
                     run.end_ms < read.until_ms && run.end_ms > run.start_ms;
    if (!due) return;
    Rows rows({}, run.cluster_job_id, -TimeThere(run));
    rows.Say("FOREIGN_NOT_CHARGED",
             "Has run in Slurm beside Kezek, and nobody is charged for it: on no node with GPUs "
             "that Kezek knows, or slurmdbd learned of its end too late.");
    std::vector<v1::ReconcileRow> some = rows.Take();
    some.front().clear_job();
    Add(std::move(some));
  }

  ClusterBooking BookingOf(const ChargedAttempt& here) const {
    return question_.booking_of(here.project, here.attempt.settings_version);
  }

  // Attempts that ended before `end`, the next ones in order; none: there are no more.
  Result<std::optional<ChargedAttempt>> NextBefore(TimeMs end) {
    if (next_ == some_.size() && !all_read_) {
      auto some = attempts_.Next(kPiece);
      if (!some) return some.error();
      some_ = std::move(*some);
      next_ = 0;
      all_read_ = some_.empty();
    }
    if (next_ == some_.size() || some_[next_].attempt.end_ms >= end) {
      return std::optional<ChargedAttempt>();
    }
    return std::optional<ChargedAttempt>(std::move(some_[next_++]));
  }

  Result<void> TakeStretch(const std::vector<BookedRun>& runs, TimeMs begin, TimeMs end,
                           const std::atomic<bool>& stopping) {
    const auto ours = TakeOurs(runs, begin, end);
    if (!ours) return ours.error();
    std::multimap<AttemptRef, const BookedRun*> by_attempt;
    for (const BookedRun& run : *ours) {
      by_attempt.emplace(run.attempt, &run);
      if (!HasRun(run)) continue;
      v1::ReconcileTotal& total = totals_[run.account];
      total.set_slurm_jobs(total.slurm_jobs() + 1);
      total.set_slurm_milli_gpu_ms(total.slurm_milli_gpu_ms() + TimeThere(run));
    }
    while (true) {
      if (stopping) return Stopping();
      const auto here = NextBefore(end);
      if (!here) return here.error();
      if (!*here) break;
      if (auto done = TakeAttempt(**here, &by_attempt); !done) return done;
    }
    for (const auto& [attempt, run] : by_attempt) {
      if (stopping) return Stopping();
      if (!HasRun(*run)) continue;  // one of several, cancelled while it was held
      if (auto done = TakeRun(*run); !done) return done;
    }
    return {};
  }

  // Its runs are taken out of those left over.
  Result<void> TakeAttempt(const ChargedAttempt& here,
                           std::multimap<AttemptRef, const BookedRun*>* by_attempt) {
    const Attempt& attempt = here.attempt;
    const ClusterBooking booking = BookingOf(here);
    if (HasRun(attempt)) {
      v1::ReconcileTotal& total = totals_[booking.account];
      total.set_attempts(total.attempts() + 1);
      total.set_here_milli_gpu_ms(total.here_milli_gpu_ms() + TimeHere(attempt));
    }
    response_->set_compared(response_->compared() + 1);
    const auto [first, last] = by_attempt->equal_range(attempt.ref);
    auto best = last;  // the one that began then, else another one under its id
    for (auto at = first; at != last; ++at) {
      if (at->second->cluster_job_id != attempt.cluster_job_id) continue;
      if (best == last || IsOwn(here, *at->second)) best = at;
    }
    if (best != last) {
      Add(CompareRun(here, *best->second, booking));
      by_attempt->erase(best);
      return {};
    }
    if (attempt.cluster_job_id == 0 || !HasRun(attempt)) return {};
    if (IsFull()) {
      response_->set_left_out(response_->left_out() + 1);
      return {};
    }
    return LookUp(here, booking);
  }

  // An attempt with no run that ended in the same stretch.
  Result<void> LookUp(const ChargedAttempt& here, const ClusterBooking& booking) {
    const auto runs = books_.RunsOf(here.attempt.cluster_job_id);
    if (!runs) return BooksError(runs.error());
    // Of a job that Slurm requeued there are several: the one that began then, else one that is
    // over.
    const BookedRun* best = nullptr;
    const auto fits = [&here](const BookedRun& run) {
      return std::pair(run.start_ms == Second(here.attempt.start_ms), run.end_ms != 0);
    };
    for (const BookedRun& run : *runs) {
      if (run.attempt != here.attempt.ref || IsOthers(run)) continue;
      if (best == nullptr || fits(*best) < fits(run)) best = &run;
    }
    if (best != nullptr) {
      Add(CompareRun(here, *best, booking));
      return {};
    }
    Rows rows(here.attempt.ref, here.attempt.cluster_job_id, TimeHere(here.attempt));
    rows.Say("UNKNOWN_TO_SLURM", "Has run here, and Slurm's accounting has no such job.");
    Add(rows.Take());
    return {};
  }

  static bool IsOwn(const ChargedAttempt& here, const BookedRun& run) {
    return run.start_ms == Second(here.attempt.start_ms);
  }

  // Whether the attempt has its own run in the books beside this one, which took some time.
  Result<bool> IsAnother(const ChargedAttempt& here, const BookedRun& run) {
    if (IsOwn(here, run) || run.end_ms == run.start_ms) return false;
    const auto runs = books_.RunsOf(run.cluster_job_id);
    if (!runs) return BooksError(runs.error());
    return std::any_of(runs->begin(), runs->end(), [&here](const BookedRun& other) {
      return other.attempt == here.attempt.ref && IsOwn(here, other);
    });
  }

  // A run with no attempt that ended in the same stretch. One that ended in the time asked for has
  // been looked up from its own side, or will be.
  Result<void> TakeRun(const BookedRun& run) {
    if (IsFull()) {
      response_->set_left_out(response_->left_out() + 1);
      return {};
    }
    const auto here = attempts_.Find(run.attempt);
    if (!here && here.error().code != Code::kNotFound) return here.error();
    Rows rows(run.attempt, run.cluster_job_id, -TimeThere(run));
    if (!here) {
      rows.Say("UNKNOWN_HERE", "Has run in Slurm, and no such attempt is recorded.");
    } else if (here->attempt.cluster_job_id != run.cluster_job_id) {
      rows.Say("UNKNOWN_HERE", "Has run in Slurm besides job " +
                                   std::to_string(here->attempt.cluster_job_id) +
                                   ", which is the attempt's own.");
    } else if (here->attempt.state != AttemptState::kEnded) {
      rows.Say("RUNS_HERE", "Has ended in Slurm's accounting, and runs on here.");
    } else {
      const TimeMs end = here->attempt.end_ms;
      const bool asked = end >= question_.since_ms && end < question_.until_ms;
      if (!asked || !HasRun(here->attempt)) {
        Add(CompareRun(*here, run, BookingOf(*here)));
        return {};
      }
      const auto again = IsAnother(*here, run);
      if (!again) return again.error();
      if (!*again) return {};
      rows.Say("RAN_AGAIN",
               "Slurm has run the job again under its id: nobody is charged for that.");
    }
    Add(rows.Take());
    return {};
  }

  bool IsFull() const { return response_->rows_size() >= kReconcileRowsMost; }

  void Add(std::vector<v1::ReconcileRow> rows) {
    for (v1::ReconcileRow& row : rows) {
      if (IsFull()) {
        response_->set_left_out(response_->left_out() + 1);
      } else {
        *response_->add_rows() = std::move(row);
      }
    }
  }

  const ReconcileQuestion& question_;
  ClusterBooks& books_;
  AttemptReading& attempts_;
  v1::ReportReconcileResponse* response_;
  std::map<std::string, v1::ReconcileTotal> totals_;  // by account
  std::vector<ChargedAttempt> some_;                  // read, from next_ on not taken
  std::size_t next_ = 0;
  bool all_read_ = false;
};

}  // namespace

Result<void> Reconcile(const ReconcileQuestion& question, ClusterBooks& books,
                       AttemptReading& attempts, const std::atomic<bool>& stopping,
                       v1::ReportReconcileResponse* response) {
  return Reconciler(question, books, attempts, response).Run(stopping);
}

}  // namespace kezek::rpc
