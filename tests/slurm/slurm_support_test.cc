// Goal: what Kezek's codecs say that a version of the API can do is what the real Slurm does, and
// the table in docs/slurm-releases.md says it, too. Method: each version that this Slurm serves is
// tried, request by request, with jobs that really run; what came of it is a column of the table.
// KEZEK_REWRITE=1 writes the columns, else they are compared.
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "slurm/codec.h"
#include "slurm/credential.h"
#include "slurm/http.h"
#include "tests/support/slurm_server.h"

namespace kezek::slurm {
namespace {

using test::OneGpuLaunch;
using test::OutputOf;

class SystemClock : public Clock {
 public:
  TimeMs Now() override {
    using std::chrono::duration_cast, std::chrono::milliseconds, std::chrono::system_clock;
    return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
  }
};

// Waits until it is so, for as long as only a defect takes.
bool Becomes(const std::function<bool()>& so) {
  for (int i = 0; i < 600; ++i) {
    if (so()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return false;
}

// One version of the API on the Slurm of the test.
class Probe {
 public:
  Probe(const Codec& codec, HttpClient& client) : codec_(codec), client_(client) {}

  HttpOutcome Ask(const std::string& method, const std::string& path, const std::string& body = "",
                  const std::string& user = "slurm") {
    HttpRequest request;
    request.method = method;
    request.path = path;
    request.body = body;
    request.user = user;
    return client_.Do(request);
  }
  bool Serves() { return Ask("GET", codec_.Path("/ping")).status == 200; }

  std::int64_t Submitted(const Launch& launch) {
    const auto answer =
        Ask("POST", codec_.Path("/job/submit"), codec_.SubmitBody(launch, ""), test::kSlurmUser);
    const auto outcome = ParseSubmit(answer.status, answer.body);
    const auto* accepted = std::get_if<SubmitAccepted>(&outcome);
    EXPECT_NE(accepted, nullptr) << answer.body;
    return accepted == nullptr ? 0 : accepted->job_id;
  }
  // Runs, and has written its first line.
  std::int64_t Started(const Launch& launch) {
    const std::int64_t id = Submitted(launch);
    EXPECT_EQ(VerdictOf("POST", codec_.JobPath(id), std::string(kReleaseBody)),
              Verdict::Kind::kDone);
    EXPECT_TRUE(Becomes([&] { return !test::FileContent(OutputOf(launch.attempt)).empty(); }));
    return id;
  }
  Verdict::Kind VerdictOf(const std::string& method, const std::string& path,
                          const std::string& body = "") {
    const auto answer = Ask(method, path, body, test::kSlurmUser);
    return ParseVerdict(answer.status, answer.body).kind;
  }
  ClusterJob Job(std::int64_t id) {
    const auto answer = Ask("GET", codec_.JobPath(id));
    const auto jobs = ParseJobs(answer.status, answer.body);
    return jobs && jobs->jobs.size() == 1 ? jobs->jobs.front().job : ClusterJob{};
  }
  ClusterJob Ended(std::int64_t id) {
    EXPECT_TRUE(Becomes([&] { return HasEnded(Job(id).state); })) << id;
    return Job(id);
  }
  // How it ended, by slurmdbd.
  ClusterJob Recorded(std::int64_t id) {
    ClusterJob job;
    const bool there = Becomes([&] {
      const auto answer = Ask("GET", codec_.AccountingPath("/job/").append(std::to_string(id)));
      const auto records = ParseAccounting(answer.status, answer.body);
      if (!records || records->empty() || !HasEnded(records->front().job.state)) return false;
      job = records->front().job;
      return true;
    });
    EXPECT_TRUE(there) << id;
    return job;
  }
  NodeHealth HealthOf(const std::string& name) {
    const auto answer = Ask("GET", codec_.Path("/nodes"));
    const auto nodes = ParseNodes(answer.status, answer.body);
    EXPECT_TRUE(nodes && nodes->has_value());
    for (const auto& node : nodes && nodes->has_value() ? **nodes : std::vector<Node>{}) {
      if (node.name == name) return node.health;
    }
    return NodeHealth::kUnknown;
  }

  const Codec& codec() const { return codec_; }

 private:
  const Codec& codec_;
  HttpClient& client_;
};

AttemptRef NewAttempt() {
  static std::int64_t next = SystemClock().Now();
  return {{JobId{++next}, kNoElement}, 1};
}

// The signal for the batch shell alone reaches it and no task; its exit code is 7, its argument
// came through.
void TryALaunch(Probe* probe, Capabilities* found) {
  const Codec& codec = probe->codec();
  Launch launch = OneGpuLaunch(NewAttempt(), "");
  launch.spec.signal = {"USR1", kMinuteMs, true};
  launch.spec.arguments = {"it's one"};
  launch.script =
      "#!/bin/bash\n"
      "trap 'echo shell; kill %1; exit 7' USR1\n"
      "srun --overlap bash -c 'trap \"echo task\" USR1; echo ready $1; while :; do sleep 0.1; "
      "done' "
      "srun \"$1\" &\n"
      "while :; do wait; done\n";
  const std::int64_t id = probe->Started(launch);
  found->takes_arguments = LaunchScript(launch, codec.can()).find("set --") == std::string::npos;
  const auto others = probe->Ask("DELETE", codec.JobPath(id), "", test::kOtherSlurmUser);
  found->tells_refusals = ParseVerdict(others.status, others.body).kind == Verdict::Kind::kFailed;
  const auto path = codec.SignalPath(id, "USR1", true);
  found->signals_batch_shell = path->find("BATCH_JOB") != std::string::npos;
  EXPECT_EQ(probe->VerdictOf("DELETE", *path), Verdict::Kind::kDone);
  const ClusterJob ended = probe->Ended(id);
  EXPECT_EQ(ended.exit_code, 7);
  EXPECT_TRUE(test::FileContent(OutputOf(launch.attempt)).starts_with("ready it's one\nshell\n"))
      << codec.version() << ": " << test::FileContent(OutputOf(launch.attempt));
  const ClusterJob record = probe->Recorded(id);
  EXPECT_EQ(record.state, ClusterJobState::kFailed);
  found->keeps_exit_codes = record.exit_code == 7;
}

// What ends itself because its attempt has begun says so to slurmctld and to the accounting.
void TryASecondStart(Probe* probe) {
  const std::string folder = test::SlurmWorkFolder() + "/begun-before";
  std::filesystem::create_directories(folder);
  Launch launch = OneGpuLaunch(NewAttempt(), "#!/bin/bash\necho ran\n");
  launch.environment["KEZEK_OUTPUT_DIR"] = folder;
  const std::int64_t id = probe->Submitted(launch);
  std::ofstream(folder + "/.begun-" + std::to_string(id)).flush();
  EXPECT_EQ(probe->VerdictOf("POST", probe->codec().JobPath(id), std::string(kReleaseBody)),
            Verdict::Kind::kDone);
  EXPECT_EQ(probe->Ended(id).exit_signal, kBegunBeforeSignal);
  EXPECT_EQ(probe->Recorded(id).exit_signal, kBegunBeforeSignal);
  EXPECT_EQ(test::FileContent(OutputOf(launch.attempt)), "");
}

void TryALostField(Probe* probe, Capabilities* found) {
  const Codec& codec = probe->codec();
  std::string body = codec.SubmitBody(OneGpuLaunch(NewAttempt(), "#!/bin/bash\n"), "");
  const std::string start = "{\"job\":{";
  ASSERT_TRUE(body.starts_with(start)) << body;
  body.insert(start.size(), "\"no_such_field\":1,");
  const auto answer = probe->Ask("POST", codec.Path("/job/submit"), body, test::kSlurmUser);
  const auto outcome = ParseSubmit(answer.status, answer.body);
  const auto* spoilt = std::get_if<SubmitSpoilt>(&outcome);
  found->warns_of_lost_fields = spoilt != nullptr;
  EXPECT_FALSE(std::holds_alternative<SubmitAccepted>(outcome)) << answer.body;
  if (spoilt == nullptr) return;
  EXPECT_EQ(probe->VerdictOf("DELETE", codec.JobPath(spoilt->job_id)), Verdict::Kind::kDone);
}

void TryARequeue(Probe* probe, Capabilities* found) {
  const Codec& codec = probe->codec();
  Launch launch = OneGpuLaunch(NewAttempt(), "#!/bin/bash\necho ready\nsleep 600\n");
  launch.spec.requeue = true;
  const std::int64_t id = probe->Started(launch);
  const auto answer = probe->Ask("POST", codec.Path("/jobs/requeue"),
                                 "{\"jobs\":[\"" + std::to_string(id) + "\"]}");
  const bool taken = answer.status == 200;
  found->requeues = taken && Becomes([&] { return probe->Job(id).restarts == 1; });
  EXPECT_EQ(found->requeues, taken) << answer.body;
  EXPECT_EQ(probe->VerdictOf("DELETE", codec.JobPath(id)), Verdict::Kind::kDone);
  probe->Ended(id);
}

void TryANodesChange(Probe* probe, Capabilities* found) {
  // Restarted by the test before, slurmctld does not know of it for a moment.
  EXPECT_TRUE(Becomes([&] { return probe->HealthOf("n04") == NodeHealth::kUp; }));
  const auto answer = probe->Ask("POST", probe->codec().Path("/node/n04"),
                                 R"({"state":["DRAIN"],"reason":"tried by a test"})");
  found->changes_nodes = answer.status == 200 && probe->HealthOf("n04") == NodeHealth::kDraining;
  if (!found->changes_nodes) return;
  probe->Ask("POST", probe->codec().Path("/node/n04"), R"({"state":["RESUME"]})");
  EXPECT_TRUE(Becomes([&] { return probe->HealthOf("n04") == NodeHealth::kUp; }));
}

constexpr std::array<const char*, 8> kColumns{"22.05 v0.0.38", "24.11 v0.0.40", "24.11 v0.0.41",
                                              "24.11 v0.0.42", "26.05 v0.0.42", "26.05 v0.0.43",
                                              "26.05 v0.0.44", "26.05 v0.0.45"};

using Column = std::vector<std::string>;

std::vector<std::string> RowTitles() {
  return {"Launched held on given nodes and GPUs, released, followed",
          "Arguments of a script are handed over",
          "A signal for the batch shell alone is sent",
          "A field that is not understood is",
          "What is not cancelled, as it is not allowed, is told",
          "The accounting has the exit code",
          "States of all jobs in one short answer",
          "Drain and resume nodes by REST",
          "Requeue by REST"};
}

// Launched jobs ran in any case, or the test has failed.
Column CellsOf(const Capabilities& can) {
  const auto yes = [](bool so) { return std::string(so ? "yes" : "no"); };
  return {"yes",
          can.takes_arguments ? "by Slurm" : "by the script",
          can.signals_batch_shell ? "by Slurm" : "by a trap",
          can.warns_of_lost_fields ? "a warning" : "an error",
          yes(can.tells_refusals),
          yes(can.keeps_exit_codes),
          yes(can.lists_states),
          yes(can.changes_nodes),
          yes(can.requeues)};
}

// The table on the page: what stands before it and behind, and the columns that it has.
struct Page {
  std::string before;
  std::map<std::string, Column> columns;
  std::string behind;
};

std::vector<std::string> CellsIn(const std::string& line) {
  std::vector<std::string> cells;
  std::istringstream rest(line.substr(1));
  for (std::string cell; std::getline(rest, cell, '|');) {
    const auto first = cell.find_first_not_of(' ');
    const auto last = cell.find_last_not_of(' ');
    cells.push_back(first == std::string::npos ? "" : cell.substr(first, last - first + 1));
  }
  return cells;
}

Page ReadPage(const std::string& text) {
  const std::string mark = "<!-- the table of tests/slurm/slurm_support_test.cc -->\n";
  Page page;
  const auto at = text.find(mark);
  EXPECT_NE(at, std::string::npos);
  page.before = text.substr(0, at + mark.size());
  std::istringstream rest(text.substr(at + mark.size()));
  std::vector<std::string> headings;
  for (std::string line; std::getline(rest, line);) {
    if (!line.starts_with("|")) {
      page.behind += page.columns.empty() && line.empty() ? "" : line + "\n";
      continue;
    }
    const auto cells = CellsIn(line);
    if (headings.empty()) {
      headings = cells;
    } else if (!cells.front().starts_with("---")) {
      for (std::size_t i = 1; i < cells.size(); ++i) page.columns[headings[i]].push_back(cells[i]);
    }
  }
  return page;
}

std::string Written(const Page& page) {
  std::string text = page.before + "\n|  |";
  for (const char* column : kColumns) text += std::string(" ") + column + " |";
  text += "\n| --- |";
  for (std::size_t i = 0; i < kColumns.size(); ++i) text += " --- |";
  const auto titles = RowTitles();
  for (std::size_t row = 0; row < titles.size(); ++row) {
    text += "\n| " + titles[row] + " |";
    for (const char* column : kColumns) {
      const auto cells = page.columns.find(column);
      const bool known = cells != page.columns.end() && row < cells->second.size();
      text += " " + (known ? cells->second[row] : std::string("?")) + " |";
    }
  }
  return text + "\n" + page.behind;
}

TEST(SlurmSupport, IsWhatTheCodecsAndThePageSay) {
  SystemClock clock;
  Credential credential({"", test::SlurmVariable("SLURM_JWT_KEY"), "slurm"}, clock);
  HttpClient client({test::SlurmVariable("SLURMRESTD_URL"), 1}, credential);
  std::map<std::string, Column> found;
  for (const auto& codec : Codecs()) {
    Probe probe(codec, client);
    if (!probe.Serves()) continue;
    Capabilities can;
    TryALaunch(&probe, &can);
    TryASecondStart(&probe);
    TryALostField(&probe, &can);
    TryARequeue(&probe, &can);
    TryANodesChange(&probe, &can);
    can.lists_states = probe.Ask("GET", codec.Path("/jobs/state")).status == 200;
    EXPECT_EQ(can, codec.can()) << codec.version();
    found[test::SlurmRelease() + " " + std::string(codec.version())] = CellsOf(can);
  }
  ASSERT_FALSE(found.empty());
  const std::string path = std::string(std::getenv("KEZEK_SOURCE_DIR")) + "/docs/slurm-releases.md";
  const std::string text = test::FileContent(path);
  Page page = ReadPage(text);
  for (const auto& [name, cells] : found) {
    std::printf("%s:", name.c_str());
    for (const auto& cell : cells) std::printf(" %s;", cell.c_str());
    std::printf("\n");
    page.columns[name] = cells;
  }
  const std::string wanted = Written(page);
  if (std::getenv("KEZEK_REWRITE") != nullptr) {
    std::ofstream(path) << wanted;
  } else {
    EXPECT_EQ(text, wanted) << "docs/slurm-releases.md says otherwise: tests/slurm/run --rewrite";
  }
}

}  // namespace
}  // namespace kezek::slurm
