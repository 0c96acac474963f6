// slurmrestd's API as pure functions between JSON text and the words of the port.
//
// What the status line says proves nothing: a held submission is a 200 with an error or a warning
// and a job id, failed updates come as 200 with errors or warnings, a failed cancellation as 200
// with a status list, an unknown job as 404, 500 or 200. Here the body decides.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "kezek/cluster.h"
#include "kezek/result.h"

namespace kezek::slurm {

inline constexpr std::int32_t kGpusMax = 4096;  // of one kind on one node

// Stands for the signal that only the batch shell is to get, where the API sends any signal to the
// tasks too: who does not catch this one does not notice it. LaunchScript makes the shell catch it.
inline constexpr const char* kBatchShellSignal = "URG";

// What a version of the API can do beyond what Kezek needs of each; docs/slurm-releases.md has the
// table, which tests/slurm/run makes from the real ones.
struct Capabilities {
  bool signals_batch_shell = false;   // alone; else kBatchShellSignal and a trap in the script
  bool takes_arguments = false;       // of the script; else the script itself sets them
  bool warns_of_lost_fields = false;  // a field that was not understood is a warning, not an error
  bool tells_refusals = false;        // of a cancellation or a signal; else it looks like done
  bool keeps_exit_codes = false;      // in the accounting
  bool lists_states = false;          // GET /jobs/state
  bool changes_nodes = false;         // POST /node/{name}: drain, resume
  bool requeues = false;              // POST /jobs/requeue
  bool operator==(const Capabilities&) const = default;
};

// A version of the API: what Kezek says in it. What is said back is read the same in all (below): a
// field is taken in every form that one of them gives it. Two families: v0.0.38 has options by
// sbatch's names and plain numbers; from v0.0.40 on numbers are {set, infinite, number}, states
// and options lists.
class Codec {
 public:
  enum class Family : std::uint8_t { kPlain, kNested };

  constexpr Codec(std::string_view version, Family family, Capabilities can)
      : version_(version), family_(family), can_(can) {}

  std::string_view version() const { return version_; }  // "v0.0.42"
  const Capabilities& can() const { return can_; }

  std::string Path(std::string_view tail) const;            // "/slurm/v0.0.42" + tail
  std::string AccountingPath(std::string_view tail) const;  // "/slurmdb/v0.0.42" + tail
  std::string JobPath(std::int64_t id) const;
  // Of a listing, "/jobs" or "/nodes", with nothing in it if nothing has changed since then.
  std::string PathSince(std::string_view tail, std::int64_t update_time_s) const;
  // Of the DELETE that sends a signal; nothing where SlurmSignal has nothing.
  std::optional<std::string> SignalPath(std::int64_t id, const std::string& signal,
                                        bool batch_shell_only) const;

  // The body of POST /job/submit: held, on exactly the nodes of the placement. Slurm's requeue is
  // on where the job's is: the script does not run a second time in the same Slurm job. The limit
  // is rounded up to Slurm's minute. An empty partition is Slurm's default.
  std::string SubmitBody(const Launch& launch, const std::string& partition) const;
  // The body that gives a job a time limit, rounded up to Slurm's minute.
  std::string LimitBody(DurationMs limit_ms) const;

 private:
  std::string_view version_;
  Family family_;
  Capabilities can_;
};

// The signal's name or number as Slurm understands it: names that it has not go as numbers. Nothing
// for what is no signal's: some versions end the job over it.
std::optional<std::string> SlurmSignal(const std::string& signal);

// All that Kezek speaks, newest first.
std::span<const Codec> Codecs();

// The attempt that bears this name ("kezek-48211_7-2"); nothing if it is not a name of ours.
std::optional<AttemptRef> ParseClusterName(std::string_view name);

// The script as Slurm gets it: with its name in front of its second line if it is a shell's, else
// in a wrapper; and, where the API cannot do that, with its arguments (slurmrestd 22.05 dies of
// `argv`), and with a trap that turns kBatchShellSignal into the signal for the batch shell alone.
std::string LaunchScript(const Launch& launch, const Capabilities& can);

struct SubmitAccepted {
  std::int64_t job_id = 0;
};
struct SubmitRefused {  // Slurm has said no, nothing was made
  bool for_good = false;
  std::string text;
};
struct SubmitUnclear {  // the answer does not say
  std::string text;
};
struct SubmitSpoilt {  // a job was made, held, but not as asked: it must not be released
  std::int64_t job_id = 0;
  std::string text;
};
using SubmitOutcome = std::variant<SubmitAccepted, SubmitRefused, SubmitUnclear, SubmitSpoilt>;
SubmitOutcome ParseSubmit(long status, std::string_view body);

// The body that releases a held job.
inline constexpr std::string_view kReleaseBody = R"({"hold":false})";

// The answer to an update, a cancellation or a signal.
struct Verdict {
  enum class Kind : std::uint8_t {
    kDone,
    kUnknownJob,   // slurmctld does not know the job (any more)
    kAlreadyOver,  // it has ended
    kFailed,
  };
  Kind kind = Kind::kFailed;
  std::string text;  // Slurm's words unless done
};
Verdict ParseVerdict(long status, std::string_view body);

// What a job has on one node; of GPUs of several types one for each.
struct NodeUse {
  std::string node;
  std::string gpu_type;  // may be empty
  std::int32_t gpus = 0;
  std::int32_t cpus = 0;
  std::int64_t memory_mib = 0;
  bool operator==(const NodeUse&) const = default;
};

struct LiveJob {
  ClusterJob job;
  std::string name;
  std::vector<NodeUse> uses;  // while it holds resources
  std::string cancelled_by;   // by the accounting
  TimeMs resized_ms = 0;      // by the accounting: went on with other nodes; 0: did not
};

// The answer to GET /jobs or /job/{id}.
struct JobsAnswer {
  bool unchanged = false;  // nothing new since update_time
  std::vector<LiveJob> jobs;
  // Somebody else's jobs that are not as the API has them: one of an unknown state counts as
  // running, for what it holds; one without an id is left out.
  std::vector<std::string> odd;
};
// NOT_FOUND: slurmctld does not know the job. UNAVAILABLE: no usable answer (Slurm is away, the
// token is not taken, the text is not what slurmrestd sends).
Result<JobsAnswer> ParseJobs(long status, std::string_view body);

// The answer to GET /slurmdb/…/job/{id} or /jobs?…; no job is an empty list. The accounting of
// 22.05 reports code 0 for every exit by its own: a failed job without a signal gets exit code 1.
// What cannot be read and is not named like ours is left out. UNAVAILABLE: no usable answer.
Result<std::vector<LiveJob>> ParseAccounting(long status, std::string_view body);

// What state each job is in, by number: of an array's element "82_1".
using JobStates = std::map<std::string, ClusterJobState, std::less<>>;

// The answer to GET /jobs/state, where there is that; without states that are not known.
// UNAVAILABLE as above.
Result<JobStates> ParseJobStates(long status, std::string_view body);

// Which of a node's GPUs are in use, by node and index, each list sorted. Without the nodes that do
// not tell it.
using UsedGpus = std::map<std::string, std::vector<std::int32_t>>;

// The answer to GET /nodes; nothing if unchanged since update_time. UNAVAILABLE as above. `used`,
// if given, becomes what is in use on them.
Result<std::optional<std::vector<Node>>> ParseNodes(long status, std::string_view body,
                                                    UsedGpus* used = nullptr);

// GET /ping: Slurm's version, when slurmctld answers; else UNAVAILABLE.
Result<std::string> ParsePing(long status, std::string_view body);

// GET /diag: slurmctld's clock, in whole seconds.
Result<TimeMs> ParseClock(long status, std::string_view body);

// GET /diag: how many records wait in slurmctld for slurmdbd.
Result<std::int64_t> ParseBacklog(long status, std::string_view body);

}  // namespace kezek::slurm
