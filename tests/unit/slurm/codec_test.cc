// Goal: each version of the API is spoken to under its own paths, in its own form, and no signal is
// sent that Slurm would take for a cancellation.
// Method: what comes out, for every codec there is.
#include "slurm/codec.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace kezek::slurm {
namespace {

TEST(Codecs, AreTheVersionsOfThreeReleasesNewestFirst) {
  std::string versions;
  for (const auto& codec : Codecs()) versions.append(codec.version()).append(" ");
  EXPECT_EQ(versions, "v0.0.45 v0.0.44 v0.0.43 v0.0.42 v0.0.41 v0.0.40 v0.0.38 ");
}

TEST(Codecs, HaveTheirOwnPaths) {
  for (const auto& codec : Codecs()) {
    const std::string version(codec.version());
    EXPECT_EQ(codec.Path("/jobs"), "/slurm/" + version + "/jobs");
    EXPECT_EQ(codec.AccountingPath("/jobs"), "/slurmdb/" + version + "/jobs");
    EXPECT_EQ(codec.JobPath(7), "/slurm/" + version + "/job/7");
    const std::string mark = version == "v0.0.38" ? "" : "uts";
    EXPECT_EQ(codec.PathSince("/nodes", 99),
              "/slurm/" + version + "/nodes?update_time=" + mark + "99");
  }
}

TEST(Codecs, ALimitIsWholeMinutesAboveNone) {
  for (const auto& codec : Codecs()) {
    const bool plain = codec.version() == "v0.0.38";
    EXPECT_EQ(codec.LimitBody(kMinuteMs + 1),
              plain ? R"({"time_limit":2})"
                    : R"({"time_limit":{"infinite":false,"number":2,"set":true}})");
    EXPECT_EQ(codec.LimitBody(0),
              plain ? R"({"time_limit":1})"
                    : R"({"time_limit":{"infinite":false,"number":1,"set":true}})");
  }
}

TEST(Signals, GoByNamesThatSlurmKnowsOrByNumber) {
  EXPECT_EQ(SlurmSignal("USR1"), "USR1");
  EXPECT_EQ(SlurmSignal("WINCH"), "28");
  EXPECT_EQ(SlurmSignal("10"), "10");
  for (const char* none : {"", "FOO", "SIGUSR1", "usr1", "0", "65", "-1", "1x", "USR1&flags=FULL",
                           "99999999999999999999"}) {
    EXPECT_FALSE(SlurmSignal(none)) << none;
    for (const auto& codec : Codecs()) EXPECT_FALSE(codec.SignalPath(7, none, false)) << none;
  }
}

TEST(Signals, TheBatchShellAloneGetsItsOwn) {
  for (const auto& codec : Codecs()) {
    const std::string path = codec.JobPath(7) + "?signal=";
    EXPECT_EQ(codec.SignalPath(7, "USR1", false), path + "USR1");
    EXPECT_EQ(codec.SignalPath(7, "USR1", true),
              path + (codec.can().signals_batch_shell ? "USR1&flags=BATCH_JOB" : "URG"));
  }
}

}  // namespace
}  // namespace kezek::slurm
