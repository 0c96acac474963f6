// `kezek submit job.yaml`, and `kezek job init`, which writes one.
#include <google/protobuf/any.pb.h>
#include <kezek/v1/job_service.pb.h>
#include <kezek/v1/status.pb.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <memory>
#include <ostream>
#include <sstream>
#include <utility>

#include "cmd/kezek/commands.h"
#include "cmd/kezek/job_file.h"
#include "cmd/kezek/jobs.h"
#include "cmd/kezek/progress.h"
#include "cmd/kezek/render.h"
#include "cmd/kezek/spec.h"
#include "cmd/kezek/usage_error.h"

namespace kezek::cli {
namespace {

// Of one call: what SubmitMany takes, and half of what a server takes of a message.
constexpr std::size_t kAtOnce = 1000;
constexpr std::size_t kBytesAtOnce = std::size_t{8} << 20;

struct FileFlags {
  std::string path;
  std::string on_behalf_of;
  std::string key;  // of all jobs together; the one of an earlier try gives its jobs back
  bool wait = false;
  bool parsable = false;
};

// All that may stand beside a job file: it says itself what its jobs are.
Result<FileFlags> ReadFlags(Session& session, const std::vector<std::string>& arguments) {
  FileFlags flags;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    std::string* value = name == "-o" || name == "--format" ? &session.format_name
                         : name == "--context"              ? &session.flags.context
                         : name == "--endpoint"             ? &session.flags.endpoint
                         : name == "--config"               ? &session.flags.config
                         : name == "--on-behalf-of"         ? &flags.on_behalf_of
                         : name == "--key"                  ? &flags.key
                                                            : nullptr;
    if (value != nullptr) {
      if (equals == std::string::npos && i + 1 == arguments.size()) {
        return BadUsage(word + ": the value is missing");
      }
      *value = equals == std::string::npos ? arguments[++i] : word.substr(equals + 1);
    } else if (word == "-W" || word == "--wait") {
      flags.wait = true;
    } else if (word == "--parsable") {
      flags.parsable = true;
    } else if (!word.starts_with('-') && flags.path.empty()) {
      flags.path = word;
    } else {
      return BadUsage(word +
                      ": a job file says itself what its jobs are; beside it stand only "
                      "--wait, --parsable, --key and --format: write it into the file");
    }
  }
  return flags;
}

Result<std::string> ReadText(const Host& host, const std::string& path) {
  const std::string full = path.starts_with('/') ? path : host.directory + "/" + path;
  std::ifstream file(full, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file) return Error{Code::kNotFound, path + " cannot be read", {}};
  return text.str();
}

std::string Below(const std::string& folder, const std::string& path) {
  return path.empty() || path.starts_with('/') ? path : folder + "/" + path;
}

// What the file leaves to the one who submits: as with a script without options.
Result<v1::JobSpec> Complete(Session& session, const FileFlags& flags, const FileJob& job) {
  Draft draft;
  draft.file = flags.path;
  draft.default_name = std::filesystem::path(flags.path).stem().string();
  draft.default_project = session.context().project;
  Host host = session.host;
  if (job.has_environment) host.environment.clear();  // nothing is taken of it, nor said about it
  Result<MadeSpec> made = MakeSpec(draft, host);
  if (!made) return made.error();
  for (const std::string& warning : made->warnings) PrintWarning(session.host, warning);
  v1::JobSpec& spec = made->spec;
  if (job.has_environment) spec.clear_environment();
  if (job.spec.rlimits_size() > 0) spec.clear_rlimits();
  spec.MergeFrom(job.spec);
  spec.set_working_dir(Below(session.host.directory, spec.working_dir()));
  for (std::string* path :
       {spec.mutable_stdin_path(), spec.mutable_stdout_path(), spec.mutable_stderr_path()}) {
    *path = Below(spec.working_dir(), *path);
  }
  Result<void> checked = CheckPaths(spec, draft);
  if (!checked) return checked.error();
  return std::move(spec);
}

Error At(Error error, const FileFlags& flags, const FileJob& job) {
  error.message = flags.path + " line " + std::to_string(job.line) + ": " + error.message;
  return error;
}

// A refusal as SubmitMany carries it.
Error FromWire(const std::string& bytes) {
  v1::Status status;
  if (!status.ParseFromString(bytes)) return Error{Code::kInternal, "an answer without sense", {}};
  Error error{static_cast<Code>(status.code()), status.message(), {}};
  for (const google::protobuf::Any& any : status.details()) {
    v1::ErrorDetail detail;
    if (!any.UnpackTo(&detail)) continue;
    error.details.push_back({detail.field(),
                             detail.reason(),
                             detail.message(),
                             {detail.fields().begin(), detail.fields().end()}});
  }
  return error;
}

void PrintTaken(Session& session, const v1::Job& job, bool parsable) {
  if (parsable || session.format() == Format::kName) {
    *session.host.out << job.job() << '\n';
    return;
  }
  *session.host.out << "Job " + job.job() + " " + StateName(job) + ": " + job.spec().name() + ", ";
  if (job.has_array()) *session.host.out << Count(job.array().total(), "element") + ", each ";
  *session.host.out << JobShape(job) + ", " + Length(job.resolved().time_limit_ms()) << '\n';
}

// What became of one call's jobs: prints them, collects those taken, and keeps the first refusal.
struct Outcome {
  std::vector<std::string> taken;
  int code = kDone;

  void Add(Session& session, const FileFlags& flags, const FileJob& job,
           const v1::SubmitResult& result) {
    if (result.has_ok()) {
      taken.push_back(result.ok().job().job());
      for (const v1::Reason& warning : result.ok().warnings()) {
        PrintWarning(session.host, warning.sentence());
      }
      if (session.format() != Format::kJson && session.format() != Format::kYaml) {
        PrintTaken(session, result.ok().job(), flags.parsable);
      }
      return;
    }
    const Error error = At(FromWire(result.error()), flags, job);
    PrintError(session.host, error);
    if (code == kDone) code = ExitCodeOf(error.code);
  }
};

// Of work that takes a while, now and then.
void ShowProgress(Progress& progress, const std::string& what, std::size_t done, std::size_t all) {
  constexpr std::size_t kEvery = 100;
  if (all <= kEvery || done % kEvery != 0) return;
  progress.Show(what + ": " + Thousands(static_cast<std::int64_t>(done)) + " of " +
                Count(static_cast<std::int64_t>(all), "job"));
}

// How the rest gets in without what is in being submitted twice.
std::string TryAgain(const FileFlags& flags, std::size_t taken, std::size_t all) {
  return Thousands(static_cast<std::int64_t>(taken)) + " of " +
         Count(static_cast<std::int64_t>(all), "job") +
         " are known to be submitted. To try again, and submit none twice: kezek submit --key " +
         flags.key + " " + flags.path;
}

// The next jobs that go together.
v1::SubmitManyRequest NextCall(const FileFlags& flags, std::size_t first,
                               std::vector<v1::JobSpec>& specs) {
  v1::SubmitManyRequest request;
  std::size_t bytes = 0;
  for (std::size_t i = first; i < specs.size() && i - first < kAtOnce; ++i) {
    bytes += specs[i].ByteSizeLong();
    if (i > first && bytes > kBytesAtOnce) break;
    v1::SubmitRequest& one = *request.add_submissions();
    one.mutable_spec()->Swap(&specs[i]);
    one.set_user(flags.on_behalf_of);
    one.set_idempotency_key(flags.key + "-" + std::to_string(i + 1));
  }
  return request;
}

Result<Outcome> SubmitAll(Session& session, const FileFlags& flags,
                          const std::vector<FileJob>& jobs, std::vector<v1::JobSpec> specs) {
  Outcome outcome;
  v1::SubmitManyResponse all;
  Progress progress(session.host);
  for (std::size_t first = 0; first < jobs.size();) {
    const v1::SubmitManyRequest request = NextCall(flags, first, specs);
    ShowProgress(progress, "submitting", first, jobs.size());
    const auto answer = Ask<v1::SubmitManyResponse>(session, request);
    if (!answer) {
      Error error = answer.error();
      error.message += "\n" + TryAgain(flags, outcome.taken.size(), jobs.size());
      return error;
    }
    progress.Clear();
    const int count = std::min(request.submissions_size(), answer->results_size());
    for (int i = 0; i < count; ++i) {
      const std::size_t at = first + static_cast<std::size_t>(i);
      outcome.Add(session, flags, jobs[at], answer->results(i));
    }
    all.MergeFrom(*answer);
    first += static_cast<std::size_t>(request.submissions_size());
  }
  PrintMessage(session.host, session.format(), all);
  if (outcome.code != kDone && !outcome.taken.empty()) {
    PrintWarning(session.host, TryAgain(flags, outcome.taken.size(), jobs.size()));
  }
  return outcome;
}

Result<int> AwaitAll(Session& session, const Outcome& outcome) {
  session.waits_for_job = true;
  session.host.out->flush();
  Result<v1::GetJobsResponse> ended = AwaitJobs(session, outcome.taken, false);
  if (!ended) return ended.error();
  int code = outcome.code == kDone ? 0 : kOfWaiting + outcome.code;
  for (const v1::Job& job : ended->jobs()) {
    *session.host.err << Ending(job) << '\n';
    if (code == 0) code = ExitCodeOfJob(job);
  }
  return code;
}

struct InitFlags {
  std::string path = "job.yaml";
  std::string kind = "training";
  bool force = false;
};

Result<int> RunInit(Session& session, const InitFlags& flags) {
  const Result<std::string> text = JobFileTemplate(flags.kind);
  if (!text) return text.error();
  if (flags.path == "-") {
    *session.host.out << *text;
    return kDone;
  }
  const std::string full = Below(session.host.directory, flags.path);
  std::error_code failed;
  if (!flags.force && std::filesystem::exists(full, failed)) {
    return Error{Code::kAlreadyExists, flags.path + " is there: another name, or --force", {}};
  }
  std::ofstream file(full);
  file << *text;
  file.close();
  if (!file) return Error{Code::kPermissionDenied, flags.path + " cannot be written", {}};
  *session.host.out << "Wrote " << flags.path << ": edit it, then kezek submit " << flags.path
                    << '\n';
  return kDone;
}

}  // namespace

Result<int> SubmitJobFile(Session& session, const std::vector<std::string>& arguments) {
  Result<FileFlags> flags = ReadFlags(session, arguments);
  if (!flags) return flags.error();
  if (flags->key.empty()) flags->key = session.host.make_key();
  Result<std::string> text = ReadText(session.host, flags->path);
  if (!text) return text.error();
  Result<std::vector<FileJob>> jobs = ParseJobFile(*text, flags->path, session.host.now_ms());
  if (!jobs) return jobs.error();
  Result<Client*> client = session.Connect();
  if (!client) return client.error();
  std::vector<v1::JobSpec> specs;
  Progress progress(session.host);
  for (const FileJob& job : *jobs) {
    ShowProgress(progress, "checking", specs.size(), jobs->size());
    Result<v1::JobSpec> spec = Complete(session, *flags, job);
    if (!spec) return At(spec.error(), *flags, job);
    specs.push_back(std::move(*spec));
  }
  progress.Clear();
  Result<Outcome> outcome = SubmitAll(session, *flags, *jobs, std::move(specs));
  if (!outcome) return outcome.error();
  if (!flags->wait || outcome->taken.empty()) return outcome->code;
  return AwaitAll(session, *outcome);
}

void AddJob(CLI::App& app, Session& session) {
  CLI::App* job = app.add_subcommand("job", "job files");
  job->require_subcommand(1);
  CLI::App* command = job->add_subcommand("init", "write a commented job file to begin with");
  const auto flags = std::make_shared<InitFlags>();
  command->add_option("FILE", flags->path, "job.yaml if not given; - for standard output");
  command->add_option("--kind", flags->kind, "training, inference, interactive or batch");
  command->add_flag("--force", flags->force, "over a file that is there");
  command->footer(
      "Examples:\n"
      "  kezek job init\n"
      "  kezek job init --kind inference score.yaml && kezek submit score.yaml");
  command->callback([&session, flags] {
    session.action = [&session, flags] { return RunInit(session, *flags); };
  });
}

}  // namespace kezek::cli
