// Watches the cluster by a thread of its own: few requests, most of which say that nothing changed.
//
// A listing costs with the number of jobs that slurmctld knows, so it is asked for only "since",
// and the more one costs the more rarely; it is waited for beside all else, on a connection of its
// own. The states alone, where the release tells them, or else the nodes, which cost less, too,
// tell what jobs something has happened to: by the GPUs that are in use. These, and those of which
// news is due, are read one by one, so many a second and one for each thing that is done to a job:
// where that is too few the listings tell. A job that slurmctld has forgotten is looked up in the
// accounting.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "kezek/cluster.h"
#include "kezek/result.h"
#include "kezek/time.h"
#include "slurm/codec_choice.h"
#include "slurm/http.h"
#include "slurm/watch.h"

namespace kezek::slurm {

struct SurveyorOptions {
  std::string user;        // whose credential it is
  std::string tag_prefix;  // what this database's tags begin with: "kezek:<installation>:"
  DurationMs request_timeout_ms = 10 * kSecondMs;
  // A job that slurmctld has forgotten is unknown only when slurmdbd has answered for so long
  // without knowing its end: records reach it late, after a slurmdbd outage by minutes.
  DurationMs accounting_patience_ms = 10 * kMinuteMs;
  std::function<std::optional<bool>(const AttemptRef&, std::int64_t)> has_begun;  // as in Options
};

// Thread-safe; nothing here blocks. Events come on the surveyor's thread.
class Surveyor {
 public:
  // `codecs` is chosen from anew whenever Slurm comes back; it outlives the surveyor.
  Surveyor(SurveyorOptions options, HttpOptions http, Credential& credential, CodecChoice& codecs,
           Clock& clock, ClusterSink sink);
  ~Surveyor();
  Surveyor(const Surveyor&) = delete;
  Surveyor& operator=(const Surveyor&) = delete;

  void Follow(std::vector<Followed> jobs);
  // News of this job is due; it starts on `node`, if that is told.
  void Expect(std::int64_t cluster_job_id, std::string node = {});
  void Look(Followed job);
  void Find(AttemptRef attempt);
  void Reconcile();

 private:
  struct Orders {
    std::optional<std::vector<Followed>> follow;
    std::vector<std::pair<std::int64_t, std::string>> expect;  // with the node
    std::vector<Followed> looks;
    std::vector<AttemptRef> searches;
    bool reconcile = false;
  };

  // An answer to a listing, read.
  struct Arrived {
    std::uint64_t number = 0;  // of the listing
    bool answered = false;
    Result<JobsAnswer> answer;
  };
  // What the listing under way, or the next one, is for besides.
  struct Purposes {
    std::vector<AttemptRef> searches;
    bool reconcile = false;
  };

  void Run();
  bool HasOrders() const;  // under mutex_
  void Round(Orders orders);
  void TakeOrders(Orders orders);
  bool Connect();
  bool ReadClock();
  bool CheckClock();
  void Silent(const Error& error);
  void List();
  void TakeArrived(Arrived arrived);
  void TakeListing(JobsAnswer answer);
  void ListingFailed(const Arrived& arrived);
  void EndListing();
  void Serve(Purposes purposes);
  void HurryListing();
  void ScheduleListing(DurationMs every);
  bool StatesAreTold() const;
  bool SurveyStates();
  bool SurveyNodes(bool whole);
  void ReportNodes(bool always);
  void Report(std::vector<ClusterJob> changed, TimeMs asked_ms);
  bool Tell(ClusterJob job, TimeMs asked_ms);
  bool AddFirstRun(ClusterJob* job);
  bool TellsNoMore(const AttemptRef& attempt, bool answers);
  bool WaitedLong(const AttemptRef& attempt, DurationMs again_ms);
  std::optional<bool> HasBegun(const ClusterJob& job) const;
  std::optional<bool> RefusedByNode(const ClusterJob& job);
  bool Complete(ClusterJob* job);
  void LookDue();
  void LookHot();
  void LookOverdue();
  void Read(const Followed& job);
  bool LookAt(const Followed& job, bool always);
  bool LookInAccounting(const Followed& job);
  Result<std::vector<LiveJob>> AskAccounting(const std::string& tail);
  bool AccountingLags();
  void SearchFor(const AttemptRef& attempt);
  void NothingFound(const std::vector<AttemptRef>& searches);
  void Forget(const Followed& job);
  bool MayLook(const AttemptRef& attempt) const;
  HttpRequest Question(const std::string& path) const;
  HttpOutcome Get(const std::string& path, bool large);
  void Spend();
  DurationMs UntilMayRead(bool urgent) const;
  void Busy(bool busy);
  std::string Api(std::string_view tail) const { return codecs_.chosen()->Path(tail); }
  std::int64_t UpdateTime() const;
  DurationMs NextWait();

  SurveyorOptions options_;
  Meter* meter_;
  HttpClient client_;
  CodecChoice& codecs_;
  Clock& clock_;
  ClusterSink sink_;

  std::mutex mutex_;
  std::condition_variable wake_;
  Orders orders_;                   // under mutex_
  std::optional<Arrived> arrived_;  // under mutex_
  bool stopping_ = false;           // under mutex_

  // The thread's own.
  Watch watch_;
  bool up_ = false;
  bool said_silent_ = false;
  std::string version_;
  Purposes due_;                                // of the next listing
  Purposes asked_;                              // of the one under way
  bool follows_ = false;                        // Follow was called
  std::map<AttemptRef, Followed> looks_due_;    // each once however often it is asked
  std::map<AttemptRef, TimeMs> look_again_;     // of missing jobs: not before
  std::map<AttemptRef, TimeMs> missing_since_;  // both answered, neither knew its end
  TimeMs accounting_again_ms_ = 0;              // slurmdbd does not answer: not before
  DurationMs skew_ms_ = 0;
  std::int64_t listed_at_ = 0;   // update_time of the next listing; 0: all
  std::int64_t listing_at_ = 0;  // of the one after that which is under way
  std::int64_t nodes_at_ = 0;
  bool listing_asked_ = false;        // one is under way
  std::uint64_t listing_number_ = 0;  // of the one under way; an answer to another is of no use
  DurationMs listing_timeout_ms_ = 0;
  int listings_failed_ = 0;  // in a row
  TimeMs listing_begun_ms_ = 0;
  TimeMs listing_asked_ms_ = 0;  // the same by Kezek's clock
  TimeMs listing_ended_ms_ = 0;
  DurationMs listing_cost_ms_ = 0;
  TimeMs next_listing_ms_ = 0;
  TimeMs next_nodes_ms_ = 0;
  TimeMs next_states_ms_ = 0;
  bool no_states_ = false;       // they were not told, though the release can
  TimeMs nodes_changed_ms_ = 0;  // other GPUs were in use than before
  TimeMs spent_until_ms_ = 0;    // requests that were made take so long at the rate that is allowed
  int earned_ = 0;               // readings beyond that rate
  std::vector<LiveJob> listing_;
  std::set<std::string> odd_;  // said of the last listing
  std::vector<Node> nodes_;
  UsedGpus used_;
  std::vector<Node> reported_nodes_;
  HttpPool listings_;  // its thread uses what is above
  std::thread thread_;
};

}  // namespace kezek::slurm
