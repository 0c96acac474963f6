// Goal: the command line helps in the corners that transcripts do not reach: words that were meant,
// times that are over, tables on narrow terminals, and that every command there is has help with
// examples, a manual page and a transcript of its help. Method: tables of inputs; the tree of
// commands is walked through the hidden __complete, with no server, as shells walk it.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "cmd/kezek/app.h"
#include "cmd/kezek/nearest.h"
#include "cmd/kezek/progress.h"
#include "cmd/kezek/render.h"
#include "cmd/kezek/times.h"

namespace kezek::cli {
namespace {

constexpr std::int64_t kNowMs = 1'795'246'200'000;  // 2026-11-21 12:30 at UTC+5
constexpr std::int64_t kHour = 3'600'000;

TEST(NearestTest, OneThirdOfTheLettersMayBeWrong) {
  const std::vector<std::string> words = {"queue", "show", "why", "logs", "release", "whoami"};
  const std::vector<std::pair<std::string, std::string>> table = {
      {"quue", "queue"}, {"qeuue", "queue"},     {"lgos", "logs"}, {"relase", "release"},
      {"whao", ""},      {"whoa", "whoami"},     {"jobs", ""},     {"", ""},
      {"whi", "why"},    {"releases", "release"}};
  for (const auto& [written, meant] : table) EXPECT_EQ(Nearest(written, words), meant) << written;
  EXPECT_EQ(Nearest("--name", {"--time", "--nice", "--job-name"}), "--job-name");
  EXPECT_EQ(DidYouMean("quue", words), "; did you mean queue?");
  EXPECT_EQ(DidYouMean("xyz", words), "");
  EXPECT_EQ(Listed({"a", "b", "c"}), "a, b or c");
  EXPECT_EQ(Listed({"a"}), "a");
}

TEST(TimesTest, TimesThatAreOver) {
  ASSERT_EQ(setenv("TZ", "<+05>-5", 1), 0);
  tzset();
  const std::int64_t midnight = kNowMs - 12 * kHour - kHour / 2;
  const std::vector<std::pair<std::string, std::int64_t>> table = {
      {"2h", kNowMs - 2 * kHour},
      {"90m", kNowMs - 3 * kHour / 2},
      {"3d", kNowMs - 72 * kHour},
      {"today", midnight},
      {"yesterday", midnight - 24 * kHour},
      {"08:00", midnight + 8 * kHour},
      {"16:00", midnight - 8 * kHour},  // yesterday's
      {"2026-11-20", midnight - 24 * kHour},
      {"2026-11-21T01:00", midnight + kHour},
  };
  for (const auto& [text, moment] : table) {
    const Result<std::int64_t> parsed = ParsePast(text, kNowMs);
    ASSERT_TRUE(parsed) << text;
    EXPECT_EQ(*parsed, moment) << text;
  }
  for (const char* text :
       {"", "tomorrow", "now", "now+1hour", "2026-12-01", "someday", "-3d", "d"}) {
    EXPECT_FALSE(ParsePast(text, kNowMs)) << text;
  }
}

// A table's lines on a terminal of that width.
std::vector<std::string> Lines(const Table& table, int columns) {
  std::ostringstream out;
  Host host;
  host.out = &out;
  host.out_is_terminal = true;
  host.columns = columns;
  table.Print(host);
  std::vector<std::string> lines;
  std::istringstream text(out.str());
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

TEST(TableTest, CutsTheLastColumnThenOthersThenLeavesOut) {
  Table table({"JOB", "NAME", "CLASS", "WHERE"});
  table.MayCut({"NAME"});
  table.MayLeaveOut({"CLASS"});
  table.Add({"48211", "оқыту-модель-жеті", "normal", "4 free nodes under one leaf, about 14:20"});
  EXPECT_EQ(Lines(table, 0)[1],
            "48211  оқыту-модель-жеті  normal  4 free nodes under one leaf, about 14:20");
  EXPECT_EQ(Lines(table, 70)[1],
            "48211  оқыту-модель-жеті  normal  4 free nodes under one leaf, about …");
  EXPECT_EQ(Lines(table, 64)[1],
            "48211  оқыту-моде…  normal  4 free nodes under one leaf, about …");
  EXPECT_EQ(Lines(table, 56)[1], "48211  оқыту-моде…  4 free nodes under one leaf, about …");
  EXPECT_EQ(Lines(table, 40)[1], "48211  оқыту-мод…  4 free nodes under o…");
  // Narrower than it can get: whole cells of what must stay.
  EXPECT_EQ(Lines(table, 10)[0], "JOB    NAME        WHERE");
  for (int columns = 40; columns < 100; ++columns) {
    for (const std::string& line : Lines(table, columns)) {
      EXPECT_LE(Width(line), static_cast<std::size_t>(columns));
    }
  }
  table.KeepWhole();
  EXPECT_EQ(Lines(table, 40), Lines(table, 0));
}

TEST(TableTest, CuttingKeepsColoursWhole) {
  EXPECT_EQ(CutTo("\x1b[32mrunning\x1b[0m", 7), "\x1b[32mrunning\x1b[0m");
  EXPECT_EQ(CutTo("\x1b[32mrunning\x1b[0m", 4), "\x1b[32mrun…\x1b[0m");
  EXPECT_EQ(CutTo("плюс", 3), "пл…");
}

TEST(ProgressTest, ShowsOnATerminalOnly) {
  std::ostringstream err;
  Host host;
  host.err = &err;
  Progress(host).Show("half");
  EXPECT_EQ(err.str(), "");
  host.err_is_terminal = true;
  host.columns = 5;
  {
    Progress progress(host);
    progress.Show("half way");
  }
  EXPECT_EQ(err.str(), "\r\x1b[Khal…\r\x1b[K");
}

struct Ran {
  int code = 0;
  std::string out;
  std::string err;
};

// With no server anywhere.
Ran RunLine(std::vector<std::string> words) {
  std::istringstream in;
  std::ostringstream out;
  std::ostringstream err;
  Host host;
  host.in = &in;
  host.out = &out;
  host.err = &err;
  host.environment = {{"HOME", "/nowhere"}, {"KEZEK_ENDPOINT", "127.0.0.1:1"}};
  host.directory = "/";
  host.now_ms = [] { return kNowMs; };
  host.sleep = [](std::int64_t) {};
  Ran run;
  run.code = RunApp(host, std::move(words));
  run.out = out.str();
  run.err = err.str();
  return run;
}

// All commands with the words that lead to them, groups too.
void Walk(const std::vector<std::string>& words, std::vector<std::vector<std::string>>& all) {
  all.push_back(words);
  std::vector<std::string> asked = words;
  asked.insert(asked.begin(), "__complete");
  asked.emplace_back();
  std::istringstream lines(RunLine(asked).out);
  for (std::string line; std::getline(lines, line);) {
    // What stands for an argument has no description; no server is there to give one.
    if (line.find('\t') == std::string::npos) continue;
    std::vector<std::string> deeper = words;
    deeper.push_back(line.substr(0, line.find('\t')));
    Walk(deeper, all);
  }
}

std::string ReadFile(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST(CommandLineTest, EveryCommandIsDescribed) {
  std::vector<std::vector<std::string>> commands;
  Walk({}, commands);
  EXPECT_GT(commands.size(), 40U);
  const std::filesystem::path pages =
      std::filesystem::temp_directory_path() / ("kezek-man-" + std::to_string(getpid()));
  ASSERT_EQ(RunLine({"__man", pages.string()}).code, 0);
  const char* source = std::getenv("KEZEK_SOURCE_DIR");
  const std::string recorded = ReadFile(std::filesystem::path(source == nullptr ? "." : source) /
                                        "tests/golden/cli/help.txt");
  for (std::vector<std::string> command : commands) {
    std::string name = "kezek";
    for (const std::string& word : command) name += " " + word;
    EXPECT_NE(recorded.find(name + " --help\n"), std::string::npos)
        << name << ": add a block to tests/golden/cli/help.txt";
    command.emplace_back("--help");
    const Ran run = RunLine(command);
    EXPECT_EQ(run.code, 0) << name;
    const bool group = run.out.find("\nCommands:\n") != std::string::npos;
    EXPECT_TRUE(group || run.out.find("\nExamples:\n") != std::string::npos) << name;
    std::istringstream lines(run.out);
    for (std::string line; std::getline(lines, line);) EXPECT_LE(Width(line), 100U) << line;
    std::string page = name + ".1";
    for (char& c : page) c = c == ' ' ? '-' : c;
    EXPECT_NE(ReadFile(pages / page).find(".SH SYNOPSIS"), std::string::npos) << page;
  }
  std::filesystem::remove_all(pages);
}

TEST(CommandLineTest, CompletionIsSilentWithoutAServer) {
  for (const char* command : {"logs", "why", "nodes", "usage"}) {
    const Ran run = RunLine({"__complete", command, ""});
    EXPECT_EQ(run.code, 0);
    EXPECT_EQ(run.out + run.err, "") << command;
  }
}

}  // namespace
}  // namespace kezek::cli
