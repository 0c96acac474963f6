#include "cmd/kezek/jobs.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <ostream>

#include "cmd/kezek/progress.h"
#include "cmd/kezek/render.h"

namespace kezek::cli {
namespace {

// `3 of 8 jobs over; job 48211 queued: 4 free nodes`.
std::string HowFar(const Host& host, const v1::GetJobsResponse& jobs) {
  int final = 0;
  std::string last;
  for (const v1::Job& job : jobs.jobs()) {
    if (IsFinal(job.state())) {
      ++final;
    } else {
      last = "job " + job.job() + " " + StateName(job);
      if (const std::string where = JobWhere(host, job); !where.empty()) last += ": " + where;
    }
  }
  if (jobs.jobs_size() < 2) return last;
  return std::to_string(final) + " of " + Count(jobs.jobs_size(), "job") + " over; " + last;
}

// `3-9,12`.
std::string Ranges(const std::vector<int>& indices) {
  std::string text;
  for (std::size_t first = 0; first < indices.size();) {
    std::size_t last = first;
    while (last + 1 < indices.size() && indices[last + 1] == indices[last] + 1) ++last;
    text += (text.empty() ? "" : ",") + std::to_string(indices[first]);
    if (last > first) text += "-" + std::to_string(indices[last]);
    first = last + 1;
  }
  return text;
}

bool Enough(const v1::GetJobsResponse& jobs, bool any) {
  const auto is_final = [](const v1::Job& job) { return IsFinal(job.state()); };
  return any ? std::any_of(jobs.jobs().begin(), jobs.jobs().end(), is_final)
             : std::all_of(jobs.jobs().begin(), jobs.jobs().end(), is_final);
}

}  // namespace

bool IsAway(const Error& error) {
  return error.code == Code::kUnavailable || error.code == Code::kDeadlineExceeded;
}

Result<v1::GetJobsResponse> GetJobs(Session& session, const std::vector<std::string>& jobs) {
  v1::GetJobsRequest request;
  for (const std::string& job : jobs) request.add_jobs(job);
  return Ask<v1::GetJobsResponse>(session, request);
}

Result<v1::GetJobsResponse> AwaitJobs(Session& session, const std::vector<std::string>& jobs,
                                      bool any) {
  Result<Client*> client = session.Connect();
  if (!client) return client.error();
  Progress progress(session.host);
  bool reached = false;  // a server that was there once is waited for, however long it is away
  for (;;) {
    Result<v1::GetJobsResponse> now = GetJobs(session, jobs);
    if (!now) {
      if (!reached || !IsAway(now.error())) return now.error();
      session.host.sleep(kReconnectPauseMs);
      continue;
    }
    reached = true;
    if (Enough(*now, any)) return now;
    progress.Show(HowFar(session.host, *now));
    // Nothing between the look and the watch is missed: it begins at the oldest row seen.
    v1::WatchRequest request;
    std::int64_t after = now->jobs(0).last_seq();
    for (const v1::Job& job : now->jobs()) after = std::min(after, job.last_seq());
    request.set_after_seq(after);
    for (const std::string& job : jobs) request.add_jobs(job);
    request.set_until_final(true);
    v1::WatchResponse response;
    Result<void> watched = (*client)->Stream(request, response, [&response, after] {
      // Something newer than what was seen: look again.
      return std::none_of(response.events().begin(), response.events().end(),
                          [after](const v1::Event& event) { return event.seq() > after; });
    });
    if (!watched && !IsAway(watched.error()) && watched.error().code != Code::kOutOfRange) {
      return watched.error();
    }
    if (!watched) session.host.sleep(kReconnectPauseMs);
  }
}

int ExitCodeOfJob(const v1::Job& job) {
  if (job.state() == v1::JOB_STATE_SUCCEEDED) return kDone;
  if (job.state() == v1::JOB_STATE_CANCELLED) return kOfWaiting + kFailed;
  return job.exit_code() != 0 ? job.exit_code() : kOfWaiting + kFailed;
}

std::string Ending(const v1::Job& job) {
  std::string text = "Job " + job.job() + " " + StateName(job);
  if (job.started_ms() > 0 && job.ended_ms() > 0) {
    text += " after " + Length((job.ended_ms() - job.started_ms()) / 1000 * 1000);
  }
  if (job.state() == v1::JOB_STATE_SUCCEEDED) return text;
  if (!job.reason().sentence().empty()) return text + ". " + job.reason().sentence();
  return job.exit_code() != 0 ? text + ", exit code " + std::to_string(job.exit_code()) : text;
}

void PrintVerdicts(const Host& host, const google::protobuf::RepeatedPtrField<v1::Job>& jobs,
                   const std::function<std::string(const v1::Job&)>& verdict) {
  std::vector<int> indices;
  for (int i = 0; i < jobs.size(); ++i) {
    const v1::Job& job = jobs[i];
    const std::string said = verdict(job);
    if (job.has_array_index()) {
      indices.push_back(job.array_index());
      const v1::Job* next = i + 1 < jobs.size() ? &jobs[i + 1] : nullptr;
      const bool goes_on = next != nullptr && next->has_array_index() && next->id() == job.id() &&
                           verdict(*next) == said;
      if (goes_on) continue;
    }
    *host.out << "Job "
              << (indices.size() < 2 ? job.job()
                                     : std::to_string(job.id()) + "_[" + Ranges(indices) + "]")
              << ' ' << said << '\n';
    indices.clear();
  }
}

void PrintChanged(Session& session, const google::protobuf::Message& answer,
                  const google::protobuf::RepeatedPtrField<v1::Job>& jobs,
                  const std::function<std::string(const v1::Job&)>& verdict) {
  if (PrintMessage(session.host, session.format(), answer)) return;
  if (session.format() != Format::kName) {
    PrintVerdicts(session.host, jobs, verdict);
    return;
  }
  for (const v1::Job& job : jobs) *session.host.out << job.job() << '\n';
}

}  // namespace kezek::cli
