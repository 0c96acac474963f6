// Slurm 22.05's REST API, v0.0.38, as pure functions between JSON text and the words of the port.
//
// What the status line says proves nothing: a held submission is a 200 with an error entry and a
// job id, failed updates come as 200 with errors, an unknown job as 500. Here the body decides.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "kezek/cluster.h"
#include "kezek/result.h"

namespace kezek::slurm {

inline constexpr std::string_view kApi = "/slurm/v0.0.38";
inline constexpr std::string_view kAccountingApi = "/slurmdb/v0.0.38";

inline constexpr std::int32_t kGpusMax = 4096;  // of one kind on one node

// Stands for the signal that only the batch shell is to get: v0.0.38 sends any signal to the tasks
// too, and who does not catch this one does not notice it. LaunchScript makes the shell catch it.
inline constexpr const char* kBatchShellSignal = "URG";

// The attempt that bears this name ("kezek-48211_7-2"); nothing if it is not a name of ours.
std::optional<AttemptRef> ParseClusterName(std::string_view name);

// The body of POST /job/submit: held, on exactly the nodes of the placement. Slurm's requeue is on
// where the job's is: the script does not run a second time in the same Slurm job. The limit is
// rounded up to Slurm's minute. An empty partition is Slurm's default.
std::string SubmitBody(const Launch& launch, const std::string& partition);

// The script as Slurm gets it: with its name and its arguments, which v0.0.38 cannot carry
// (slurmrestd 22.05 dies of `argv`), in front of its second line if it is a shell's, else in a
// wrapper; and, where only the batch shell is to get the signal, with a trap that turns
// kBatchShellSignal into it.
std::string LaunchScript(const Launch& launch);

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
using SubmitOutcome = std::variant<SubmitAccepted, SubmitRefused, SubmitUnclear>;
SubmitOutcome ParseSubmit(long status, std::string_view body);

// The body that releases a held job.
inline constexpr std::string_view kReleaseBody = R"({"hold":false})";

// The body that gives a job a time limit, rounded up to Slurm's minute.
std::string LimitBody(DurationMs limit_ms);

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

// What a job has on one node.
struct NodeUse {
  std::string node;
  std::int32_t gpus = 0;
  std::int32_t cpus = 0;
  std::int64_t memory_mib = 0;
  bool operator==(const NodeUse&) const = default;
};

struct LiveJob {
  ClusterJob job;
  std::string name;
  std::vector<NodeUse> uses;  // while it holds resources
};

// The answer to GET /jobs or /job/{id}.
struct JobsAnswer {
  bool unchanged = false;  // nothing new since update_time
  std::vector<LiveJob> jobs;
  // Somebody else's jobs that are not as v0.0.38 has them: one of an unknown state counts as
  // running, for what it holds; one without an id is left out.
  std::vector<std::string> odd;
};
// NOT_FOUND: slurmctld does not know the job. UNAVAILABLE: no usable answer (Slurm is away, the
// token is not taken, the text is not what v0.0.38 sends).
Result<JobsAnswer> ParseJobs(long status, std::string_view body);

// The answer to GET /slurmdb/…/job/{id} or /jobs?…; no job is an empty list. The accounting
// of 22.05 reports code 0 for every exit by its own: a failed job without a signal gets exit
// code 1. What cannot be read and is not named like ours is left out. UNAVAILABLE: no usable
// answer.
Result<std::vector<LiveJob>> ParseAccounting(long status, std::string_view body);

// The answer to GET /nodes; nothing if unchanged since update_time. UNAVAILABLE as above.
Result<std::optional<std::vector<Node>>> ParseNodes(long status, std::string_view body);

// GET /ping: Slurm's version, when slurmctld answers; else UNAVAILABLE.
Result<std::string> ParsePing(long status, std::string_view body);

// GET /diag: slurmctld's clock, in whole seconds.
Result<TimeMs> ParseClock(long status, std::string_view body);

// GET /diag: how many records wait in slurmctld for slurmdbd.
Result<std::int64_t> ParseBacklog(long status, std::string_view body);

}  // namespace kezek::slurm
