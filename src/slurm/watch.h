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

  // A change of this job is due (it was released, cancelled, signalled): it is hot until then.
  void Expect(std::int64_t id, TimeMs until);

  // At most `most` followed jobs of which news is due: expected, not running yet, or completing.
  std::vector<Followed> Hot(TimeMs now, std::size_t most) const;

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
  Changes TakeListing(const std::vector<LiveJob>& listing);

  // Jobs that are ours by name or tag.
  std::vector<ClusterJob> OurJobs(const std::vector<LiveJob>& listing) const;

  // `nodes` with what all jobs use on them that are not followed: neither a name nor a tag makes a
  // job Kezek's. Jobs whose end was read after the listing use nothing.
  std::vector<Node> WithForeignUse(std::vector<Node> nodes,
                                   const std::vector<LiveJob>& listing) const;

 private:
  struct Entry {
    Followed job;
    std::optional<ClusterJob> reported;
  };

  // The followed one that this is; null: none.
  const Entry* Find(const ClusterJob& seen) const;
  Entry* Find(const ClusterJob& seen) {
    return const_cast<Entry*>(static_cast<const Watch*>(this)->Find(seen));
  }
  std::string tag_prefix_;
  std::map<AttemptRef, Entry> followed_;
  // By id. Several have one where the cluster lost its state and gives its ids again.
  std::multimap<std::int64_t, AttemptRef> by_id_;
  std::map<std::int64_t, TimeMs> expected_;
  std::set<std::int64_t> over_;  // ended since the last listing
};

}  // namespace kezek::slurm
