#include <kezek/v1/job_service.pb.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <ostream>
#include <set>
#include <string>
#include <utility>

#include "cmd/kezek/commands.h"
#include "cmd/kezek/jobs.h"
#include "cmd/kezek/queue_filter.h"
#include "cmd/kezek/render.h"
#include "cmd/kezek/watching.h"
#include "cmd/kezek/way_out.h"

namespace kezek::cli {
namespace {

constexpr int kJobsPage = 500;
constexpr int kQueueWatchSeconds = 10;
constexpr const char* kQueueFooter =
    R"(FOR is how long a job has run, or has been queued, in hours and minutes: 10:12; with days in
front from one day on: 3-04:05; below a minute in seconds.
Another institution's jobs have no number, name or place: (another inst.). On a narrow terminal
columns are cut and left out; -o wide shows all in full, and more of them.
In a pipe --watch writes a line with the time for each job that has changed, until it is over.
Examples:
  kezek queue
  kezek queue --all --state running --sort gpus --reverse
  kezek queue --project alem-llm --since 3d --state failed,timed-out
  kezek queue --watch
  kezek queue -o json | jq '.jobs[].job')";

// One look at the queue, and what the looks before have seen.
struct Queue {
  QueueFlags flags;
  WatchFlags watch;
  std::int64_t seq = 0;
  std::set<std::string> seen;
};

std::int64_t TimeInState(const Host& host, const v1::Job& job) {
  if (job.started_ms() > 0 && IsFinal(job.state())) return job.ended_ms() - job.started_ms();
  if (job.started_ms() > 0 && job.state() == v1::JOB_STATE_RUNNING) {
    return host.now_ms() - job.started_ms();
  }
  const std::int64_t end = job.ended_ms() > 0 ? job.ended_ms() : host.now_ms();
  return end - job.queued_since_ms();
}

std::vector<std::string> WideCells(const v1::Job& job) {
  const auto slurm = job.attempts().empty() ? 0 : job.attempts().rbegin()->slurm_job_id();
  return {job.user(),
          Gpus(job.counted_milli_gpus()),
          job.redacted() ? "" : Length(job.resolved().time_limit_ms()),
          ExactMoment(job.submitted_ms()),
          job.redacted() ? "" : std::to_string(job.attempt_count()),
          slurm == 0 ? "" : std::to_string(slurm)};
}

void PrintRows(Session& session, const v1::ListJobsResponse& all, bool as_log) {
  const Host& host = session.host;
  const bool wide = session.format() == Format::kWide;
  std::vector<std::string> headings = {"JOB", "NAME", "PROJECT", "CLASS", "GPUS", "STATE"};
  if (!as_log) headings.push_back("FOR");
  if (wide) {
    headings.insert(headings.end(), {"USER", "COUNTED", "LIMIT", "SUBMITTED", "ATTEMPTS", "SLURM"});
  }
  headings.push_back("WAITS FOR / RUNS ON");
  Table table(std::move(headings));
  table.MayCut({"JOB", "NAME", "PROJECT"});
  table.MayLeaveOut({"CLASS", "PROJECT", "GPUS"});
  if (wide) table.KeepWhole();
  for (const v1::Job& job : all.jobs()) {
    if (as_log && job.redacted()) continue;
    std::vector<std::string> cells = {
        JobName(job),
        job.redacted() ? "" : job.spec().name(),
        job.redacted() ? "(another inst.)" : job.project().substr(job.project().rfind('/') + 1),
        job.job_class(),
        JobGpus(job),
        Styled(host, StateStyle(job), StateName(job))};
    if (!as_log) cells.push_back(Elapsed(TimeInState(host, job)));
    if (wide) {
      for (std::string& cell : WideCells(job)) cells.push_back(std::move(cell));
    }
    cells.push_back(JobWhere(host, job));
    table.Add(std::move(cells));
  }
  if (table.empty() && host.out_is_terminal) {
    *host.out << "No jobs. Those that are over: kezek queue --ended\n";
    return;
  }
  table.Print(host);
}

Result<v1::ListJobsResponse> List(Session& session, const QueueFlags& flags) {
  Result<v1::ListJobsRequest> request = RequestFor(flags, session.host.now_ms());
  if (!request) return request.error();
  v1::ListJobsResponse all;
  do {
    request->mutable_page()->set_size(std::min(kJobsPage, flags.limit - all.jobs_size()));
    Result<v1::ListJobsResponse> page = Ask<v1::ListJobsResponse>(session, *request);
    if (!page) {
      return WithFlags(page.error(), {{"filter.accounts", "--project"},
                                      {"filter.users", "--user"},
                                      {"filter.job_classes", "--class"},
                                      {"filter.names", "--name"},
                                      {"filter.nodes", "--node"},
                                      {"filter.reasons", "--reason"},
                                      {"filter.submitted", "--since"},
                                      {"filter.jobs", "JOB"},
                                      {"order_by", "--sort"}});
    }
    request->mutable_page()->set_token(page->page().next_token());
    for (const v1::Job& job : page->jobs()) {
      if (IsWanted(flags, job)) *all.add_jobs() = job;
    }
    all.set_as_of_seq(page->as_of_seq());
    *all.mutable_page() = page->page();
  } while (!request->page().token().empty() && all.jobs_size() < flags.limit);
  return all;
}

// Jobs that an earlier look had and this one has not, as they are now.
void AddGone(Session& session, Queue& queue, v1::ListJobsResponse& all) {
  std::set<std::string> now;
  for (const v1::Job& job : all.jobs()) now.insert(job.job());
  std::vector<std::string> gone;
  std::set_difference(queue.seen.begin(), queue.seen.end(), now.begin(), now.end(),
                      std::back_inserter(gone));
  now.erase("");
  queue.seen = std::move(now);
  if (gone.empty() || gone.size() > kJobsPage) return;
  Result<v1::GetJobsResponse> jobs = GetJobs(session, gone);
  if (jobs) all.mutable_jobs()->MergeFrom(jobs->jobs());
}

Result<int> LookAtQueue(Session& session, Queue& queue, bool as_log) {
  Result<v1::ListJobsResponse> all = List(session, queue.flags);
  if (!all) return all.error();
  queue.seq = all->as_of_seq();
  if (PrintMessage(session.host, session.format(), *all)) return kDone;
  if (session.format() == Format::kName) {
    for (const v1::Job& job : all->jobs()) {
      if (!job.redacted()) *session.host.out << job.job() << '\n';
    }
    return kDone;
  }
  if (as_log) AddGone(session, queue, *all);
  PrintRows(session, *all, as_log);
  // Who says how many wants no more.
  if (!all->page().next_token().empty() && queue.flags.limit == QueueFlags().limit) {
    PrintWarning(session.host, "only " + Count(queue.flags.limit, "job") +
                                   " shown, there are more; --limit N shows more");
  }
  return kDone;
}

Result<int> RunQueue(Session& session, Queue& queue) {
  Watched watched;
  watched.look = [&session, &queue](bool as_log) { return LookAtQueue(session, queue, as_log); };
  watched.await = [&session, &queue](std::int64_t limit_ms) {
    AwaitEvent(session, queue.seq, {}, limit_ms);
  };
  return LookOrWatch(session, queue.watch, watched);
}

}  // namespace

void AddQueue(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("queue", "list jobs: mine, or --all");
  const auto queue = std::make_shared<Queue>();
  queue->flags.AddTo(*command);
  queue->watch.AddTo(*command, kQueueWatchSeconds);
  command->footer(kQueueFooter);
  command->callback([&session, queue] {
    session.action = [&session, queue] { return RunQueue(session, *queue); };
  });
}

}  // namespace kezek::cli
