// What several commands do with jobs.
#pragma once

#include <kezek/v1/job_service.pb.h>

#include <functional>
#include <string>
#include <vector>

#include "cmd/kezek/render.h"
#include "cmd/kezek/session.h"

namespace kezek::cli {

inline constexpr std::int64_t kReconnectPauseMs = 1'000;

// The server does not answer just now.
bool IsAway(const Error& error);

// The jobs of these text ids and ranges, without script and events.
Result<v1::GetJobsResponse> GetJobs(Session& session, const std::vector<std::string>& jobs);

// Waits until all of the jobs, or with `any` one of them, are final, through restarts of the
// server; says on a terminal's standard error how far they are. Returns the jobs as they are then.
Result<v1::GetJobsResponse> AwaitJobs(Session& session, const std::vector<std::string>& jobs,
                                      bool any);

// What a program that waited for the job ends with: the job's own code, and 121 if it was
// cancelled, or did not succeed and has none.
int ExitCodeOfJob(const v1::Job& job);

// `Job 48211 failed after 42 min. Ended with exit code 3.`
std::string Ending(const v1::Job& job);

// `Job 48211 is over`, with what `verdict` says; elements of an array that follow each other with
// the same verdict on one line: `Job 48300_[3-9,12] held`.
void PrintVerdicts(const Host& host, const google::protobuf::RepeatedPtrField<v1::Job>& jobs,
                   const std::function<std::string(const v1::Job&)>& verdict);

// The same, or another form of the answer.
void PrintChanged(Session& session, const google::protobuf::Message& answer,
                  const google::protobuf::RepeatedPtrField<v1::Job>& jobs,
                  const std::function<std::string(const v1::Job&)>& verdict = StateName);

}  // namespace kezek::cli
