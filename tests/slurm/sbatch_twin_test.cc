// Goal: option lines are split and read as the real sbatch splits and reads them: the same scripts
// are refused, and of those taken the same values come out. Method: random option lines, of words
// with quotes, backslashes, comment signs and blanks in all places, go to both; `sbatch -v` prints
// its options before it looks for a controller, and there is none. A failure prints the script,
// which is all that is needed to repeat it, and the seed.

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "script/parse.h"

namespace kezek::script {
namespace {

using Values = std::map<std::string, std::string>;

constexpr std::int64_t kNowMs = 1'795'246'200'000;
constexpr int kScripts = 400;

class Folder {
 public:
  Folder()
      : path_(std::filesystem::temp_directory_path() / ("kezek-twin-" + std::to_string(getpid()))) {
    std::filesystem::create_directories(path_);
    std::ofstream(path_ / "slurm.conf")
        << "ClusterName=none\nSlurmctldHost=localhost\nSlurmctldPort=1\nMessageTimeout=1\n";
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  // What sbatch prints about this script.
  std::string Ask(const std::string& script) const {
    std::ofstream(path_ / "job.sh") << script;
    const std::string command = "cd '" + path_.string() + "' && SLURM_CONF='" +
                                (path_ / "slurm.conf").string() + "' sbatch -v job.sh 2>&1";
    const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
    std::string text;
    std::array<char, 4096> buffer{};
    while (pipe != nullptr && fgets(buffer.data(), buffer.size(), pipe.get()) != nullptr) {
      text += buffer.data();
    }
    return text;
  }

 private:
  std::filesystem::path path_;
};

// The lines `sbatch: name : value`; nothing if sbatch did not get as far as to submit.
std::optional<Values> SbatchValues(const std::string& text) {
  if (text.find("Unable to contact slurm controller") == std::string::npos) return std::nullopt;
  Values values;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t colon = line.find(" : ");
    if (!line.starts_with("sbatch: ") || colon == std::string::npos) continue;
    std::string name = line.substr(8, colon - 8);
    name.erase(name.find_last_not_of(' ') + 1);
    if (name == "verbose") continue;
    // Two options with one variable, printed under the names that were used.
    if (name == "no-requeue") name = "requeue";
    values[name] = line.substr(colon + 3);
  }
  return values;
}

std::string SlurmTime(std::int64_t ms) {
  const std::int64_t minutes = (ms + 59'999) / 60'000;
  std::array<char, 32> text{};
  const std::int64_t days = minutes / 1440;
  const std::string front = days > 0 ? std::to_string(days) + "-" : "";
  std::snprintf(text.data(), text.size(), "%02d:%02d:00", static_cast<int>(minutes / 60 % 24),
                static_cast<int>(minutes % 60));
  return front + text.data();
}

Values OurValues(const BatchOptions& options) {
  Values values;
  const auto text = [&values](const char* name, const Optional<std::string>& setting) {
    if (setting) values[name] = setting->value;
  };
  const auto number = [&values](const char* name, const Optional<std::int64_t>& setting) {
    if (setting) values[name] = std::to_string(setting->value);
  };
  text("job-name", options.name);
  text("comment", options.comment);
  text("account", options.project);
  text("qos", options.job_class);
  number("ntasks", options.ntasks);
  number("cpus-per-task", options.cpus_per_task);
  number("ntasks-per-node", options.ntasks_per_node);
  if (options.nodes) {
    NodeRange nodes = options.nodes->value;
    // sbatch does this after reading, and so does the command line.
    if (options.ntasks) {
      nodes.min = std::min(nodes.min, options.ntasks->value);
      nodes.max = std::min(nodes.max, options.ntasks->value);
    }
    values["nodes"] =
        std::to_string(nodes.min) + (nodes.max == nodes.min ? "" : "-" + std::to_string(nodes.max));
  }
  if (options.time_limit_ms) values["time"] = SlurmTime(options.time_limit_ms->value);
  if (options.hold) values["hold"] = "set";
  if (options.wait) values["wait"] = "set";
  if (options.requeue) values["requeue"] = options.requeue->value ? "requeue" : "no-requeue";
  return values;
}

class Generator {
 public:
  explicit Generator(std::uint32_t seed) : random_(seed) {}

  std::string Script() {
    std::string script = "#!/bin/sh\n";
    for (int line = Below(4); line >= 0; --line) script += Line() + "\n";
    script += Pick({"true\n", "\n# end\ntrue\n", "true\n#SBATCH -N 7\n"});
    return script;
  }

 private:
  int Below(int bound) { return static_cast<int>(random_() % static_cast<std::uint32_t>(bound)); }
  std::string Pick(const std::vector<std::string>& choices) {
    return choices[static_cast<std::size_t>(Below(static_cast<int>(choices.size())))];
  }

  // Letters, blanks and what splitting turns on.
  std::string Text() {
    std::string text = Pick({"", "\"", "'"});
    const std::string open = text;
    for (int i = Below(6); i >= 0; --i) {
      text += Pick({"a", "b", "c", "d e", " ", "#", "\\", "\\\"", "'", "\"", "=", "-", ":", ","});
    }
    return "x" + text + (Below(8) == 0 ? "" : open);
  }

  std::string Option() {
    switch (Below(9)) {
      case 0:
        return Pick({"-J", "-J ", "--job-name=", "--job-name ", "--job="}) + Text();
      case 1:
        return Pick({"--comment=", "--comment "}) + Text();
      case 2:
        return Pick({"-N2", "-N 3", "--nodes=2-4", "--nodes 1", "-N", "--nodes=x", "-N 1k"});
      case 3:
        return Pick({"-n4", "-n 5", "--ntasks=6", "--ntasks-per-node=2", "-n x", "-n0", "--nta=3"});
      case 4:
        return Pick({"-t90", "-t 1:30:00", "--time=1-2", "--time=5:30", "-t1-0:5", "-t1:2:3:4"});
      case 5:
        return Pick({"-H", "-W", "-HW", "-WH", "-Wn3", "--hold", "--requeue", "--no-requeue"});
      case 6:
        return Pick({"-A", "-q"}) + Pick({" ", ""}) + Pick({"p", "'p'", "p\\q", "p#q"});
      case 7:
        return Pick({"# comment", "stray", "\\", "--", "-c2#x", "-c 2 # -n 9", "--frob", ""});
      default:
        return "-c" + Pick({"1", " 2", "x", "3"});
    }
  }

  std::string Line() {
    switch (Below(12)) {
      case 0:
        return Pick({"", "# comment", "  # comment", "  #SBATCH -N 5", "# SBATCH -N 6", "\t"});
      default:
        break;
    }
    std::string line = "#SBATCH" + Pick({" ", "  "});
    for (int i = Below(3); i >= 0; --i) line += Option() + Pick({" ", "  "});
    return line;
  }

  std::mt19937 random_;
};

TEST(SbatchTwinTest, TheSameScriptsAreRefusedAndTheSameValuesComeOut) {
  const Folder folder;
  const std::string known = folder.Ask("#!/bin/sh\n#SBATCH -J known\ntrue\n");
  ASSERT_NE(known.find("job-name            : known"), std::string::npos)
      << "sbatch does not answer: " << known;
  int taken = 0;
  for (std::uint32_t seed = 1; seed <= kScripts; ++seed) {
    const std::string script = Generator(seed).Script();
    const std::string answer = folder.Ask(script);
    const std::optional<Values> theirs = SbatchValues(answer);
    const Result<ParsedScript> ours = ParseScript(script, "job.sh", kNowMs);
    // The one difference that is meant: sbatch silently ignores the rest of such a line.
    if (!ours && ours.error().message.find("an empty word") != std::string::npos) continue;
    ASSERT_EQ(ours.has_value(), theirs.has_value())
        << "seed " << seed << "\n"
        << script << "ours: " << (ours ? "taken" : ours.error().message) << "\nsbatch: " << answer;
    if (!theirs) continue;
    ++taken;
    ASSERT_EQ(OurValues(ours->options), *theirs) << "seed " << seed << "\n" << script;
  }
  // Enough of both kinds to mean something.
  EXPECT_GT(taken, kScripts / 10);
  EXPECT_LT(taken, kScripts * 9 / 10);
  std::printf("%d of %d scripts taken by both\n", taken, kScripts);
}

}  // namespace
}  // namespace kezek::script
