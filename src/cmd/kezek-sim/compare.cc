#include "cmd/kezek-sim/compare.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "cmd/kezek-sim/comparison.h"
#include "cmd/kezek-sim/read_trace.h"
#include "scheduler/sim/replay/figures.h"
#include "scheduler/sim/replay/job_list.h"
#include "scheduler/sim/replay/policies.h"
#include "scheduler/sim/replay/replay.h"
#include "scheduler/sim/replay/trace.h"

namespace kezek::simcmd {
namespace {

const std::map<std::string, replay::Estimates> kEstimates = {{"oracle", replay::Estimates::kOracle},
                                                             {"noisy", replay::Estimates::kNoisy},
                                                             {"none", replay::Estimates::kNone},
                                                             {"user", replay::Estimates::kUser}};
const std::map<std::string, ProjectRule> kRules = {{"fair", ProjectRule::kFair},
                                                   {"fifo", ProjectRule::kFifo},
                                                   {"shortest", ProjectRule::kShortest}};
const std::map<std::string, replay::Shares> kShares = {{"equal", replay::Shares::kEqual},
                                                       {"demand", replay::Shares::kDemand}};

template <class Value>
std::vector<std::string> NamesOf(const std::map<std::string, Value>& map) {
  std::vector<std::string> names;
  for (const auto& [name, value] : map) names.push_back(name);
  return names;
}

std::vector<std::string> PolicyNames() {
  std::vector<std::string> names;
  for (const replay::NamedPolicy& policy : replay::Policies()) names.emplace_back(policy.name);
  return names;
}

std::string PolicyHelp() {
  std::string text = "Policies:\n";
  for (const replay::NamedPolicy& policy : replay::Policies()) {
    std::string name(policy.name);
    name.resize(14, ' ');
    text += "  " + name + " " + std::string(policy.about) + "\n";
  }
  return text;
}

int Fail(const std::string& message) {
  std::cerr << "kezek-sim: " << message << "\n";
  return 2;
}

// Of this thread's processor time: other work on the machine does not lengthen a tick.
std::int64_t NowNs() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// One line on standard error that is written over; where it is no terminal, a line each tenth.
void ShowProgress(const std::string& policy, std::int64_t ended, std::int64_t of,
                  std::int64_t& shown) {
  if (isatty(STDERR_FILENO) != 0) {
    std::cerr << "\r\033[K" << policy << ": " << ended << " of " << of << " jobs" << std::flush;
  } else if (ended * 10 / of > shown * 10 / of) {
    std::cerr << policy << ": " << ended << " of " << of << " jobs" << std::endl;
  }
  shown = ended;
}

void ClearProgress() {
  if (isatty(STDERR_FILENO) != 0) std::cerr << "\r\033[K" << std::flush;
}

bool WriteFile(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  return file.good();
}

// "name=64": the group and its nodes.
std::optional<std::pair<std::string, std::int64_t>> GroupNodes(const std::string& text) {
  const std::size_t sign = text.rfind('=');
  if (sign == std::string::npos || sign == 0) return std::nullopt;
  const std::string digits = text.substr(sign + 1);
  if (digits.empty() || digits.size() > 6 ||
      digits.find_first_not_of("0123456789") != std::string::npos) {
    return std::nullopt;
  }
  return std::pair{text.substr(0, sign), std::int64_t{std::stoll(digits)}};
}

}  // namespace

struct CompareCommand::Options {
  CLI::App* compare = nullptr;
  CLI::App* replay = nullptr;
  std::string trace;
  std::string estimates = "oracle";
  std::string shares;
  std::string rule = "fair";
  std::vector<std::string> groups;
  std::optional<int> guarantee;
  std::vector<std::string> policies = PolicyNames();
  std::string policy = "kezek";
  std::string svg;
  std::string jobs_file;
  bool json = false;
  replay::ListOptions list;
  replay::ReplayOptions run;
  replay::KezekRules kezek;
  replay::MultifactorRules multifactor;

  void AddTo(CLI::App& command);
  void AddRules(CLI::App& command);
  Result<std::vector<replay::TraceRow>> Rows();
  Result<void> Complete();
  std::string PhasesText() const;
  int RunPolicies(Comparison& comparison);
  int Write(const Comparison& comparison) const;
  bool WriteJobs(const replay::JobList& done, const replay::ReplayResult& result) const;

  bool phases = false;
  std::map<std::string, std::int64_t> phase_ns;
  std::int64_t phase_began_ns = 0;
};

namespace {

constexpr const char* kCompareExamples = R"(Examples:
  kezek-sim compare --trace alcf_theta --capacity 4392 --estimates user
  kezek-sim compare --trace philly --capacity 2816 --from 4062780 --until 9333120 --split \
    --vc 6214e9=64,7f04ca=32 --rule shortest --estimates noisy --json
  kezek-sim compare --trace my.csv.gz --capacity 512 --policies easy,kezek --svg plots
A name is looked for in the folder KEZEK_TRACES, or ../shared/traces. docs/simulator.md says what
every figure means.)";

constexpr const char* kReplayExamples = R"(Examples:
  kezek-sim replay --trace alcf_thetagpu --capacity 24 --estimates user --jobs-csv waits.csv
  kezek-sim replay --trace alibaba_lingjun2023 --capacity 6776 --scale-load 0.9 --policy easy)";

}  // namespace

void CompareCommand::Options::AddTo(CLI::App& command) {
  command.add_option("--trace", trace, "a file, or the name of one in KEZEK_TRACES")
      ->required()
      ->type_name("TRACE");
  command.add_option("--capacity", list.capacity_gpus, "GPUs of the machine [what the trace says]")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{10'000'000}))
      ->type_name("GPUS");
  command
      .add_option("--gpus-per-node", list.gpus_per_node,
                  "[what the trace says, else 8, or 1 where every row has as many nodes as GPUs]")
      ->check(CLI::Range(1, 1024));
  command.add_option("--from", list.from_s, "only jobs submitted then or later")->type_name("S");
  command.add_option("--until", list.until_s, "only jobs submitted before")->type_name("S");
  command.add_flag("--unfinished", list.unfinished,
                   "jobs without a run time run for as long as they asked for; else left out");
  command.add_flag("--split", list.split, "groups kept apart, each on nodes of its own");
  command
      .add_option("--vc", groups,
                  "nodes of each group, which are its share; jobs of others are left out")
      ->delimiter(',')
      ->type_name("GROUP=NODES");
  command.add_option("--shares", shares, "of groups without --vc [equal; with --split demand]")
      ->check(CLI::IsMember(NamesOf(kShares)));
  command.add_option("--estimates", estimates, "what schedulers know of run times")
      ->check(CLI::IsMember(NamesOf(kEstimates)))
      ->capture_default_str();
  command.add_option("--scale-load", list.load, "move submissions closer, to this load")
      ->type_name("LOAD");
  command.add_option("--seed", list.seed, "of noisy estimates")->capture_default_str();
  AddRules(command);
  command.add_flag("--phases", phases, "where kezek's ticks spend their time, to standard error");
  command.add_flag("--json", json, "one JSON object instead of tables");
  command.add_option("--svg", svg, "write plots into this folder")->type_name("DIR");
}

// How the schedulers decide, and what a preemption costs.
void CompareCommand::Options::AddRules(CLI::App& command) {
  command.add_option("--rule", rule, "of kezek's projects")
      ->check(CLI::IsMember(NamesOf(kRules)))
      ->capture_default_str();
  command
      .add_option("--guarantee", guarantee,
                  "of each group's part of the machine, that kezek guarantees [100 with --vc, "
                  "else 0]")
      ->check(CLI::Range(0, 100))
      ->type_name("PERCENT");
  command
      .add_option("--age-max", kezek.age_max_s,
                  "rule shortest: who has waited for longer while the group ran goes first")
      ->check(CLI::Range(std::int64_t{60}, std::int64_t{1'000'000'000}))
      ->type_name("S")
      ->capture_default_str();
  command.add_option("--heartbeat", kezek.ask_s, "kezek decides so often besides; 0: at events")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{86'400}))
      ->type_name("S")
      ->capture_default_str();
  command.add_option("--reservations", kezek.reservations, "kezek: alive in each pool; 0: none")
      ->check(CLI::Range(0, 1000))
      ->type_name("N")
      ->capture_default_str();
  command
      .add_option("--reserve-after", kezek.reserve_after_s,
                  "kezek: who has waited for less has none [the longest limit, at most 7 days]")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1'000'000'000}))
      ->type_name("S");
  command
      .add_option("--reserve-width", kezek.reserve_width_percent,
                  "kezek: who asks for less of the nodes has none")
      ->check(CLI::Range(0, 100))
      ->type_name("PERCENT")
      ->capture_default_str();
  command
      .add_option("--foresee", kezek.foresee_s,
                  "kezek estimates starts so often, and says how far off they were; 0: never")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1'000'000}))
      ->type_name("S")
      ->capture_default_str();
  command
      .add_option("--calc-period", multifactor.period_s,
                  "multifactor works priorities out so often (PriorityCalcPeriod)")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{86'400}))
      ->type_name("S")
      ->capture_default_str();
  command.add_option("--grace", run.grace_s, "from preemption to end")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{86'400}))
      ->type_name("S")
      ->capture_default_str();
  command.add_option("--checkpoint", run.checkpoint_s, "jobs save so often; 0: never")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1'000'000'000}))
      ->type_name("S")
      ->capture_default_str();
}

CompareCommand::CompareCommand(CLI::App& app) : options_(std::make_unique<Options>()) {
  options_->compare = app.add_subcommand("compare", "schedulers beside each other on a trace");
  options_->AddTo(*options_->compare);
  options_->compare->add_option("--policies", options_->policies, "[all]")
      ->delimiter(',')
      ->check(CLI::IsMember(PolicyNames()))
      ->type_name("A,B,...");
  options_->compare->footer(PolicyHelp() + "\n" + kCompareExamples);
  options_->replay =
      app.add_subcommand("replay", "one scheduler on a trace, with every job's wait");
  options_->AddTo(*options_->replay);
  options_->replay->add_option("--policy", options_->policy, "see kezek-sim compare --help")
      ->check(CLI::IsMember(PolicyNames()))
      ->capture_default_str();
  options_->replay
      ->add_option("--jobs-csv", options_->jobs_file,
                   "write job_id, submit_s, start_s, end_s, gpus, preemptions of every job")
      ->type_name("FILE");
  options_->replay->footer(kReplayExamples);
}

CompareCommand::~CompareCommand() = default;

bool CompareCommand::parsed() const {
  return options_->compare->parsed() || options_->replay->parsed();
}

Result<std::vector<replay::TraceRow>> CompareCommand::Options::Rows() {
  const char* const folder = std::getenv("KEZEK_TRACES");
  const Result<std::string> path =
      FindTrace(trace, folder == nullptr || *folder == '\0' ? "../shared/traces" : folder);
  if (!path) return path.error();
  const Result<std::string> text = ReadFile(*path);
  if (!text) return text.error();
  const replay::TraceMachine machine = replay::ParseMachine(*text);
  if (list.capacity_gpus == 0) list.capacity_gpus = machine.gpus;
  if (list.gpus_per_node == 0) list.gpus_per_node = machine.gpus_per_node;
  if (list.capacity_gpus == 0) {
    return Error{Code::kInvalidArgument,
                 "--capacity: " + *path + " does not say how many GPUs its machine has",
                 {}};
  }
  Result<std::vector<replay::TraceRow>> rows = replay::ParseTrace(*text);
  if (!rows) return Error{rows.error().code, *path + ": " + rows.error().message, {}};
  return rows;
}

// What the parser could not put into its place.
Result<void> CompareCommand::Options::Complete() {
  list.estimates = kEstimates.at(estimates);
  list.shares = kShares.at(!shares.empty() ? shares : list.split ? "demand" : "equal");
  kezek.rule = kRules.at(rule);
  for (const std::string& text : groups) {
    const auto group = GroupNodes(text);
    if (!group) {
      return Error{
          Code::kInvalidArgument, "--vc: '" + text + "' is not GROUP=NODES, as in 6214e9=64", {}};
    }
    list.group_nodes.push_back(*group);
  }
  kezek.guarantee_percent = guarantee.value_or(groups.empty() ? 0 : 100);
  kezek.grace_s = run.grace_s;
  run.stopwatch_ns = [this] { return phase_began_ns = NowNs(); };
  if (replay->parsed()) policies = {policy};
  if (!phases) return {};
  kezek.phase_ended = [this](std::string_view phase) {
    const std::int64_t now_ns = NowNs();
    phase_ns[std::string(phase)] += now_ns - phase_began_ns;
    phase_began_ns = now_ns;
  };
  return {};
}

std::string CompareCommand::Options::PhasesText() const {
  std::string text = "phases of kezek's ticks:";
  for (const auto& [phase, ns] : phase_ns) {
    text += " " + phase + " " + std::to_string(ns / 1'000'000) + " ms";
  }
  return text + "\n";
}

bool CompareCommand::Options::WriteJobs(const replay::JobList& done,
                                        const replay::ReplayResult& result) const {
  std::string text = "job_id,submit_s,start_s,end_s,gpus,preemptions\n";
  for (std::size_t i = 0; i < done.jobs.size(); ++i) {
    const replay::Job& job = done.jobs[i];
    const replay::JobRecord& record = result.jobs[i];
    text += job.id + "," + std::to_string(job.submit_s) + "," + std::to_string(record.start_s) +
            "," + std::to_string(record.end_s) + "," + std::to_string(job.gpus) + "," +
            std::to_string(record.preemptions) + "\n";
  }
  return WriteFile(jobs_file, text);
}

int CompareCommand::Options::RunPolicies(Comparison& comparison) {
  for (const std::string& name : policies) {
    std::int64_t shown = 0;
    run.progress = [&](std::int64_t ended, std::int64_t of) {
      ShowProgress(name, ended, of, shown);
    };
    const auto scheduler = replay::MakePolicy(name, comparison.list, kezek, multifactor);
    const std::int64_t began_ns = NowNs();
    const replay::ReplayResult result = replay::Replay(comparison.list, *scheduler, run);
    ClearProgress();
    std::cerr << name << ": " << comparison.list.jobs.size() << " jobs in "
              << (NowNs() - began_ns) / 1'000'000 << " ms of processor time\n";
    if (name == "kezek" && phases) std::cerr << PhasesText();
    comparison.policies.push_back(replay::Summarise(name, comparison.list, result));
    comparison.policies.back().parameters = scheduler->Parameters();
    if (!jobs_file.empty() && !WriteJobs(comparison.list, result)) {
      return Fail("--jobs-csv: " + jobs_file + " cannot be written");
    }
  }
  return 0;
}

int CompareCommand::Options::Write(const Comparison& comparison) const {
  std::cout << (json ? JsonText(comparison) : TableText(comparison)) << std::flush;
  if (svg.empty()) return 0;
  const std::filesystem::path folder(svg);
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (!WriteFile(folder / "waits.svg", WaitPlot(comparison)) ||
      !WriteFile(folder / "utilisation.svg", UtilisationPlot(comparison))) {
    return Fail("--svg: no plots can be written into " + svg);
  }
  return 0;
}

int CompareCommand::Run() {
  Options& options = *options_;
  if (const Result<void> complete = options.Complete(); !complete) {
    return Fail(complete.error().message);
  }
  const Result<std::vector<replay::TraceRow>> rows = options.Rows();
  if (!rows) return Fail(rows.error().message);
  Result<replay::JobList> list = replay::MakeJobList(*rows, options.list);
  if (!list) return Fail(options.trace + ": " + list.error().message);
  Comparison comparison{.trace = std::filesystem::path(options.trace).filename().string(),
                        .estimates = options.estimates,
                        .seed = options.list.seed,
                        .list = *std::move(list),
                        .policies = {}};
  if (const int failed = options.RunPolicies(comparison); failed != 0) return failed;
  return options.Write(comparison);
}

}  // namespace kezek::simcmd
