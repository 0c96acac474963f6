// Goal: scripts are read as sbatch 22.05 reads them, #KEZEK lines override #SBATCH lines, flags
// override both. Method: scripts with one peculiarity each; the expectations were compared with
// what `sbatch -v` prints as its defined options.

#include <gtest/gtest.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "script/option_table.h"
#include "script/parse.h"

namespace kezek::script {
namespace {

constexpr std::int64_t kNowMs = 1'795'000'000'000;

BatchOptions Read(const std::string& lines, std::vector<std::string>* warnings = nullptr) {
  Result<ParsedScript> parsed =
      ParseScript("#!/bin/bash\n" + lines + "\necho hi\n", "t.sh", kNowMs);
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().message);
  if (!parsed) return {};
  if (warnings != nullptr) *warnings = parsed->warnings;
  return parsed->options;
}

TEST(ScriptTest, QuotesCommentsAndEscapes) {
  EXPECT_EQ(Read("#SBATCH -J\"my job\" -N 2 # -N 3").name->value, "my job");
  EXPECT_EQ(Read("#SBATCH --comment='a # b'").comment->value, "a # b");
  EXPECT_EQ(Read("#SBATCH --output \"a\\\"b\"").output->value, "a\"b");
  EXPECT_EQ(Read("#SBATCH --output 'a\\b'").output->value, "ab");
  EXPECT_EQ(Read("#SBATCH --job-name=").name->value, "");
  EXPECT_EQ(Read("#SBATCH -n4#c").ntasks->value, 4);
  EXPECT_EQ(Read("#SBATCH-N2").nodes->value.min, 2);
}

TEST(ScriptTest, OnlyBeforeTheFirstCommandAndInTheFirstColumn) {
  const BatchOptions options = Read("#SBATCH -N2\n  #SBATCH -n 4\n\n\t# c\n#SBATCH -c 3");
  EXPECT_EQ(options.nodes->value.min, 2);
  EXPECT_FALSE(options.ntasks);
  EXPECT_EQ(options.cpus_per_task->value, 3);
  EXPECT_FALSE(Read("#SBATCH -N2\nX=1\n#SBATCH -n nonsense").ntasks);
}

TEST(ScriptTest, ShortOptionsJoinAndLongOnesMayBeCutShort) {
  const BatchOptions options = Read("#SBATCH -Wn3 -H --ntasks-per-n 2 --acc=p");
  EXPECT_TRUE(options.wait->value);
  EXPECT_TRUE(options.hold->value);
  EXPECT_EQ(options.ntasks->value, 3);
  EXPECT_EQ(options.ntasks_per_node->value, 2);
  EXPECT_EQ(options.project->value, "p");
}

TEST(ScriptTest, ValuesMayStandOnTheNextLineAndBackslashesAtTheEndMeanNothing) {
  EXPECT_EQ(Read("#SBATCH -n\n#SBATCH 5").ntasks->value, 5);
  const BatchOptions options = Read("#SBATCH -N2 \\\n#SBATCH -n 4");
  EXPECT_EQ(options.nodes->value.min, 2);
  EXPECT_EQ(options.ntasks->value, 4);
}

TEST(ScriptTest, EachSettingKnowsItsLine) {
  const BatchOptions options = Read("#SBATCH -N 2\n# x\n#KEZEK --within leaf");
  EXPECT_EQ(options.nodes->origin, (Origin{Source::kSbatch, 2}));
  EXPECT_EQ(options.within->origin, (Origin{Source::kKezek, 4}));
  EXPECT_EQ(options.nodes->written, "-N 2");
}

TEST(ScriptTest, LaterOverridesEarlierKezekOverridesSbatchFlagsOverrideBoth) {
  BatchOptions options = Read("#KEZEK -N 7\n#SBATCH -N 2\n#SBATCH -N 3\n#SBATCH -n 1");
  EXPECT_EQ(options.nodes->value.min, 7);
  const auto nobody = [](const std::string&, const std::string*) { return 0; };
  const Result<ParsedFlags> flags =
      ParseFlags({"-N", "9", "t.sh", "-n", "2"}, kNowMs, nobody, options);
  ASSERT_TRUE(flags);
  EXPECT_EQ(options.nodes->value.min, 9);
  EXPECT_EQ(options.nodes->origin.source, Source::kFlag);
  EXPECT_EQ(options.ntasks->value, 1);  // -n 2 belongs to the script
  EXPECT_EQ(flags->operands, (std::vector<std::string>{"t.sh", "-n", "2"}));
}

TEST(ScriptTest, MemoryOfALaterPlaceTakesThePlaceOfTheOther) {
  const BatchOptions options = Read("#SBATCH --mem-per-cpu=2G\n#KEZEK --mem=4G");
  EXPECT_EQ(options.memory_per_node->value.mib, 4096);
  EXPECT_FALSE(options.memory_per_cpu);
}

TEST(ScriptTest, WhatHasNoEffectIsTakenWithAWarning) {
  std::vector<std::string> warnings;
  const BatchOptions options =
      Read("#SBATCH -p gpu --mail-type=END\n#SBATCH --mail-user=a@b\n#PBS -l x", &warnings);
  ASSERT_EQ(options.ignored.size(), 3U);
  EXPECT_EQ(options.ignored[0].value, "--partition=gpu");
  ASSERT_EQ(warnings.size(), 4U);
  EXPECT_EQ(warnings[0], "t.sh line 2: #SBATCH -p gpu: no effect: Kezek chooses");
  EXPECT_EQ(warnings[3], "t.sh line 4: #PBS lines are not read");
}

TEST(ScriptTest, ARealScript) {
  const BatchOptions options = Read(
      "#SBATCH -J pretrain -A alem-llm -q normal\n#SBATCH -N 4 --ntasks-per-node=8 -c 12\n"
      "#SBATCH --gres=gpu:h200:8 --mem=1500G --exclusive\n#SBATCH -t 2-12:00:00 --time-min=12:0:0\n"
      "#SBATCH -o logs/%x-%j.out -e logs/%x-%j.err --open-mode=append\n"
      "#SBATCH --requeue --signal=B:USR1@300 -d afterok:48100 --nice=50 --export=ALL,A=1\n"
      "#KEZEK --kind training --within leaf --checkpoint ckpt --max-attempts 5 --grace 2m\n"
      "#KEZEK --classification internal --container-image pytorch.sqsh --gpu-type h200");
  EXPECT_EQ(options.gpus_per_node->value, (GpuCount{"h200", 8}));
  EXPECT_EQ(options.memory_per_node->value.mib, 1500 * 1024);
  EXPECT_EQ(options.time_limit_ms->value, std::int64_t{60} * 3'600'000);
  EXPECT_EQ(options.open_mode->value, OpenMode::kAppend);
  EXPECT_EQ(options.kind->value, JobKind::kTraining);
  EXPECT_EQ(options.within->value, Domain::kLeaf);
  EXPECT_EQ(options.max_attempts->value, 5);
  EXPECT_EQ(options.grace_ms->value, 120'000);
  EXPECT_EQ(options.classification->value, "internal");
  EXPECT_TRUE(options.exclusive->value);
  EXPECT_TRUE(options.requeue->value);
}

TEST(FlagsTest, AnotherParserMayClaimArgumentsAndDashesEndThem) {
  BatchOptions options;
  const auto other = [](const std::string& first, const std::string* next) {
    if (first == "--follow") return 1;
    return first == "-o" && next != nullptr && *next == "json" ? 2 : 0;
  };
  const Result<ParsedFlags> flags =
      ParseFlags({"--gpus=1", "--follow", "-o", "json", "-o", "out.txt", "--", "python", "-c"},
                 kNowMs, other, options);
  ASSERT_TRUE(flags);
  EXPECT_EQ(flags->others, (std::vector<std::string>{"--follow", "-o", "json"}));
  EXPECT_EQ(flags->operands, (std::vector<std::string>{"python", "-c"}));
  EXPECT_TRUE(flags->after_dashes);
  EXPECT_EQ(options.output->value, "out.txt");
}

TEST(OptionTableTest, NamesAndLettersAreUniqueAndEveryUnderstoodOptionActs) {
  std::set<std::string> names;
  std::set<char> letters;
  for (const Option& option : Options()) {
    std::string rest(option.names);
    for (std::size_t comma = 0; comma != std::string::npos;) {
      comma = rest.find(',');
      EXPECT_TRUE(names.insert(rest.substr(0, comma)).second) << rest;
      if (comma != std::string::npos) rest.erase(0, comma + 1);
    }
    const bool new_letter = option.letter == '\0' || letters.insert(option.letter).second;
    EXPECT_TRUE(new_letter) << option.letter;
    const bool understood = option.use == Use::kJob || option.use == Use::kKezek;
    EXPECT_EQ(option.apply != nullptr, understood) << option.names;
  }
}

}  // namespace
}  // namespace kezek::script
