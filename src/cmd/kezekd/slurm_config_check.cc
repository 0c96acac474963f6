#include "cmd/kezekd/slurm_config_check.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <optional>
#include <set>
#include <sstream>
#include <thread>
#include <utility>

extern char** environ;

namespace kezek::kezekd {
namespace {

using Findings = std::vector<Finding>;
using SlurmConfig = std::map<std::string, std::string>;

constexpr std::chrono::seconds kScontrolFor{8};
constexpr std::size_t kOutputMost = std::size_t{1} << 20;

ScontrolAnswer Finish(pid_t child, int pipe) {
  ScontrolAnswer ran;
  const auto end = std::chrono::steady_clock::now() + kScontrolFor;
  std::array<char, 4096> buffer{};
  bool complete = false;
  while (ran.output.size() < kOutputMost) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    pollfd wait{pipe, POLLIN, 0};
    if (left.count() <= 0) break;
    const int ready = ::poll(&wait, 1, static_cast<int>(left.count()));
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) break;
    const ssize_t size = ::read(pipe, buffer.data(), buffer.size());
    if (size <= 0) {
      complete = true;
      break;
    }
    ran.output.append(buffer.data(), static_cast<std::size_t>(size));
  }
  // Who has said all may yet hang.
  int status = 0;
  pid_t ended = 0;
  while (complete && ended == 0 && std::chrono::steady_clock::now() < end) {
    ended = ::waitpid(child, &status, WNOHANG);
    if (ended == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  if (ended == 0) {
    ::kill(child, SIGKILL);
    ended = ::waitpid(child, &status, 0);
  }
  if (ended == child && WIFEXITED(status)) ran.status = WEXITSTATUS(status);
  return ran;
}

// Its value; empty: it is not told, or "(null)".
std::string ValueOf(const SlurmConfig& config, const std::string& key) {
  const auto found = config.find(key);
  return found == config.end() || found->second == "(null)" ? "" : found->second;
}

std::set<std::string> WordsOf(const std::string& text) {
  std::set<std::string> words;
  std::istringstream in(text);
  for (std::string word; std::getline(in, word, ',');) words.insert(word);
  return words;
}

// "10 sec" as 10; nothing if it is not told.
std::optional<std::int64_t> NumberOf(const SlurmConfig& config, const std::string& key) {
  const std::string text = ValueOf(config, key);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  return value;
}

class Judge {
 public:
  explicit Judge(const SlurmConfig& config) : config_(config) {}

  // Of a list these must be there.
  void Holds(CheckState state, const std::string& key, const std::vector<std::string>& words,
             const std::string& why) {
    if (!config_.contains(key)) return;
    std::set<std::string> told = WordsOf(ValueOf(config_, key));
    std::string lacking;
    for (const std::string& word : words) {
      if (told.insert(word).second) lacking += (lacking.empty() ? "" : ",") + word;
    }
    if (lacking.empty()) return;
    std::string all;
    for (const std::string& word : told) all += (all.empty() ? "" : ",") + word;
    Say(state, key, "lacks " + lacking + ": " + why, key + "=" + all);
  }
  void Is(CheckState state, const std::string& key, const std::string& value,
          const std::string& why) {
    if (!config_.contains(key) || ValueOf(config_, key) == value) return;
    Say(state, key, "is " + ValueOf(config_, key) + ": " + why, key + "=" + value);
  }
  void AtLeast(CheckState state, const std::string& key, std::int64_t least,
               const std::string& why) {
    const auto number = NumberOf(config_, key);
    if (!number || *number >= least) return;
    Say(state, key, "is " + std::to_string(*number) + ": " + why,
        key + "=" + std::to_string(least));
  }
  void AtMost(CheckState state, const std::string& key, std::int64_t most, const std::string& why,
              const std::string& mend) {
    const auto number = NumberOf(config_, key);
    if (!number || *number <= most) return;
    Say(state, key, "is " + std::to_string(*number) + ": " + why, mend);
  }

  void Say(CheckState state, const std::string& key, const std::string& what,
           const std::string& mend) {
    findings_.push_back({state, key + " " + what, "slurm.conf: " + mend});
  }
  Findings Take() { return std::move(findings_); }

 private:
  const SlurmConfig& config_;
  Findings findings_;
};

void JudgeSchedulerParameters(const SlurmConfig& config, Judge* judge) {
  if (!config.contains("SchedulerParameters")) return;
  const auto words = WordsOf(ValueOf(config, "SchedulerParameters"));
  const bool at_once = words.contains("batch_sched_delay=0");
  const bool often = words.contains("bf_interval=1");
  if (at_once && often) return;
  judge->Say(CheckState::kWarning, "SchedulerParameters",
             "lets a released job wait up to half a minute",
             "SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1");
}

}  // namespace

std::optional<ScontrolAnswer> ShowByScontrol(const std::string& what) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return std::nullopt;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
  std::array<std::string, 3> words{"scontrol", "show", what};
  std::array<char*, 4> arguments{words[0].data(), words[1].data(), words[2].data(), nullptr};
  pid_t child = 0;
  const int error =
      ::posix_spawnp(&child, "scontrol", &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  std::optional<ScontrolAnswer> ran;
  if (error == 0) ran = Finish(child, ends[0]);
  ::close(ends[0]);
  return ran;
}

std::map<std::string, std::string> ReadSlurmConfig(const std::string& text) {
  SlurmConfig config;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto equals = line.find('=');
    if (equals == std::string::npos) continue;
    const auto trim = [](std::string word) {
      word.erase(0, word.find_first_not_of(" \t"));
      word.erase(word.find_last_not_of(" \t\r") + 1);
      return word;
    };
    config[trim(line.substr(0, equals))] = trim(line.substr(equals + 1));
  }
  return config;
}

std::vector<Finding> JudgeSlurmConfig(const std::map<std::string, std::string>& config,
                                      const SlurmExpectations& expectations) {
  using enum CheckState;
  Judge judge(config);
  judge.Holds(kProblem, "AuthAltTypes", {"auth/jwt"}, "slurmrestd takes no token");
  judge.Is(kProblem, "SelectType", "select/cons_tres", "GPUs are not given out one by one");
  judge.Holds(kProblem, "GresTypes", {"gpu"}, "there are no GPUs to give");
  judge.Is(kProblem, "AccountingStorageType", "accounting_storage/slurmdbd",
           "ends are lost when slurmctld forgets a job");
  judge.Holds(kProblem, "AccountingStorageTRES", {"gres/gpu"},
              "the accounting does not say how many GPUs a run had");
  judge.Holds(kWarning, "AccountingStoreFlags", {"job_comment"},
              "the accounting does not say which runs are Kezek's");
  judge.Holds(kWarning, "AccountingStorageEnforce", {"associations"},
              "who has no account in Slurm may run jobs beside Kezek");
  judge.Holds(kWarning, "PrivateData", {"accounts", "jobs", "reservations", "usage", "users"},
              "institutions see each other's in Slurm");
  judge.Is(kWarning, "JobRequeue", "0", "Kezek decides what runs again");
  judge.AtMost(kProblem, "MessageTimeout", expectations.message_timeout_ms / kSecondMs,
               "a lost request may act later than kezekd takes it to",
               "or kezekd.yaml: slurm.message_timeout, no less than it");
  judge.AtMost(kProblem, "KillWait", expectations.kill_margin_ms / kSecondMs,
               "a job may run on for longer than is held for it",
               "or kezekd.yaml: scheduling.kill_margin, no less than it");
  judge.AtLeast(kWarning, "MinJobAge", 60, "what ended is forgotten before kezekd has seen it");
  judge.AtMost(kWarning, "MinJobAge", 3600, "listings are long, and news of jobs late",
               "MinJobAge=300");
  judge.AtLeast(kWarning, "MaxJobCount", 10'000, "jobs are refused when so many are known");
  const auto first = NumberOf(config, "FirstJobId");
  const auto last = NumberOf(config, "MaxJobId");
  if (first && last && *last - *first < 100'000) {
    judge.Say(kWarning, "MaxJobId",
              "comes round after " + std::to_string(*last - *first) +
                  " jobs: what an id means is soon forgotten",
              "MaxJobId=67043328");
  }
  JudgeSchedulerParameters(config, &judge);
  Findings findings = judge.Take();
  if (findings.empty()) findings.push_back({kOk, "slurm.conf suits Kezek", ""});
  return findings;
}

SiteCheck SlurmConfigCheck(const SlurmExpectations& expectations) {
  return {
      "slurm-config", [expectations](const auto&) -> Findings {
        const auto ran = ShowByScontrol("config");
        const std::string mend =
            "install slurm-client and slurm.conf on kezekd's host to have it looked at";
        if (!ran) return {{CheckState::kNotLookedAt, "there is no scontrol on this host", mend}};
        if (ran->status != 0) {
          const std::string words = ran->output.substr(0, ran->output.find('\n'));
          return {{CheckState::kNotLookedAt,
                   "scontrol show config: " + (words.empty() ? "no answer" : words.substr(0, 200)),
                   mend}};
        }
        return JudgeSlurmConfig(ReadSlurmConfig(ran->output), expectations);
      }};
}

}  // namespace kezek::kezekd
