// Goal: what each command prints, on a terminal and in a pipe, with its exit code, is on record and
// changes only when somebody means it. Method: the files in cli/ hold blocks between lines `====`:
// directives and one command, `----`, then what it prints (standard error behind `2> `) and `exit
// N` unless N is 0. The program runs in this process against a fake server with a fixed clock.
// KEZEK_REWRITE_GOLDEN=1 writes the outputs anew, to be read before they are committed.
//
// Directives: `@terminal`, `@colour`, `@columns N` (a terminal's), `@looks N` (of --watch), `@stdin
// TEXT`, `@env NAME=VALUE`, `@file NAME MODE TEXT` (in FOLDER, `\n` ends a line), `@submission`
// (what the fake got last).

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "cmd/kezek/app.h"
#include "tests/golden/fake_server.h"

namespace kezek::golden {
namespace {

std::string SourceFolder() {
  const char* source = std::getenv("KEZEK_SOURCE_DIR");
  return std::string(source == nullptr ? "." : source) + "/tests/golden";
}

std::string ReadFile(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

struct Block {
  std::vector<std::string> input;
  std::string output;
};

std::vector<Block> Blocks(const std::string& text) {
  std::vector<Block> blocks(1);
  bool in_output = false;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line == "====") {
      blocks.emplace_back();
      in_output = false;
    } else if (line == "----" && !in_output) {
      in_output = true;
    } else if (in_output) {
      blocks.back().output += line + "\n";
    } else {
      blocks.back().input.push_back(line);
    }
  }
  return blocks;
}

// Words of a command line; single quotes join.
std::vector<std::string> Words(const std::string& line) {
  std::vector<std::string> words;
  bool quoted = false;
  bool open = false;
  for (const char c : line) {
    if (c == '\'') {
      quoted = !quoted;
      if (!open) words.emplace_back();
      open = true;
    } else if (c == ' ' && !quoted) {
      open = false;
    } else {
      if (!open) words.emplace_back();
      open = true;
      words.back() += c;
    }
  }
  return words;
}

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at)) {
    text.replace(at, from.size(), to);
    at += to.size();
  }
  return text;
}

class Transcript {
 public:
  Transcript() {
    folder_ = std::filesystem::temp_directory_path() / ("kezek-golden-" + std::to_string(getpid()));
    std::filesystem::create_directories(folder_);
  }
  ~Transcript() { std::filesystem::remove_all(folder_); }
  Transcript(const Transcript&) = delete;
  Transcript& operator=(const Transcript&) = delete;

  std::string Run(const Block& block) {
    std::istringstream in;
    std::ostringstream out;
    std::ostringstream err;
    cli::Host host = MakeHost(in, out, err);
    std::string output;
    for (const std::string& line : block.input) {
      if (line == "@terminal") {
        host.out_is_terminal = host.err_is_terminal = true;
      } else if (line == "@colour") {
        host.out_is_terminal = host.err_is_terminal = host.colour = true;
      } else if (line == "@submission") {
        output += server_.LastSubmission() + server_.SubmissionCount();
      } else if (line.starts_with("@columns ")) {
        host.out_is_terminal = host.err_is_terminal = true;
        host.columns = std::stoi(line.substr(9));
      } else if (line.starts_with("@looks ")) {
        host.go_on = [left = std::stoi(line.substr(7))]() mutable { return --left > 0; };
      } else if (line.starts_with("@file ")) {
        WriteFile(line.substr(6));
      } else if (line.starts_with("@stdin ")) {
        in.str(line.substr(7) + "\n");
      } else if (line.starts_with("@env ")) {
        const std::size_t equals = line.find('=');
        host.environment[line.substr(5, equals - 5)] =
            Replaced(line.substr(equals + 1), "FOLDER", folder_.string());
      } else if (line.starts_with("kezek")) {
        std::vector<std::string> words = Words(Replaced(line, "FOLDER", folder_.string()));
        words.erase(words.begin());
        const int code = cli::RunApp(host, words);
        output += Shown(out.str(), err.str(), code);
      }
    }
    output = Replaced(std::move(output), server_.endpoint(), "ENDPOINT");
    output = Replaced(std::move(output), folder_.string(), "FOLDER");
    return Replaced(std::move(output), SourceFolder() + "/scripts", "/home/aizhan/jobs");
  }

  // What a command says on standard error.
  std::string ErrorsOf(const std::vector<std::string>& words, bool terminal, int code = 0) {
    std::istringstream in;
    std::ostringstream out;
    std::ostringstream err;
    cli::Host host = MakeHost(in, out, err);
    host.out_is_terminal = host.err_is_terminal = terminal;
    EXPECT_EQ(cli::RunApp(host, words), code) << err.str();
    return err.str();
  }

  std::string OutputOf(const std::vector<std::string>& words) {
    std::istringstream in;
    std::ostringstream out;
    std::ostringstream err;
    EXPECT_EQ(cli::RunApp(MakeHost(in, out, err), words), 0) << err.str();
    return out.str();
  }

  // For all commands after it.
  void SetEnvironment(const std::string& name, const std::string& value) { more_[name] = value; }

  // `NAME MODE TEXT`; its path.
  std::string WriteFile(const std::string& text) const {
    const std::size_t name = text.find(' ');
    const std::size_t mode = text.find(' ', name + 1);
    const std::filesystem::path path = folder_ / text.substr(0, name);
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << Replaced(text.substr(mode + 1), "\\n", "\n");
    std::filesystem::permissions(path, static_cast<std::filesystem::perms>(std::stoi(
                                           text.substr(name + 1, mode - name - 1), nullptr, 8)));
    return path.string();
  }

 private:
  cli::Host MakeHost(std::istream& in, std::ostream& out, std::ostream& err) {
    cli::Host host;
    host.in = &in;
    host.out = &out;
    host.err = &err;
    host.environment = {{"HOME", folder_.string()},
                        {"PATH", "/usr/bin"},
                        {"KEZEK_ENDPOINT", server_.endpoint()},
                        {"KEZEK_TOKEN", "good"},
                        {"KEZEK_PROJECT", "alem-llm"}};
    for (const auto& [name, value] : more_) host.environment[name] = value;
    host.directory = SourceFolder() + "/scripts";
    host.name = "login1";
    host.now_ms = [] { return kNowMs; };
    host.sleep = [](std::int64_t) {};
    host.make_key = [this] { return "key-" + std::to_string(++keys_); };
    return host;
  }

  static std::string Shown(const std::string& out, const std::string& err, int code) {
    std::string text = out;
    if (!text.empty() && text.back() != '\n') text += "<no newline>\n";
    std::istringstream lines(err);
    for (std::string line; std::getline(lines, line);) text += "2> " + line + "\n";
    return code == 0 ? text : text + "exit " + std::to_string(code) + "\n";
  }

  FakeServer server_;
  std::filesystem::path folder_;
  std::map<std::string, std::string> more_;
  int keys_ = 0;
};

TEST(CliTest, PrintsWhatIsOnRecord) {
  ASSERT_EQ(setenv("TZ", "<+05>-5", 1), 0);
  tzset();
  const bool rewrite = std::getenv("KEZEK_REWRITE_GOLDEN") != nullptr;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(SourceFolder() + "/cli")) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  EXPECT_GE(files.size(), 5U);
  for (const std::filesystem::path& file : files) {
    Transcript transcript;
    std::string rewritten;
    for (const Block& block : Blocks(ReadFile(file))) {
      ASSERT_FALSE(block.input.empty()) << file;
      const std::string output = transcript.Run(block);
      EXPECT_TRUE(rewrite || output == block.output)
          << file.filename() << ": " << block.input.back() << "\nexpected:\n"
          << block.output << "got:\n"
          << output;
      rewritten += rewritten.empty() ? "" : "====\n";
      for (const std::string& line : block.input) rewritten += line + "\n";
      rewritten += "----\n" + output;
    }
    if (rewrite) std::ofstream(file) << rewritten;
  }
}

TEST(CliTest, LongWorkSaysHowFarItIsOnATerminalOnly) {
  Transcript transcript;
  std::vector<std::string> cancel{"cancel"};
  for (int i = 0; i < 1500; ++i) cancel.push_back("48007");
  EXPECT_NE(transcript.ErrorsOf(cancel, true).find("cancelling: 1,000 of 1,500 jobs"),
            std::string::npos);
  EXPECT_EQ(transcript.ErrorsOf(cancel, false), "");
  std::string jobs;
  for (int i = 0; i < 150; ++i) {
    jobs += "---\\nname: n\\nshape: {gpus: 1}\\nscript: \"#!/bin/sh\"\\n";
  }
  const std::string file = transcript.WriteFile("many.yaml 600 " + jobs);
  const std::string said = transcript.ErrorsOf({"submit", file}, true);
  EXPECT_NE(said.find("checking: 100 of 150 jobs"), std::string::npos) << said;
  EXPECT_NE(said.find("submitting: 0 of 150 jobs"), std::string::npos) << said;
  EXPECT_EQ(transcript.ErrorsOf({"submit", file}, false), "");
}

// The words after `kezek` of every command that has none below it, by what --help lists.
std::vector<std::vector<std::string>> Leaves(Transcript& transcript,
                                             const std::vector<std::string>& path) {
  std::vector<std::string> words = path;
  words.emplace_back("--help");
  std::istringstream help(transcript.OutputOf(words));
  std::vector<std::vector<std::string>> leaves;
  bool in_commands = false;
  for (std::string line; std::getline(help, line);) {
    if (!in_commands || line.empty()) {
      in_commands = line == "Commands:";
      continue;
    }
    std::vector<std::string> below = path;
    below.push_back(line.substr(2, line.find(' ', 2) - 2));
    for (auto& leaf : Leaves(transcript, below)) leaves.push_back(std::move(leaf));
  }
  if (leaves.empty()) leaves.push_back(path);
  return leaves;
}

TEST(CliTest, EveryCommandIsOnRecordAndAHundredErrorsAre) {
  std::vector<std::vector<std::string>> done;  // words of the commands on record that succeed
  std::size_t errors = 0;
  for (const auto& entry : std::filesystem::directory_iterator(SourceFolder() + "/cli")) {
    for (const Block& block : Blocks(ReadFile(entry.path()))) {
      const bool fails = block.output.find("\nexit ") != std::string::npos;
      if (entry.path().filename() == "errors.txt") errors += fails ? 1 : 0;
      const std::vector<std::string> words = Words(block.input.back());
      const bool help = std::find(words.begin(), words.end(), "--help") != words.end();
      if (!fails && !help && words.front() == "kezek") done.push_back(words);
    }
  }
  EXPECT_GE(errors, 100U);
  Transcript transcript;
  const auto leaves = Leaves(transcript, {});
  EXPECT_GE(leaves.size(), 51U);
  for (const std::vector<std::string>& leaf : leaves) {
    const bool found = std::any_of(done.begin(), done.end(), [&](const auto& words) {
      return words.size() > leaf.size() && std::equal(leaf.begin(), leaf.end(), words.begin() + 1);
    });
    std::string name = "kezek";
    for (const std::string& word : leaf) name += " " + word;
    EXPECT_TRUE(found) << "no block of " << name << " that succeeds";
  }
}

TEST(CliTest, WhatIsTooMuchForTheServerIsSaidByTheServer) {
  Transcript transcript;
  const std::string file =
      transcript.WriteFile("large.sh 700 #!/bin/sh\\n" + std::string(std::size_t{17} << 20, '#'));
  const std::string said = transcript.ErrorsOf({"submit", file}, false, 3);
  EXPECT_NE(said.find("limits.request_kib"), std::string::npos) << said;
}

TEST(CliTest, AJobFilesOwnEnvironmentIsAllThatCounts) {
  Transcript transcript;
  const std::string jobs = "shape: {gpus: 1}\\nscript: \"#!/bin/sh\"\\n";
  const std::string own = transcript.WriteFile("own.yaml 600 environment: {A: b}\\n" + jobs);
  const std::string none = transcript.WriteFile("none.yaml 600 " + jobs);
  transcript.SetEnvironment("ODD", "\xff");
  EXPECT_EQ(transcript.ErrorsOf({"submit", own}, false), "");
  EXPECT_NE(transcript.ErrorsOf({"submit", none}, false).find("ODD is not UTF-8"),
            std::string::npos);
}

TEST(CliTest, ManyLargeJobsGoInSeveralCalls) {
  Transcript transcript;
  std::string jobs;
  for (int i = 0; i < 5; ++i) {
    jobs += "---\\nname: n\\nshape: {gpus: 1}\\nscript: \"#!/bin/sh " +
            std::string(std::size_t{7} << 19, '#') + "\"\\n";
  }
  // More than a server takes of one message.
  ASSERT_GT(jobs.size(), std::size_t{16} << 20);
  const std::string file = transcript.WriteFile("large.yaml 600 " + jobs);
  EXPECT_EQ(transcript.ErrorsOf({"submit", file}, false), "");
}

}  // namespace
}  // namespace kezek::golden
