// The port to a fake Slurm, over a bad network: it follows, asks and tells as the adapter to the
// real one does. Requests and answers may be lost, late, or delivered again; nobody may answer for
// a while; tokens may be no good.
//
// What is followed is looked at every second: by its id, if that still is the job, else in the
// accounting. It is unknown only when both have answered for some time and neither knows it. Whose
// an id is now is asked before anything is done to it, unless it was given just now.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kezek/cluster.h"
#include "kezek/node.h"
#include "scheduler/sim/fake_slurm.h"
#include "scheduler/sim/faults.h"
#include "scheduler/sim/random.h"

namespace kezek::sim {

class FakeCluster final : public Cluster {
 public:
  FakeCluster(std::vector<Node> nodes, std::uint64_t seed, TimeMs now);

  void SetFaults(const Faults& faults);
  // Everything answers again.
  void Heal(TimeMs now);
  // Where events go; a null sink drops them (the controller is gone), and what was asked for before
  // is not answered any more.
  void SetSink(ClusterSink sink);
  // Told when it is told to signal or to cancel (the signal is empty) a job that there is, whatever
  // comes of that.
  using OnEnding = std::function<void(const FakeJob&, const std::string& signal)>;
  void SetOnEnding(OnEnding on_ending) { on_ending_ = std::move(on_ending); }
  // Lets time pass: everything due by `now` happens, in order.
  void Advance(TimeMs now);
  // When something is due next.
  TimeMs NextMs() const;

  // Cluster
  void Submit(Launch launch) override;
  void Release(const AttemptRef& attempt, std::int64_t id,
               const std::string& unix_account) override;
  void Cancel(const AttemptRef& attempt, std::int64_t id, const std::string& unix_account) override;
  void Signal(const AttemptRef& attempt, std::int64_t id, const std::string& unix_account,
              const std::string& signal, bool batch_shell_only) override;
  void SetLimit(const Followed& job, DurationMs limit_ms) override;
  void FindByName(const AttemptRef& attempt) override;
  void Look(const Followed& job) override;
  void Reconcile() override;
  void Follow(std::vector<Followed> jobs) override;

  FakeSlurm& slurm() { return slurm_; }
  const FakeSlurm& slurm() const { return slurm_; }

 private:
  using Act = std::function<void()>;
  enum class Fate : std::uint8_t { kDone, kNotSent, kLost };
  // What is known of a job that is followed.
  struct Watched {
    Followed job;
    std::optional<ClusterJob> reported;
    TimeMs missing_since = 0;
    TimeMs ask_again = 0;
  };

  void Answer(DurationMs after, ClusterEvent event);
  void Tell(ClusterEvent event);  // of the survey: in order
  void At(TimeMs time, Act act);
  bool Reaches() const;  // slurmctld, with a token that is good
  // `act` is done at slurmctld, or is not, or later, or twice; then `done` is told how it went.
  void Send(const std::string& kind, const Followed& job, Act act, std::function<void(Fate)> done);
  bool IsAnothers(const Followed& job) const;
  void EachMinute();
  // fake_survey.cc
  void Poll();
  void LookDue();
  void List();
  // True: what there was to say has been said.
  bool LookAt(Watched& watched, bool always);
  bool LookInBooks(Watched& watched);
  bool AddFirstRun(Watched& watched, ClusterJob* job);
  const Watched* Owner(const ClusterJob& seen) const;
  void ReportNodes(bool always);

  FakeSlurm slurm_;
  Random random_;
  Faults faults_;
  ClusterSink sink_;
  OnEnding on_ending_;
  TimeMs now_ = 0;
  TimeMs silent_until_ = 0;
  TimeMs keys_fail_until_ = 0;
  bool keys_refused_ = false;  // said so; else errors without a meaning
  bool up_ = false;
  bool follows_ = false;
  bool reconcile_ = false;  // asked for
  TimeMs next_minute_ = 0;
  TimeMs next_poll_ = 0;
  DurationMs survey_lag_ms_ = 0;
  TimeMs surveyed_ms_ = 0;  // when the last that was told arrives
  std::int64_t sequence_ = 0;
  std::int64_t life_ = 0;  // of the controller that is answered
  std::map<std::pair<TimeMs, std::int64_t>, ClusterEvent> answers_;
  std::map<std::pair<TimeMs, std::int64_t>, Act> agenda_;
  std::set<std::string> under_way_;
  std::map<std::int64_t, std::pair<AttemptRef, TimeMs>> accepted_;  // by id: whose, since when
  std::map<AttemptRef, Watched> followed_;
  std::map<AttemptRef, Followed> looks_;  // asked for
  std::vector<Node> reported_nodes_;
};

}  // namespace kezek::sim
