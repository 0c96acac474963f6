// Goal: a trace is read as it is written, and what is malformed is said with its line. Method:
// small texts, good and bad.

#include "scheduler/sim/replay/trace.h"

#include <gtest/gtest.h>

#include <string>

namespace kezek::replay {
namespace {

std::string ErrorOf(const std::string& text) {
  const Result<std::vector<TraceRow>> rows = ParseTrace(text);
  return rows ? "" : rows.error().message;
}

TEST(TraceTest, ReadsEveryColumn) {
  const auto rows = ParseTrace(
      "trace,job_id,submit_s,duration_s,gpus,nodes,user,vc,status,queue_delay_s,req_walltime_s\n"
      "t,7,10,20,16,2,ann,physics,Pass,5,3600\n");
  ASSERT_TRUE(rows);
  ASSERT_EQ(rows->size(), 1U);
  TraceRow wanted;
  wanted.id = "7";
  wanted.submit_s = 10;
  wanted.duration_s = 20;
  wanted.milli_gpus = 16'000;
  wanted.nodes = 2;
  wanted.user = "ann";
  wanted.group = "physics";
  wanted.waited_s = 5;
  wanted.requested_s = 3600;
  EXPECT_EQ(rows->front(), wanted);
}

TEST(TraceTest, FindsColumnsByNameAndLeavesUnknownOpen) {
  const auto rows = ParseTrace("gpus,submit_s,duration_s,color\r\n0.46,3.5,,red\r\n\r\n");
  ASSERT_TRUE(rows);
  ASSERT_EQ(rows->size(), 1U);
  EXPECT_EQ(rows->front().milli_gpus, 460);
  EXPECT_EQ(rows->front().submit_s, 4) << "parts of a second are rounded";
  EXPECT_EQ(rows->front().duration_s, std::nullopt);
  EXPECT_EQ(rows->front().user, "");
}

TEST(TraceTest, LinesBeforeTheHeaderSayWhatMachineItIs) {
  const std::string text =
      "# taken: now\n# gpus: 515\r\n# gpus_per_node: 8\nsubmit_s,duration_s,gpus\n1,2,3\n";
  EXPECT_EQ(ParseMachine(text), (TraceMachine{512, 8}));
  const auto rows = ParseTrace(text);
  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->size(), 1U);
  EXPECT_EQ(ParseMachine("submit_s,duration_s,gpus\n# gpus: 512\n"), TraceMachine{});
  EXPECT_EQ(ParseMachine("# gpus: many\n# gpus_per_node: 2000\n#gpus: 8"), TraceMachine{});
}

TEST(TraceTest, ReadsQuotedFieldsAndAByteOrderMark) {
  const auto rows = ParseTrace("\xEF\xBB\xBFsubmit_s,duration_s,gpus,vc\n1,2,1,\"a, \"\"b\"\"\"\n");
  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->front().group, "a, \"b\"");
}

TEST(TraceTest, SaysTheLineOfWhatIsMalformed) {
  const std::string head = "submit_s,duration_s,gpus\n1,2,3\n";
  EXPECT_EQ(ErrorOf(""), "line 1: there is nothing; a header line names the columns");
  EXPECT_EQ(ErrorOf("a,b\n"),
            "line 1: there is no column submit_s; a header line names the columns");
  EXPECT_EQ(ErrorOf("submit_s,duration_s,gpus,gpus\n"), "line 1: the column gpus is there twice");
  EXPECT_EQ(ErrorOf(head + "1,2\n"), "line 3: 2 fields, but the header has 3");
  EXPECT_EQ(ErrorOf(head + "1,two,3\n"),
            "line 3: duration_s: 'two' is not a number from 0 to 10^12");
  EXPECT_EQ(ErrorOf(head + "\n-1,2,3\n"), "line 4: submit_s: '-1' is not a number from 0 to 10^12");
  EXPECT_EQ(ErrorOf(head + "1,2,1e3\n"), "line 3: gpus: '1e3' is not a number from 0 to 10^12");
  EXPECT_EQ(ErrorOf(head + "1,2,1.2.3\n"), "line 3: gpus: '1.2.3' is not a number from 0 to 10^12");
  EXPECT_EQ(ErrorOf(head + "99999999999999999999,2,3\n"),
            "line 3: submit_s: '99999999999999999999' is not a number from 0 to 10^12");
  EXPECT_EQ(ErrorOf(head + ",2,3\n"),
            "line 3: submit_s: is empty; every job was submitted at some time");
  EXPECT_EQ(ErrorOf(head + "1,2,\"3\n"), "line 3: a quote is not closed, or something follows it");
}

}  // namespace
}  // namespace kezek::replay
