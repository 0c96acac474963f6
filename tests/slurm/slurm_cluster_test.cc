// Goal: the port does on a real Slurm of any release what its header says: held launches, release,
// following to the end, exit codes, cancellation, signals, users kept apart, Slurm going away.
// Method: real jobs on simulated GPUs; each test launches attempts of its own and waits for the
// events it expects, with a time limit that only a defect reaches.
#include "slurm/slurm_cluster.h"

#include <gtest/gtest.h>
#include <pwd.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

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

// All events so far. Wait returns the first of its kind, from `from` on, that satisfies.
class Events {
 public:
  void Add(ClusterEvent event) {
    {
      const std::scoped_lock lock(mutex_);
      events_.push_back(std::move(event));
    }
    added_.notify_all();
  }
  std::size_t size() {
    const std::scoped_lock lock(mutex_);
    return events_.size();
  }
  template <class Kind>
  std::optional<Kind> Wait(const std::function<bool(const Kind&)>& satisfies,
                           std::size_t from = 0) {
    std::unique_lock lock(mutex_);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    std::optional<Kind> found;
    added_.wait_until(lock, deadline, [&] {
      for (std::size_t i = from; i < events_.size() && !found; ++i) {
        const auto* event = std::get_if<Kind>(&events_[i]);
        if (event != nullptr && satisfies(*event)) found = *event;
      }
      return found.has_value();
    });
    return found;
  }
  template <class Kind>
  bool Has() {
    const std::scoped_lock lock(mutex_);
    return std::any_of(events_.begin(), events_.end(), [](const ClusterEvent& event) {
      return std::holds_alternative<Kind>(event);
    });
  }
  template <class Kind>
  std::optional<Kind> Of(const AttemptRef& attempt) {
    return Wait<Kind>([&](const Kind& event) { return event.attempt == attempt; });
  }
  std::optional<ClusterJob> Seen(const AttemptRef& attempt, ClusterJobState state) {
    const auto event = Wait<Observed>([&](const Observed& observed) {
      return observed.job.attempt == attempt && observed.job.state == state;
    });
    return event ? std::optional(event->job) : std::nullopt;
  }

 private:
  std::mutex mutex_;
  std::condition_variable added_;
  std::vector<ClusterEvent> events_;
};

class SlurmClusterTest : public testing::Test {
 protected:
  static Options MakeOptions() {
    Options options;
    options.url = test::SlurmVariable("SLURMRESTD_URL");
    options.jwt_key_file = test::SlurmVariable("SLURM_JWT_KEY");
    options.tag_prefix = "test:";
    options.accounting_patience_ms = kSecondMs;
    return options;
  }

  // Nothing is sent before Slurm has said what it serves.
  void SetUp() override {
    ASSERT_TRUE(events_.Wait<ClusterUp>([](const ClusterUp&) { return true; }));
  }

  // A job number that no earlier run of this test has used on this cluster.
  static AttemptRef NewAttempt() {
    static std::int64_t next = SystemClock().Now();
    return {{JobId{++next}, kNoElement}, 1};
  }

  // Returns when the script has written something.
  static void AwaitOutput(const AttemptRef& attempt) {
    for (int i = 0; i < 3000 && test::FileContent(OutputOf(attempt)).empty(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

  std::int64_t Submitted(const Launch& launch) {
    cluster_.Submit(launch);
    const auto accepted = events_.Of<LaunchAccepted>(launch.attempt);
    EXPECT_TRUE(accepted) << ClusterName(launch.attempt);
    return accepted ? accepted->cluster_job_id : 0;
  }

  std::int64_t Released(const Launch& launch) {
    const std::int64_t id = Submitted(launch);
    cluster_.Follow({{launch.attempt, id, launch.unix_account, false}});
    cluster_.Release(launch.attempt, id, launch.unix_account);
    const auto released = events_.Of<ReleaseDone>(launch.attempt);
    EXPECT_TRUE(released && released->accepted) << (released ? released->text : "no answer");
    return id;
  }

  ClusterJob Ended(const AttemptRef& attempt, ClusterJobState state) {
    const auto job = events_.Seen(attempt, state);
    EXPECT_TRUE(job) << ClusterName(attempt) << " did not end as expected";
    return job.value_or(ClusterJob{});
  }

  SystemClock clock_;
  Events events_;
  SlurmCluster cluster_{MakeOptions(), clock_,
                        [this](ClusterEvent event) { events_.Add(std::move(event)); }};
};

TEST_F(SlurmClusterTest, ReportsVersionNodesAndJobs) {
  const auto up = events_.Wait<ClusterUp>([](const ClusterUp&) { return true; });
  ASSERT_TRUE(up);
  EXPECT_TRUE(up->version.starts_with(test::SlurmRelease())) << up->version;
  EXPECT_EQ(up->clock_skew_ms, 0);
  cluster_.Follow({});
  cluster_.Reconcile();
  ASSERT_TRUE(events_.Wait<Listing>([](const Listing&) { return true; }));
  const auto nodes = events_.Wait<NodesObserved>([](const NodesObserved&) { return true; });
  ASSERT_TRUE(nodes && nodes->nodes.size() == 4U);
  for (const auto& node : nodes->nodes) {
    EXPECT_EQ(node.gpus, 8);
    EXPECT_EQ(node.gpu_type, "h200");
    EXPECT_EQ(node.cpus, 16);
    EXPECT_EQ(node.health, NodeHealth::kUp) << node.name;
  }
}

TEST_F(SlurmClusterTest, HeldFoundReleasedAndFollowedToItsEnd) {
  const AttemptRef attempt = NewAttempt();
  const std::int64_t id = Submitted(
      OneGpuLaunch(attempt, "#!/bin/bash\necho $CUDA_VISIBLE_DEVICES\nsleep 2\nexit 7\n"));
  cluster_.Look({attempt, id, test::kSlurmUser, false});
  const auto held = events_.Seen(attempt, ClusterJobState::kPending);
  ASSERT_TRUE(held);
  EXPECT_TRUE(held->held);
  EXPECT_EQ(held->tag, "test:1:" + ClusterName(attempt));
  EXPECT_EQ(held->unix_account, test::kSlurmUser);

  cluster_.FindByName(attempt);
  const auto found = events_.Of<FoundByName>(attempt);
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->complete);
  ASSERT_EQ(found->jobs.size(), 1U);
  EXPECT_EQ(found->jobs.front().id, id);

  cluster_.Follow({{attempt, id, test::kSlurmUser, false}});
  cluster_.Release(attempt, id, test::kSlurmUser);
  const auto running = events_.Seen(attempt, ClusterJobState::kRunning);
  ASSERT_TRUE(running);
  ASSERT_EQ(running->granted.size(), 1U);
  EXPECT_EQ(running->granted.front().node, "n01");
  ASSERT_EQ(running->granted.front().gpu_indices.size(), 1U);
  EXPECT_EQ(running->cpus, 2);
  EXPECT_EQ(running->memory_mib, 1000);

  const ClusterJob ended = Ended(attempt, ClusterJobState::kFailed);
  EXPECT_EQ(ended.exit_code, 7);
  EXPECT_EQ(ended.exit_signal, 0);
  EXPECT_EQ(ended.start_ms, running->start_ms);
  EXPECT_GE(ended.end_ms, ended.start_ms + 2000);
  EXPECT_EQ(ended.granted, running->granted);
  EXPECT_EQ(ended.restarts, 0);
  EXPECT_EQ(test::FileContent(OutputOf(attempt)),
            std::to_string(running->granted.front().gpu_indices.front()) + "\n");
}

TEST_F(SlurmClusterTest, GangWithArgumentsRunsOnItsNodes) {
  const AttemptRef attempt = NewAttempt();
  Launch launch =
      OneGpuLaunch(attempt,
                   "#!/bin/bash\necho \"$1|$2|$KEZEK_JOB_ID|$(umask)\"\n"
                   "srun bash -c 'echo $SLURMD_NODENAME $CUDA_VISIBLE_DEVICES' | sort\n");
  launch.placement = {{"n02", 8, {}}, {"n03", 8, {}}};
  launch.spec.shape.nodes = 2;
  launch.spec.shape.gpus_per_node = 8;
  launch.spec.shape.cpus_per_node = 16;
  launch.spec.ntasks = 2;
  launch.spec.arguments = {"one", "it's two"};
  launch.spec.umask = 027;
  Released(launch);
  const ClusterJob ended = Ended(attempt, ClusterJobState::kCompleted);
  ASSERT_EQ(ended.granted.size(), 2U);
  EXPECT_EQ(ended.granted[1].node, "n03");
  EXPECT_EQ(ended.granted[1].gpus, 8);
  EXPECT_EQ(ended.cpus, 32);
  EXPECT_EQ(
      test::FileContent(OutputOf(attempt)),
      "one|it's two|" + ToText(attempt.job) + "|0027\nn02 0,1,2,3,4,5,6,7\nn03 0,1,2,3,4,5,6,7\n");
}

TEST_F(SlurmClusterTest, OtherLanguagesGetTheirArgumentsToo) {
  const AttemptRef attempt = NewAttempt();
  Launch launch = OneGpuLaunch(attempt, "#!/usr/bin/perl\nprint \"@ARGV\\n\"; exit 3;\n");
  launch.spec.arguments = {"a b", "c"};
  Released(launch);
  EXPECT_EQ(Ended(attempt, ClusterJobState::kFailed).exit_code, 3);
  EXPECT_EQ(test::FileContent(OutputOf(attempt)), "a b c\n");
}

TEST_F(SlurmClusterTest, DeathBySignalIsNoExitCode) {
  const AttemptRef attempt = NewAttempt();
  Released(OneGpuLaunch(attempt, "#!/bin/bash\nkill -KILL $$\n"));
  const ClusterJob ended = Ended(attempt, ClusterJobState::kFailed);
  EXPECT_EQ(ended.exit_code, 0);
  EXPECT_EQ(ended.exit_signal, 9);
}

TEST_F(SlurmClusterTest, CancelsPendingAndRunning) {
  const AttemptRef held = NewAttempt();
  const std::int64_t held_id = Submitted(OneGpuLaunch(held, "#!/bin/bash\nsleep 600\n"));
  cluster_.Follow({{held, held_id, test::kSlurmUser, false}});
  cluster_.Cancel(held, held_id, test::kSlurmUser);
  EXPECT_EQ(Ended(held, ClusterJobState::kCancelled).start_ms, 0) << "it never ran";

  const AttemptRef running = NewAttempt();
  const std::int64_t id = Released(OneGpuLaunch(running, "#!/bin/bash\nsleep 600\n"));
  ASSERT_TRUE(events_.Seen(running, ClusterJobState::kRunning));
  cluster_.Cancel(running, id, test::kSlurmUser);
  const ClusterJob ended = Ended(running, ClusterJobState::kCancelled);
  EXPECT_GT(ended.start_ms, 0);
  EXPECT_GE(ended.end_ms, ended.start_ms);
  // Once more: it tells its end again.
  const std::size_t before = events_.size();
  cluster_.Look({running, id, test::kSlurmUser, true});
  EXPECT_TRUE(events_.Wait<Observed>(
      [&](const Observed& seen) { return seen.job.id == id && HasEnded(seen.job.state); }, before));
}

TEST_F(SlurmClusterTest, SignalReachesTheScript) {
  const AttemptRef attempt = NewAttempt();
  Launch launch = OneGpuLaunch(
      attempt, "#!/bin/bash\ntrap 'kill $!; exit 9' USR1\necho ready\nsleep 600 & wait\n");
  launch.spec.signal = {"USR1", kMinuteMs, true};
  const std::int64_t id = Released(launch);
  ASSERT_TRUE(events_.Seen(attempt, ClusterJobState::kRunning));
  AwaitOutput(attempt);
  cluster_.Signal(attempt, id, test::kSlurmUser, "not a signal&x=", true);
  cluster_.Signal(attempt, id, test::kSlurmUser, "USR1", true);
  EXPECT_EQ(Ended(attempt, ClusterJobState::kFailed).exit_code, 9);
}

// Newer versions of the API end a job over a signal whose name they do not know.
TEST_F(SlurmClusterTest, ASignalThatSlurmHasNoNameForReachesTheScriptToo) {
  const AttemptRef attempt = NewAttempt();
  const Launch launch = OneGpuLaunch(
      attempt, "#!/bin/bash\ntrap 'exit 5' WINCH\necho ready\nwhile :; do sleep 0.1; done\n");
  const std::int64_t id = Released(launch);
  AwaitOutput(attempt);
  cluster_.Signal(attempt, id, test::kSlurmUser, "FOO", false);
  const auto done = events_.Of<SignalDone>(attempt);
  EXPECT_TRUE(done && done->settled) << "it is never sent";
  cluster_.Signal(attempt, id, test::kSlurmUser, "WINCH", false);
  EXPECT_EQ(Ended(attempt, ClusterJobState::kFailed).exit_code, 5);
}

TEST_F(SlurmClusterTest, RaisesAndShortensTheLimitOfWhatRuns) {
  const AttemptRef attempt = NewAttempt();
  const Launch launch = OneGpuLaunch(attempt, "#!/bin/bash\nsleep 600\n");
  const std::int64_t id = Released(launch);
  const auto running = events_.Seen(attempt, ClusterJobState::kRunning);
  ASSERT_TRUE(running);
  EXPECT_EQ(running->limit_ms, launch.limit_ms);
  const Followed job{attempt, id, test::kSlurmUser, true};
  const DurationMs longer = launch.limit_ms + 90 * kMinuteMs;
  cluster_.SetLimit(job, longer);
  EXPECT_TRUE(events_.Wait<Observed>([&](const Observed& seen) {
    return seen.job.attempt == attempt && seen.job.limit_ms == longer;
  }));
  cluster_.SetLimit(job, 2 * kMinuteMs);
  EXPECT_TRUE(events_.Wait<Observed>([&](const Observed& seen) {
    return seen.job.attempt == attempt && seen.job.limit_ms == 2 * kMinuteMs;
  }));
  cluster_.Cancel(attempt, id, test::kSlurmUser);
  Ended(attempt, ClusterJobState::kCancelled);
}

TEST_F(SlurmClusterTest, UnknownJobIsUnknownOnlyByBoth) {
  const AttemptRef attempt = NewAttempt();
  cluster_.Look({attempt, 99'999'999, test::kSlurmUser, true});
  EXPECT_TRUE(events_.Of<Unknown>(attempt));
  cluster_.FindByName(attempt);
  const auto found = events_.Of<FoundByName>(attempt);
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->complete);
  EXPECT_TRUE(found->jobs.empty());
}

TEST_F(SlurmClusterTest, WhileSlurmdbdIsAwayAbsenceProvesNothing) {
  test::SlurmCommand("stop", "slurmdbd");
  const AttemptRef attempt = NewAttempt();
  cluster_.FindByName(attempt);
  const auto found = events_.Of<FoundByName>(attempt);
  EXPECT_TRUE(found && !found->complete);
  cluster_.Look({attempt, 99'999'998, test::kSlurmUser, true});
  std::this_thread::sleep_for(std::chrono::seconds(4));
  EXPECT_FALSE(events_.Has<Unknown>());
  EXPECT_FALSE(events_.Has<ClusterSilent>()) << "slurmctld has answered";
  test::SlurmCommand("start", "slurmdbd");
  EXPECT_TRUE(events_.Of<Unknown>(attempt));
}

TEST_F(SlurmClusterTest, RefusalCarriesSlurmsWords) {
  Launch launch = OneGpuLaunch(NewAttempt(), "#!/bin/bash\n");
  launch.slurm_account = "no-such-account";
  cluster_.Submit(launch);
  const auto refused = events_.Of<LaunchRefused>(launch.attempt);
  ASSERT_TRUE(refused);
  EXPECT_TRUE(refused->for_good);
  EXPECT_NE(refused->text.find("account"), std::string::npos) << refused->text;
}

TEST_F(SlurmClusterTest, UsersAreKeptApart) {
  const AttemptRef attempt = NewAttempt();
  const std::int64_t id = Released(OneGpuLaunch(attempt, "#!/bin/bash\nid -un\nsleep 600\n"));
  ASSERT_TRUE(events_.Seen(attempt, ClusterJobState::kRunning));
  const std::size_t before = events_.size();
  cluster_.Cancel(attempt, id, test::kOtherSlurmUser);  // ends in a look, not in an end
  const auto seen = events_.Wait<Observed>(
      [&](const Observed& observed) { return observed.job.id == id; }, before);
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->job.state, ClusterJobState::kRunning);
  AwaitOutput(attempt);
  cluster_.Cancel(attempt, id, test::kSlurmUser);
  Ended(attempt, ClusterJobState::kCancelled);
  const std::string output = test::FileContent(OutputOf(attempt));
  EXPECT_TRUE(output.starts_with(std::string(test::kSlurmUser) + "\n")) << output;
  struct stat info {};
  ASSERT_EQ(::stat(OutputOf(attempt).c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, ::getpwnam(test::kSlurmUser)->pw_uid);
}

TEST_F(SlurmClusterTest, OthersUseOfNodesIsForeign) {
  const AttemptRef attempt = NewAttempt();
  Launch launch = OneGpuLaunch(attempt, "#!/bin/bash\nsleep 600\n");
  launch.placement = {{"n04", 3, {}}};
  launch.spec.shape.gpus_per_node = 3;
  const std::int64_t id = Released(launch);
  cluster_.Follow({});  // tagged or not: it is not ours
  const auto foreign_gpus = [](const NodesObserved& observed, std::int32_t gpus) {
    for (const auto& node : observed.nodes) {
      if (node.name == "n04" && node.foreign_gpus == gpus) return true;
    }
    return false;
  };
  const std::size_t before = events_.size();
  EXPECT_TRUE(events_.Wait<NodesObserved>(
      [&](const NodesObserved& observed) { return foreign_gpus(observed, 3); }));
  cluster_.Cancel(attempt, id, test::kSlurmUser);
  EXPECT_TRUE(events_.Wait<NodesObserved>(
      [&](const NodesObserved& observed) { return foreign_gpus(observed, 0); }, before));
}

// Slurm requeues what ran on a node that an admin sets down, and takes the node back at once if it
// answers (ReturnToService=2). The restart alone would look like its owner's hand.
TEST_F(SlurmClusterTest, ARequeueByANodeSetDownIsNoOwnersHand) {
  for (const bool by_node : {true, false}) {
    const AttemptRef attempt = NewAttempt();
    Launch launch = OneGpuLaunch(attempt, "#!/bin/bash\nsleep 600\n");
    launch.placement = {{"n03", 1, {}}};
    launch.spec.requeue = true;
    const std::int64_t id = Released(launch);
    ASSERT_TRUE(events_.Seen(attempt, ClusterJobState::kRunning));
    test::SlurmCommand("run", by_node ? "scontrol update nodename=n03 state=down reason=test"
                                      : "scontrol requeue " + std::to_string(id));
    ASSERT_TRUE(events_.Wait<Observed>([&](const Observed& seen) {
      return seen.job.attempt == attempt && seen.job.restarts == 1;
    }));
    std::this_thread::sleep_for(std::chrono::seconds(1));  // slurmctld's news on its way
    cluster_.Cancel(attempt, id, test::kSlurmUser);
    EXPECT_EQ(Ended(attempt, ClusterJobState::kCancelled).node_failed, by_node);
  }
}

TEST_F(SlurmClusterTest, WordsInAnyEncodingDisturbNothing) {
  const AttemptRef attempt = NewAttempt();
  const std::int64_t id = Submitted(OneGpuLaunch(attempt, "#!/bin/bash\nsleep 600\n"));
  test::SlurmCommand(
      "run", "scontrol update jobid=" + std::to_string(id) + " comment=\"$(printf '\\377')\"");
  cluster_.Reconcile();
  EXPECT_TRUE(events_.Wait<Listing>([&](const Listing& listing) {
    return std::any_of(listing.jobs.begin(), listing.jobs.end(),
                       [&](const ClusterJob& job) { return job.id == id && job.tag == "?"; });
  }));
  cluster_.Cancel(attempt, id, test::kSlurmUser);
}

TEST_F(SlurmClusterTest, WhileSlurmIsAwayNothingIsGuessed) {
  const AttemptRef attempt = NewAttempt();
  Released(OneGpuLaunch(attempt, "#!/bin/bash\nsleep 3\n"));
  ASSERT_TRUE(events_.Seen(attempt, ClusterJobState::kRunning));
  test::SlurmCommand("stop", "slurmrestd");
  ASSERT_TRUE(events_.Wait<ClusterSilent>([](const ClusterSilent&) { return true; }));
  const Launch refused = OneGpuLaunch(NewAttempt(), "#!/bin/bash\n");
  cluster_.Submit(refused);
  const auto answer = events_.Of<LaunchRefused>(refused.attempt);
  EXPECT_TRUE(answer && !answer->for_good) << "nobody listened: certainly not there";
  cluster_.FindByName(attempt);
  const auto found = events_.Of<FoundByName>(attempt);
  EXPECT_TRUE(found && !found->complete) << "no answer proves no absence";

  test::SlurmCommand("stop", "slurmctld");
  const std::size_t before = events_.size();
  test::SlurmCommand("start", "slurmctld slurmrestd");
  EXPECT_TRUE(events_.Wait<ClusterUp>([](const ClusterUp&) { return true; }, before));
  EXPECT_EQ(Ended(attempt, ClusterJobState::kCompleted).exit_code, 0);
}

}  // namespace
}  // namespace kezek::slurm
