#include <kezek/v1/access.pb.h>
#include <kezek/v1/job_service.pb.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <istream>
#include <ostream>
#include <sstream>
#include <utility>

#include "cmd/kezek/commands.h"
#include "cmd/kezek/help.h"
#include "cmd/kezek/job_file.h"
#include "cmd/kezek/jobs.h"
#include "cmd/kezek/logs.h"
#include "cmd/kezek/nearest.h"
#include "cmd/kezek/outlook_text.h"
#include "cmd/kezek/render.h"
#include "cmd/kezek/spec.h"
#include "cmd/kezek/usage_error.h"
#include "script/option_table.h"
#include "script/parse.h"

namespace kezek::cli {
namespace {

struct SubmitFlags {
  bool follow = false;
  bool dry_run = false;
  bool help = false;
  std::string on_behalf_of;
  std::string key;
};

// Claims what is not an option of the job: submit's own flags and those every command has.
script::OtherParser OwnFlags(Session& session, SubmitFlags& flags) {
  return [&session, &flags](const std::string& first, const std::string* next) {
    const std::size_t equals = first.find('=');
    const std::string name = first.substr(0, equals);
    const auto value = [&]() -> std::string {
      return equals != std::string::npos ? first.substr(equals + 1) : next ? *next : "";
    };
    const int taken = equals != std::string::npos || next == nullptr ? 1 : 2;
    const std::vector<std::string>& formats = FormatNames();
    const auto is_format = [&formats](const std::string& text) {
      return std::find(formats.begin(), formats.end(), text) != formats.end();
    };
    if (first == "--follow" || first == "-f") return flags.follow = true, 1;
    if (first == "--dry-run") return flags.dry_run = true, 1;
    if (first == "--help" || first == "-h") return flags.help = true, 1;
    // -o names a file, as sbatch has it, unless it names a format.
    if (first == "-o" && next != nullptr && is_format(*next)) {
      return session.format_name = *next, 2;
    }
    if (name == "--format") return session.format_name = value(), taken;
    if (name == "--context") return session.flags.context = value(), taken;
    if (name == "--endpoint") return session.flags.endpoint = value(), taken;
    if (name == "--config") return session.flags.config = value(), taken;
    if (name == "--on-behalf-of") return flags.on_behalf_of = value(), taken;
    if (name == "--key") return flags.key = value(), taken;
    return 0;
  };
}

Result<std::string> ReadScript(const Host& host, const std::string& path) {
  if (path == "-") {
    std::ostringstream text;
    text << host.in->rdbuf();
    return text.str();
  }
  const std::string full = path.starts_with('/') ? path : host.directory + "/" + path;
  std::error_code failed;
  if (!std::filesystem::exists(full, failed)) {
    return Error{
        Code::kNotFound,
        "there is no script " + path + "\nA command stands after --: kezek submit -- " + path,
        {}};
  }
  std::ifstream file(full, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  if (!file || std::filesystem::is_directory(full, failed)) {
    return Error{Code::kNotFound, path + " cannot be read", {}};
  }
  return text.str();
}

// The script, from where the command line says: a file, standard input, --wrap, or a command.
Result<Draft> TakeScript(const Host& host, const script::ParsedFlags& flags,
                         const script::BatchOptions& options) {
  Draft draft;
  std::vector<std::string> operands = flags.operands;
  if (options.wrap) {
    if (!operands.empty()) return BadUsage("--wrap: a script or command is given, too");
    draft.script = "#!/bin/sh\n" + options.wrap->value + "\n";
    draft.default_name = draft.file = "wrap";
    return draft;
  }
  // As sbatch does: without a script, what is piped in is one.
  if (operands.empty() && !flags.after_dashes && !host.in_is_terminal) operands = {"-"};
  if (operands.empty()) {
    return BadUsage(
        "no script: name one, or a command after --\n"
        "kezek submit train.sh · kezek submit --gpus 1 -- python train.py · kezek submit --help");
  }
  const std::filesystem::path path(operands[0]);
  draft.default_name = path.filename().string();
  if (flags.after_dashes) {
    draft.script = "#!/bin/bash\nexec";
    for (const std::string& word : operands) draft.script += " " + ShellQuoted(word);
    draft.script += "\n";
    draft.file = "command";
    return draft;
  }
  draft.file = operands[0] == "-" ? "standard input" : operands[0];
  if (operands[0] == "-") draft.default_name = "stdin";
  draft.arguments.assign(operands.begin() + 1, operands.end());
  Result<std::string> text = ReadScript(host, operands[0]);
  if (!text) return text.error();
  draft.script = std::move(*text);
  return draft;
}

// As far as can be told before the arguments are read.
bool AsksToWait(const std::vector<std::string>& arguments) {
  const auto end = std::find(arguments.begin(), arguments.end(), "--");
  return std::any_of(arguments.begin(), end, [](const std::string& word) {
    return word == "-W" || word == "--wait" || word == "-f" || word == "--follow";
  });
}

// Whether the first word that is neither an option nor the value of one is a job file. A command
// line that cannot be read names none.
bool NamesJobFile(Session& session, const std::vector<std::string>& arguments) {
  SubmitFlags flags;
  script::BatchOptions options;
  const Result<script::ParsedFlags> parsed =
      script::ParseFlags(arguments, session.host.now_ms(), OwnFlags(session, flags), options);
  return parsed && !parsed->after_dashes && !parsed->operands.empty() &&
         IsJobFile(parsed->operands.front());
}

// Everything the user wrote, flags over script.
Result<Draft> MakeDraft(Session& session, const std::vector<std::string>& arguments,
                        SubmitFlags& flags, std::vector<std::string>& warnings) {
  const std::int64_t now_ms = session.host.now_ms();
  const script::OtherParser own = OwnFlags(session, flags);
  script::BatchOptions from_flags;
  Result<script::ParsedFlags> parsed = script::ParseFlags(arguments, now_ms, own, from_flags);
  if (!parsed) return parsed.error();
  if (flags.help) return Draft{};
  const std::vector<std::string>& formats = FormatNames();
  if (std::find(formats.begin(), formats.end(), session.format_name) == formats.end()) {
    return BadUsage("--format: '" + session.format_name + "' is not " + Listed(formats) +
                    DidYouMean(session.format_name, formats));
  }
  Result<Draft> draft = TakeScript(session.host, *parsed, from_flags);
  if (!draft) return draft;
  Result<script::ParsedScript> script = script::ParseScript(draft->script, draft->file, now_ms);
  if (!script) return script.error();
  draft->options = std::move(script->options);
  // Once more, over what the script says.
  parsed = script::ParseFlags(arguments, now_ms, own, draft->options);
  if (!parsed) return parsed.error();
  warnings = std::move(script->warnings);
  warnings.insert(warnings.end(), parsed->warnings.begin(), parsed->warnings.end());
  return draft;
}

// `Job 48211 queued: 4 nodes × 8 H200 under one leaf, 12 h, project alem-llm (…)`.
void PrintTaken(const Host& host, const v1::SubmitResponse& answer) {
  const v1::Job& job = answer.job();
  std::string text = "Job " + job.job() + " " + StateName(job);
  if (answer.has_dry_run()) text = "Not submitted";
  if (job.state() != v1::JOB_STATE_QUEUED && !job.attempts().empty()) {
    text += " on " + job.attempts().rbegin()->placement().node_list();
  } else {
    if (job.has_array()) text += ": " + Count(job.array().total(), "element");
    text += (job.has_array() ? ", each " : ": ") + JobShape(job);
    text += ", " + Length(job.resolved().time_limit_ms());
    text += ", project " + (job.project().empty() ? job.resolved().project() : job.project());
  }
  *host.out << text << '\n';
  if (answer.has_dry_run()) return PrintDryRun(host, answer.dry_run());
  // At once there is nothing to say but that it was submitted.
  if (job.state() != v1::JOB_STATE_QUEUED || job.reason().code() == "SUBMITTED") return;
  if (job.reason().sentence().empty()) return;
  *host.out << job.reason().sentence() << " kezek why " << job.job() << " tells more.\n";
}

void PrintAnswer(Session& session, const v1::SubmitResponse& answer, bool parsable) {
  if (PrintMessage(session.host, session.format(), answer)) return;
  if (session.format() == Format::kName || parsable) {
    const bool dry = answer.has_dry_run();
    *session.host.out << (dry ? answer.dry_run().reason().code() : answer.job().job()) << '\n';
  } else {
    PrintTaken(session.host, answer);
  }
}

// What the server warns of, less what was said here already, with its line.
void PrintServerWarnings(const Host& host, const script::BatchOptions& options,
                         const v1::SubmitResponse& answer) {
  for (const v1::Reason& warning : answer.warnings()) {
    const auto field = warning.fields().find("field");
    const bool said =
        field != warning.fields().end() &&
        std::any_of(options.ignored.begin(), options.ignored.end(),
                    [&field](const auto& ignored) { return ignored.value == field->second; });
    if (!said) PrintWarning(host, warning.sentence());
  }
}

// An option that there is not, with the one that may have been meant.
Error WithOption(Error error, const CLI::App& command) {
  const std::size_t end = error.message.find(": no such option");
  if (end == std::string::npos) return error;
  const std::size_t start = error.message.rfind("--", end);
  if (start == std::string::npos) return error;
  const std::string name = error.message.substr(start, end - start);
  std::vector<std::string> names;
  for (const Choice& option : OptionsOf(command)) {
    names.insert(names.end(), option.names.begin(), option.names.end());
  }
  error.message += DidYouMean(name.substr(0, name.find_first_of("= ")), names) + "\nSee " +
                   FullName(command) + " --help";
  error.details.clear();
  return error;
}

// A project that there is not, with the caller's own that may have been meant.
Error WithProject(Session& session, Error error, const Draft& draft) {
  const auto is_project = [](const FieldError& detail) {
    return detail.reason == "PROJECT_NOT_FOUND";
  };
  if (std::none_of(error.details.begin(), error.details.end(), is_project)) return error;
  const std::string written =
      draft.options.project ? draft.options.project->value : draft.default_project;
  const Result<v1::WhoAmIResponse> who = Ask<v1::WhoAmIResponse>(session, v1::WhoAmIRequest());
  if (!who) return error;
  std::vector<std::string> names;
  for (const std::string& path : who->projects()) {
    names.push_back(path.substr(path.rfind('/') + 1));
  }
  for (const std::string& path : who->projects()) names.push_back(path);
  error.message += DidYouMean(written, names);
  return error;
}

// After the submission: the output as it comes, then the end.
Result<int> StayWith(Session& session, const v1::Job& job, bool follow) {
  session.waits_for_job = true;
  session.host.out->flush();
  if (follow) {
    v1::LogsRequest request;
    request.set_job(job.job());
    request.set_follow(true);
    const auto printed = PrintLogs(session, request);
    if (!printed) PrintWarning(session.host, "logs: " + printed.error().message);
  }
  Result<v1::GetJobsResponse> ended = AwaitJobs(session, {job.job()}, false);
  if (!ended) return ended.error();
  int code = kDone;
  for (const v1::Job& one : ended->jobs()) {
    if (session.format() == Format::kTable || session.format() == Format::kWide) {
      *session.host.err << Ending(one) << '\n';
    }
    if (code == kDone) code = ExitCodeOfJob(one);
  }
  return code;
}

}  // namespace

Result<int> RunSubmit(Session& session, const CLI::App& command,
                      const std::vector<std::string>& arguments) {
  if (NamesJobFile(session, arguments)) return SubmitJobFile(session, arguments);
  SubmitFlags flags;
  flags.follow = command.get_name() == "run";
  session.waits_for_job = flags.follow || AsksToWait(arguments);
  std::vector<std::string> warnings;
  Result<Draft> draft = MakeDraft(session, arguments, flags, warnings);
  if (!draft) return WithOption(draft.error(), command);
  if (flags.help) {
    *session.host.out << HelpText(command);
    return kDone;
  }
  Result<Client*> client = session.Connect();
  if (!client) return client.error();
  draft->default_project = session.context().project;
  Result<MadeSpec> made = MakeSpec(*draft, session.host);
  if (!made) return made.error();
  Result<void> checked = CheckPaths(made->spec, *draft);
  if (!checked) return checked.error();
  warnings.insert(warnings.end(), made->warnings.begin(), made->warnings.end());
  for (const std::string& warning : warnings) PrintWarning(session.host, warning);

  v1::SubmitRequest request;
  *request.mutable_spec() = std::move(made->spec);
  request.set_dry_run(flags.dry_run);
  request.set_user(flags.on_behalf_of);
  // The same key at every try: a lost answer does not make two jobs.
  if (flags.key.empty()) flags.key = session.host.make_key();
  if (!flags.dry_run) request.set_idempotency_key(flags.key);
  Result<v1::SubmitResponse> answer = (*client)->Call<v1::SubmitResponse>(request);
  if (!answer) return WithProject(session, Located(answer.error(), *draft), *draft);
  PrintServerWarnings(session.host, draft->options, *answer);
  PrintAnswer(session, *answer, draft->options.parsable && draft->options.parsable->value);
  const bool wait = draft->options.wait && draft->options.wait->value;
  if (flags.dry_run || (!wait && !flags.follow)) return kDone;
  return StayWith(session, answer->job(), flags.follow);
}

}  // namespace kezek::cli
