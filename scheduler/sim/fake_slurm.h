// A fake Slurm: slurmctld, its nodes and slurmdbd, as far as the hand-off depends on them. Held
// jobs, releases, start latency, runs, ends with a time of clean-up, an accounting with a record
// for each run; driven by time and by a seed. Adapter and network are FakeCluster's.
//
// slurmctld forgets what has ended after a while, and everything when it begins without its state:
// then the accounting closes all its records, pending jobs are gone, and what ran is ended by its
// nodes when they have registered again. Ids come round, or begin at 1 again. slurmdbd hears of
// everything a little later, and when it was away after its return.
//
// It keeps its own books, by which the simulator judges: what ran when on which GPUs. A script
// says what its run is like: "ms=60000 exit=3"; of two jobs one ends soon after SIGTERM.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kezek/cluster.h"
#include "kezek/node.h"
#include "scheduler/sim/faults.h"
#include "scheduler/sim/random.h"

namespace kezek::sim {

// A job as the books have it.
struct FakeJob {
  std::int64_t serial = 0;   // ids are given more than once
  AttemptRef submitted_for;  // whatever it is called by now
  std::string tag;           // that it was submitted with
  ClusterJob job;            // as slurmctld shows it, or has last
  std::string nodes_text;
  bool spoilt = false;     // made otherwise than asked
  bool known = true;       // to slurmctld
  bool forgotten = false;  // by the accounting, too
  bool process = false;    // something of it is on its nodes
  bool never_starts = false;
  bool will_vanish = false;
  bool will_requeue = false;
  bool held_by_admin = false;
  bool cancelled = false;
  TimeMs taken_ms = 0;
  DurationMs run_ms = 0;
  std::int32_t exit_code = 0;
  TimeMs eligible_ms = 0;
  TimeMs event_ms = 0;       // when the next thing happens to it; 0: nothing by itself
  std::int32_t signals = 0;  // taken, or answered when it was over
  ClusterJobState after_completing = ClusterJobState::kCompleted;
  std::vector<std::pair<TimeMs, TimeMs>> runs;  // start and end of each, as slurmctld had them
  // What other hands did to it.
  bool cancelled_by_hand = false;
  bool released_by_hand = false;
  bool disguised = false;  // renamed, or another comment
  bool disowned = false;   // known to a database that was lost, alone
};

class FakeSlurm {
 public:
  FakeSlurm(std::vector<Node> nodes, std::uint64_t seed, TimeMs now);

  void SetFaults(const Faults& faults);
  // How far slurmctld's clock is ahead.
  void SetSkew(DurationMs skew_ms) { skew_ms_ = skew_ms; }
  // What it shows, in whole seconds; and a time of it by the simulation's.
  TimeMs Clock() const { return (now_ + skew_ms_) / kSecondMs * kSecondMs; }
  TimeMs OnOurs(TimeMs theirs) const { return theirs - skew_ms_; }
  DurationMs skew_ms() const { return skew_ms_; }
  // Ends strangers, outages and node failures.
  void Heal(TimeMs now);
  // Told when a job starts, before anything else happens.
  void SetOnStart(std::function<void(const FakeJob&)> on_start) { on_start_ = std::move(on_start); }
  // Told of what goes wrong, in words.
  void SetOnNote(std::function<void(const std::string&)> on_note) { on_note_ = std::move(on_note); }
  // Everything due by `now` happens, in order.
  void Advance(TimeMs now);
  // When something is due next.
  TimeMs NextMs() const;

  // What slurmctld and slurmdbd answer; only while they do.
  bool Answers() const { return down_until_ == 0; }
  bool BooksAnswer() const { return now_ >= books_back_; }
  // How often slurmctld has begun without all of its state: what was sent to it before is gone.
  std::int64_t states_lost() const { return states_lost_; }
  // By id; null: no such job.
  const FakeJob* Shown(std::int64_t id) const;
  std::vector<const FakeJob*> ShownAll() const;
  std::vector<ClusterJob> Records(std::int64_t id) const;
  std::vector<ClusterJob> RecordsOf(const AttemptRef& name) const;
  // With what strangers use.
  std::vector<Node> Nodes() const;

  // Requests, while slurmctld answers. True: done. Taken: its id, or 0 if all ids that there are
  // belong to jobs that it knows.
  std::int64_t Take(const Launch& launch);
  bool Release(std::int64_t id, const std::string& unix_account);
  bool Cancel(std::int64_t id, const std::string& unix_account);
  bool Signal(std::int64_t id, const std::string& signal);
  bool SetLimit(std::int64_t id, DurationMs limit_ms);

  // The books, by serial; and the records of the accounting, by serial and number of the run.
  const std::map<std::int64_t, FakeJob>& jobs() const { return jobs_; }
  using RecordKey = std::pair<std::int64_t, std::int32_t>;
  const std::map<RecordKey, ClusterJob>& records() const { return records_; }
  // The job that was submitted for the attempt under this id; null: none.
  const FakeJob* Find(const AttemptRef& submitted_for, std::int64_t id) const;
  void Disown(std::int64_t serial) { jobs_.at(serial).disowned = true; }
  // What went wrong how often.
  const std::map<std::string, std::int64_t>& happened() const { return happened_; }
  void Count(const std::string& what) { ++happened_[what]; }
  // GPUs promised twice by who releases, or given to two.
  const std::vector<std::string>& breaches() const { return breaches_; }

 private:
  enum class Loses : std::uint8_t { kNothing, kLastSecond, kState, kFolder };
  // To slurmdbd: how a record is from now on, or that all that are open are closed.
  struct Letter {
    TimeMs due = 0;
    RecordKey key;
    ClusterJob record;
    bool closes_all = false;
  };

  // fake_slurm.cc
  FakeJob* Known(std::int64_t id);
  void Wake(FakeJob& job, TimeMs at);
  void Happen(FakeJob& job);
  void TryStart(FakeJob& job);
  void Start(FakeJob& job);
  void SetEnd(FakeJob& job);
  void End(FakeJob& job, ClusterJobState state);
  void Requeue(FakeJob& job, ClusterJobState record);
  void MayGoOn(FakeJob& job);
  void Forget(FakeJob& job);
  void DieUnknown(FakeJob& job);
  std::map<std::string, std::int32_t> InUse(bool known_only) const;
  std::int32_t FreeGpus(const std::string& node) const;
  bool IsUp(const std::string& node) const;
  bool NodesUp(const FakeJob& job) const;

  // fake_events.cc: what happens by itself, and what other hands do.
  void EachMinute();
  void FailNode();
  void GoDown(Loses loses);
  void ComeUp();
  void LoseLastSecond();
  void LoseState();
  void OtherHands();
  void Meddle(FakeJob& job, std::int64_t what);
  void Post(const FakeJob& job, ClusterJobState state);
  void DeliverMail();
  std::string AnyNode();
  void Note(const std::string& what, const std::string& text) {
    Count(what);
    if (on_note_) on_note_(what + " " + text);
  }

  std::map<std::string, Node> nodes_;
  std::map<std::string, TimeMs> down_nodes_;                          // until
  std::map<std::string, TimeMs> registers_;                           // not before
  std::map<std::string, std::pair<TimeMs, std::int32_t>> strangers_;  // until, GPUs
  Random random_;
  Faults faults_;
  DurationMs remembers_ms_ = 0;    // what has ended
  bool books_have_tags_ = false;   // the comment is stored there
  bool books_have_codes_ = false;  // of what failed
  std::function<void(const FakeJob&)> on_start_;
  std::function<void(const std::string&)> on_note_;
  TimeMs now_ = 0;
  DurationMs skew_ms_ = 0;
  TimeMs next_minute_ = 0;
  TimeMs down_until_ = 0;  // slurmctld; 0: it is up
  TimeMs down_since_ = 0;
  Loses loses_ = Loses::kNothing;
  std::int64_t states_lost_ = 0;
  TimeMs books_back_ = 0;
  std::int64_t next_id_ = 1;
  std::int64_t last_serial_ = 0;
  std::map<std::int64_t, FakeJob> jobs_;           // by serial
  std::map<std::int64_t, std::int64_t> by_id_;     // what slurmctld knows: the serial
  std::set<std::pair<TimeMs, std::int64_t>> due_;  // serials
  std::deque<Letter> mail_;
  std::map<RecordKey, ClusterJob> records_;
  std::map<std::string, std::int64_t> happened_;
  std::vector<std::string> breaches_;
};

}  // namespace kezek::sim
