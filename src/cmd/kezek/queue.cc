#include <kezek/v1/job_service.pb.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <ostream>
#include <string>
#include <utility>

#include "cmd/kezek/commands.h"
#include "cmd/kezek/render.h"

namespace kezek::cli {
namespace {

struct QueueFlags {
  bool all = false;
  bool ended = false;
  bool elements = false;
  std::vector<std::string> accounts;
  std::vector<std::string> users;
  std::vector<std::string> states;
  std::vector<std::string> classes;
  std::vector<std::string> names;
  std::vector<std::string> nodes;
  std::string order;
  int limit = 1000;
};

constexpr int kPage = 500;

Result<void> AddStates(const QueueFlags& flags, v1::JobFilter& filter) {
  for (const std::string& name : flags.states) {
    std::string value = "JOB_STATE_";
    for (const char c : name) {
      value += c == ' ' || c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
    }
    v1::JobState state = v1::JOB_STATE_UNSPECIFIED;
    if (!v1::JobState_Parse(value, &state) || state == v1::JOB_STATE_UNSPECIFIED) {
      return Error{Code::kInvalidArgument,
                   "--state: '" + name + "' is not a state: expected queued, starting, running, " +
                       "succeeded, failed, timed-out or cancelled",
                   {}};
    }
    filter.add_states(state);
  }
  return {};
}

v1::ListJobsRequest RequestFor(const QueueFlags& flags) {
  v1::ListJobsRequest request;
  v1::JobFilter& filter = *request.mutable_filter();
  filter.set_scope(flags.all ? v1::JOB_SCOPE_ALL : v1::JOB_SCOPE_MINE);
  if (!flags.all && (!flags.accounts.empty() || !flags.users.empty())) {
    filter.set_scope(v1::JOB_SCOPE_PROJECTS);
  }
  filter.set_include_final(flags.ended);
  for (const std::string& account : flags.accounts) filter.add_accounts(account);
  for (const std::string& user : flags.users) filter.add_users(user);
  for (const std::string& name : flags.classes) filter.add_job_classes(name);
  for (const std::string& name : flags.names) filter.add_names(name);
  for (const std::string& node : flags.nodes) filter.add_nodes(node);
  request.set_order_by(flags.order);
  request.set_expand_arrays(flags.elements);
  return request;
}

std::int64_t TimeInState(const Host& host, const v1::Job& job) {
  if (job.started_ms() > 0 && IsFinal(job.state())) return job.ended_ms() - job.started_ms();
  if (job.started_ms() > 0 && job.state() == v1::JOB_STATE_RUNNING) {
    return host.now_ms() - job.started_ms();
  }
  const std::int64_t end = job.ended_ms() > 0 ? job.ended_ms() : host.now_ms();
  return end - job.queued_since_ms();
}

void PrintRows(Session& session, const v1::ListJobsResponse& all) {
  const Host& host = session.host;
  const bool wide = session.format() == Format::kWide;
  std::vector<std::string> headings = {"JOB", "NAME", "PROJECT", "CLASS", "GPUS", "STATE", "FOR"};
  if (wide) {
    headings.insert(headings.end(), {"USER", "COUNTED", "LIMIT", "SUBMITTED", "ATTEMPTS", "SLURM"});
  }
  headings.push_back("WAITS FOR / RUNS ON");
  Table table(std::move(headings));
  for (const v1::Job& job : all.jobs()) {
    std::vector<std::string> cells = {
        JobName(job),
        job.redacted() ? "" : job.spec().name(),
        job.redacted() ? "(another inst.)" : job.project().substr(job.project().rfind('/') + 1),
        job.job_class(),
        JobGpus(job),
        Styled(host, StateStyle(job), StateName(job)),
        Elapsed(TimeInState(host, job))};
    if (wide) {
      const auto slurm = job.attempts().empty() ? 0 : job.attempts().rbegin()->slurm_job_id();
      cells.insert(cells.end(), {job.user(), Gpus(job.counted_milli_gpus()),
                                 job.redacted() ? "" : Length(job.resolved().time_limit_ms()),
                                 ExactMoment(job.submitted_ms()),
                                 job.redacted() ? "" : std::to_string(job.attempt_count()),
                                 slurm == 0 ? "" : std::to_string(slurm)});
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

Result<int> RunQueue(Session& session, const QueueFlags& flags) {
  v1::ListJobsRequest request = RequestFor(flags);
  Result<void> states = AddStates(flags, *request.mutable_filter());
  if (!states) return states.error();
  v1::ListJobsResponse all;
  do {
    request.mutable_page()->set_size(std::min(kPage, flags.limit - all.jobs_size()));
    Result<v1::ListJobsResponse> page = Ask<v1::ListJobsResponse>(session, request);
    if (!page) return page.error();
    request.mutable_page()->set_token(page->page().next_token());
    all.mutable_jobs()->MergeFrom(page->jobs());
    all.set_as_of_seq(page->as_of_seq());
    *all.mutable_page() = page->page();
  } while (!request.page().token().empty() && all.jobs_size() < flags.limit);
  if (PrintMessage(session.host, session.format(), all)) return kDone;
  if (session.format() == Format::kName) {
    for (const v1::Job& job : all.jobs()) {
      if (!job.redacted()) *session.host.out << job.job() << '\n';
    }
    return kDone;
  }
  PrintRows(session, all);
  if (!request.page().token().empty()) {
    PrintWarning(session.host, "only the first " + std::to_string(flags.limit) +
                                   " jobs are shown; --limit N shows more");
  }
  return kDone;
}

}  // namespace

void AddQueue(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("queue", "list jobs: mine, or --all");
  const auto flags = std::make_shared<QueueFlags>();
  command->add_flag("-a,--all", flags->all, "everybody's, as far as I may see");
  command->add_flag("--ended", flags->ended, "those that are over, too");
  command->add_flag("--elements", flags->elements, "array elements one by one");
  command->add_option("-A,--project,--account", flags->accounts, "only of these accounts")
      ->allow_extra_args(false);
  command->add_option("-u,--user", flags->users, "only of these users")->allow_extra_args(false);
  command->add_option("-t,--state", flags->states, "only in these states")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->add_option("-q,--class", flags->classes, "only of these classes")
      ->allow_extra_args(false);
  command->add_option("-n,--name", flags->names, "only with these names; * stands for anything")
      ->allow_extra_args(false);
  command->add_option("-w,--node", flags->nodes, "only on these nodes")->allow_extra_args(false);
  command->add_option("--order", flags->order, "id, submitted, started, ended, gpus, … [desc]");
  command->add_option("--limit", flags->limit, "rows at most")->check(CLI::Range(1, 1'000'000));
  command->footer(
      "Examples:\n"
      "  kezek queue\n"
      "  kezek queue --all --state running -o wide\n"
      "  kezek queue --project alem-llm --ended --limit 20\n"
      "  kezek queue -o json | jq '.jobs[].job'");
  command->callback([&session, flags] {
    session.action = [&session, flags] { return RunQueue(session, *flags); };
  });
}

}  // namespace kezek::cli
