// The cluster port over slurmrestd of every Slurm that codec.h speaks with.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kezek/cluster.h"
#include "kezek/meter.h"
#include "kezek/time.h"

namespace kezek::slurm {

struct Options {
  std::string url;             // "http://127.0.0.1:6820" or "unix:/run/slurmrestd.sock"
  std::string token_file;      // a JWT, read again when the file changes; or
  std::string jwt_key_file;    // the HS256 key that ten-minute tokens are signed with
  std::string user = "slurm";  // whose token it is: SlurmUser or root
  std::string partition;       // empty: Slurm's default
  std::string tag_prefix;      // what this database's tags begin with: "kezek:<installation>:"
  std::int32_t connections = 8;
  DurationMs request_timeout_ms = 10 * kSecondMs;
  DurationMs message_timeout_ms = 10 * kSecondMs;      // Slurm's own MessageTimeout
  DurationMs accounting_patience_ms = 10 * kMinuteMs;  // see surveyor.h
  // Whether the script of an attempt ever began under this id, as far as its folder tells; none:
  // that is not known yet, and its end is not told before it is. Never blocks for long. Empty:
  // nobody knows.
  std::function<std::optional<bool>(const AttemptRef&, std::int64_t)> has_begun;
  Meter* meter = nullptr;  // told of every request; outlives the cluster; null: nobody
};

// Requests go out over a pool of connections in the name of the job's owner; a submission is sent
// once at most, and a release, cancellation or signal that is still under way is not sent again
// beside it. Nothing is sent before slurmrestd has said which versions of its API it serves. What
// is done to a job is done only if the id is still that job's, which is asked before. Events come
// on two threads. Destruction abandons what is under way.
//
// A job that is released, cancelled or signalled is read soon if it is followed, and then ever more
// rarely until its next change.
class SlurmCluster : public Cluster {
 public:
  SlurmCluster(Options options, Clock& clock, ClusterSink sink);
  ~SlurmCluster() override;
  SlurmCluster(const SlurmCluster&) = delete;
  SlurmCluster& operator=(const SlurmCluster&) = delete;

  void Submit(Launch launch) override;
  void Release(const AttemptRef& attempt, std::int64_t cluster_job_id,
               const std::string& unix_account) override;
  void Cancel(const AttemptRef& attempt, std::int64_t cluster_job_id,
              const std::string& unix_account) override;
  // The whole job is signalled: batch shell, children and steps; or the batch shell alone, where
  // the API cannot do that by kBatchShellSignal. What is no signal's name is not sent.
  void Signal(const AttemptRef& attempt, std::int64_t cluster_job_id,
              const std::string& unix_account, const std::string& signal,
              bool batch_shell_only) override;
  // In its operator's name: users may only shorten what runs.
  void SetLimit(const Followed& job, DurationMs limit_ms) override;
  void FindByName(const AttemptRef& attempt) override;
  void Look(const Followed& job) override;
  void Reconcile() override;
  void Follow(std::vector<Followed> jobs) override;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace kezek::slurm
