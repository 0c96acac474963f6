// What is known of the jobs that are followed, and which news of them are worth an event. Pure:
// times come in, nothing is read or sent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "kezek/cluster.h"
#include "kezek/time.h"
#include "slurm/codec.h"

namespace kezek::slurm {

using GpusOfNodes = std::map<std::string, std::set<std::int32_t>>;

// Whether what is seen is the job that is followed: it is named so and its owner's, or it still is
// by its times.
bool IsIt(const Followed& known, const ClusterJob& seen);

class Watch {
 public:
  // `tag_prefix` is what the tags of this database begin with.
  explicit Watch(std::string tag_prefix);

  // Replaces the set. What was reported of jobs that stay is kept.
  void Follow(std::vector<Followed> jobs);
  bool empty() const { return followed_.empty(); }
  // What became of the run that is followed of a job that Slurm has restarted, by these of the
  // accounting: when it was, and whether a node's failure ended it.
  void AddFirstRun(const std::vector<LiveJob>& records, ClusterJob* job) const;
  // As it is followed; null: it is not.
  const Followed* Known(const AttemptRef& attempt) const;
  // How it ended, by these of the accounting, which has a record for each run of a job that Slurm
  // requeued. Only that of a later run: the one that is followed was taken back, and `restarts`
  // says so. One that ended before the start that was seen is of a cluster that lost its state: it
  // ends there the jobs that it had at the moment of its last writing. None: no record of it has
  // ended.
  std::optional<LiveJob> EndIn(const std::vector<LiveJob>& records, const Followed& job) const;

  // A change of this job is due (it was released, cancelled, signalled): it is hot until then. It
  // starts on `node`, if that is told.
  void Expect(std::int64_t id, TimeMs now, TimeMs until, std::string node = {});

  // Something has happened to jobs, as the GPUs tell that are in use on the nodes: one that is not
  // in use any more belonged to a job that ends, one that nobody is known to have to a job that has
  // started. These jobs are hot at once. True: to somebody else's, too, or it is not known to
  // whose.
  bool Hint(const UsedGpus& used, const std::vector<LiveJob>& listing, TimeMs now);
  // The same where the states of all jobs are told.
  bool Hint(const JobStates& states, TimeMs now);
  // False: of some followed job that runs the GPUs do not tell it.
  bool GpusTell() const;

  // At most `most` followed jobs that are to be read by now, as news is due of them: the urgent
  // first, which are those to which something has happened, and which complete; then the expected,
  // and those that do not run yet. Each ever more rarely while there is no news.
  struct HotJob {
    Followed job;
    bool urgent = false;
  };
  std::vector<HotJob> Hot(TimeMs now, std::size_t most) const;
  // At most `most` of them that should have been read a second ago, which has waited longest first.
  std::vector<Followed> Overdue(TimeMs now, std::size_t most) const;
  // When the next of them is to be read; none: there is none.
  std::optional<TimeMs> NextHot(TimeMs now) const;
  // It was read.
  void WasRead(const AttemptRef& attempt, TimeMs now);

  // The job as it was just read, with its attempt, whatever its owner has named it. Nothing if it
  // is not the one followed under this id, or has nothing new. GPU indices, which Slurm forgets
  // when a job completes, are carried on.
  std::optional<ClusterJob> Take(const LiveJob& live);

  // What was last reported of a followed job.
  std::optional<ClusterJob> Reported(const AttemptRef& attempt) const;

  struct Changes {
    std::vector<ClusterJob> observed;
    std::vector<Followed> missing;  // followed, not in the listing
  };
  // A listing takes a while, in which jobs are read alone: what it says of these is older, and of
  // those that are followed since it began it says nothing.
  void BeginListing();
  void EndListing();  // without an answer
  // What runs is told of again now and then, unchanged: it was seen alive.
  Changes TakeListing(const std::vector<LiveJob>& listing, TimeMs now);

  // Jobs that are ours by name or tag, of the listing that was just taken.
  std::vector<ClusterJob> OurJobs(const std::vector<LiveJob>& listing) const;

  // `nodes` with what all jobs use on them that are not followed: neither a name nor a tag makes a
  // job Kezek's. Jobs whose end was read after the listing use nothing.
  std::vector<Node> WithForeignUse(std::vector<Node> nodes,
                                   const std::vector<LiveJob>& listing) const;

 private:
  struct Entry {
    Followed job;
    std::optional<ClusterJob> reported;
    TimeMs told_ms = 0;  // by a listing
    bool hinted = false;
    bool is_odd = false;   // is not as it was reported, by what was hinted last
    TimeMs next_read = 0;  // while it is hot
    DurationMs read_every = kReadEvery;
    // Since the listing under way began, or the last one:
    bool is_new = false;
    bool was_read = false;
  };
  static constexpr DurationMs kReadEvery = 200;

  bool IsHot(const Entry& entry, TimeMs now) const;
  static bool IsUrgent(const Entry& entry);
  static void HintAt(Entry* entry, bool is_odd, TimeMs now);
  void HintStarts(const std::vector<Entry*>& waiting, const GpusOfNodes& before, TimeMs now);
  std::optional<ClusterJob> Update(Entry* entry, const LiveJob& live);

  // The followed one that this is; null: none.
  const Entry* Find(const ClusterJob& seen) const;
  Entry* Find(const ClusterJob& seen) {
    return const_cast<Entry*>(static_cast<const Watch*>(this)->Find(seen));
  }
  std::string tag_prefix_;
  std::map<AttemptRef, Entry> followed_;
  // By id. Several have one where the cluster lost its state and gives its ids again.
  std::multimap<std::int64_t, AttemptRef> by_id_;
  struct Expectation {
    TimeMs first_read = 0;
    TimeMs until = 0;
    std::string node;
  };
  std::map<std::int64_t, Expectation> expected_;
  std::set<std::int64_t> over_;        // ended since the last listing
  bool listing_ = false;               // one is under way
  std::set<std::int64_t> over_since_;  // ended since it began
  JobStates others_;                   // that run
  GpusOfNodes nobodys_;                // in use, by nobody that is known
};

}  // namespace kezek::slurm
