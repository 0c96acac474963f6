// Goal: no text, however broken, makes the reader of job files crash, hang, or refuse without a
// line; and what it takes is complete. Method: the input is read twice as a job file; both must
// agree, each refusal must begin with the file and, unless there is no job in it at all, a line,
// and each job taken must have a script, a line, and bytes that protobuf reads back.

#include <cstddef>
#include <cstdint>
#include <string>

#include "cmd/kezek/job_file.h"
#include "kezek/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::int64_t kNowMs = 1'795'000'000'000;
  const std::string text(data, data + size);
  const auto jobs = kezek::cli::ParseJobFile(text, "fuzz.yaml", kNowMs);
  const auto again = kezek::cli::ParseJobFile(text, "fuzz.yaml", kNowMs);
  KEZEK_CHECK(jobs.has_value() == again.has_value(), "the same twice");
  if (!jobs) {
    const std::string& message = jobs.error().message;
    KEZEK_CHECK(message == again.error().message, "the same refusal twice");
    KEZEK_CHECK(
        message.starts_with("fuzz.yaml line ") || message == "fuzz.yaml: there is no job in it",
        "a refusal names the line");
    return 0;
  }
  KEZEK_CHECK(!jobs->empty() && jobs->size() == again->size(), "jobs, and the same twice");
  int last = 0;
  for (const kezek::cli::FileJob& job : *jobs) {
    KEZEK_CHECK(!job.spec.script().empty(), "a job has a script");
    KEZEK_CHECK(job.line > last, "documents stand one after another");
    last = job.line;
    const std::string bytes = job.spec.SerializeAsString();
    kezek::v1::JobSpec read;
    KEZEK_CHECK(read.ParseFromString(bytes), "what is sent can be read");
  }
  return 0;
}
