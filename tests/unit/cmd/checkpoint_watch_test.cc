// Goal: files that are new at the checkpoint path of what runs are told to the controller once, and
// that they are not seen is, too; a path that hangs holds up neither the others nor the end.
// Method: looks by hand at real files, some held up by the test; store, desk and clock are fakes.
#include "cmd/kezekd/checkpoint_watch.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "tests/unit/rpc/fakes.h"

namespace kezek::kezekd {
namespace {

namespace fs = std::filesystem;

class CheckpointWatchTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "kezek-watch-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    base_ = name;
    clock_.now_ms = std::chrono::duration_cast<std::chrono::milliseconds>(
                        std::chrono::system_clock::now().time_since_epoch())
                        .count() +
                    kHourMs;
  }
  void TearDown() override { fs::remove_all(base_); }

  // A job that has run since then, with this checkpoint path below its folder.
  AttemptRef Runs(std::int64_t id, const std::string& path, TimeMs start_ms = 1000,
                  UserId user = rpc::World::kAizhan) {
    JobSpec spec;
    spec.checkpoint_path = path;
    spec.working_directory = base_;
    const JobRef job{JobId{id}, kNoElement};
    store_.PutSilently(
        {.job = {.ref = job, .spec = std::make_shared<const JobSpec>(std::move(spec))}}, "running");
    alive_.push_back({.attempt = {job, 1}, .user = user, .start_ms = start_ms});
    return alive_.back().attempt;
  }
  void Write(const std::string& name) {
    fs::create_directories(fs::path(base_ + "/" + name).parent_path());
    std::ofstream(base_ + "/" + name) << "weights";
  }
  // What the controller is told in a look.
  std::vector<NoteCheckpoint> Look() {
    View view = *desk_.view();
    Directory directory = *view.directory;
    directory.users.at(rpc::World::kAizhan).unix_uid = uid_;
    for (const Alive& alive : alive_) {
      User user = directory.users.at(rpc::World::kAizhan);
      user.unix_uid += alive.user.value - rpc::World::kAizhan.value;
      directory.users.try_emplace(alive.user, user);
    }
    view.directory = std::make_shared<const Directory>(directory);
    view.alive = std::make_shared<const std::vector<Alive>>(alive_);
    desk_.SetView(std::make_shared<const View>(view));
    const std::size_t before = desk_.commands().size();
    watch_->Round();
    std::promise<void> done;  // behind all that was asked
    desk_.Do({UserId{}, "test", ResumeScheduling{}},
             [&](const Result<CommandOutcome>&) { done.set_value(); });
    done.get_future().wait();
    std::vector<NoteCheckpoint> notes;
    const std::vector<Command> commands = desk_.commands();
    for (std::size_t i = before; i + 1 < commands.size(); ++i) {
      notes.push_back(std::get<NoteCheckpoint>(commands[i].body));
    }
    return notes;
  }

  std::string base_;
  std::vector<Alive> alive_;
  rpc::FakeStore store_;
  rpc::FakeDesk desk_{&store_};
  std::int64_t uid_ = ::geteuid();
  rpc::FakeClock clock_;
  std::optional<CheckpointWatch> watch_{std::in_place, desk_, store_, clock_};
};

// Looks that hang at paths with "hang" in them, until they are let go.
class Hanging {
 public:
  CheckpointLook Look(DurationMs wait_ms) {
    return {.look =
                [state = state_](const std::string& path, const output::CheckpointRules& rules) {
                  std::unique_lock lock(state->mutex);
                  ++state->looks;
                  ++state->in;
                  state->changed.notify_all();
                  const bool hangs = path.find("hang") != std::string::npos;
                  state->changed.wait(lock, [&] { return !hangs || state->open; });
                  auto answer = output::LastWritten(path, rules);
                  --state->in;
                  state->changed.notify_all();
                  return answer;
                },
            .wait_ms = wait_ms};
  }
  int looks() {
    const std::lock_guard lock(state_->mutex);
    return state_->looks;
  }
  void Await(int looks) {
    std::unique_lock lock(state_->mutex);
    state_->changed.wait(lock, [&] { return state_->looks >= looks; });
  }
  void LetGo() {
    std::unique_lock lock(state_->mutex);
    state_->open = true;
    state_->changed.notify_all();
    state_->changed.wait(lock, [&] { return state_->in == 0; });
  }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    bool open = false;
    int looks = 0;
    int in = 0;
  };
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

TEST_F(CheckpointWatchTest, NewFilesAreToldOnce) {
  const AttemptRef attempt = Runs(7, "ckpt");
  Runs(8, "");
  EXPECT_TRUE(Look().empty()) << "none yet";
  Write("ckpt/step1");
  const auto first = Look();
  ASSERT_EQ(first.size(), 1U);
  EXPECT_EQ(first[0].job, attempt.job);
  EXPECT_EQ(first[0].attempt, 1);
  EXPECT_TRUE(first[0].path.empty());
  EXPECT_GT(first[0].at_ms, 0);
  EXPECT_TRUE(Look().empty()) << "nothing is new";
  fs::last_write_time(base_ + "/ckpt/step1",
                      fs::last_write_time(base_ + "/ckpt/step1") + std::chrono::seconds(5));
  EXPECT_EQ(Look().size(), 1U);
}

TEST_F(CheckpointWatchTest, WhatIsOlderThanTheAttemptIsNoneOfIts) {
  Write("ckpt/old");
  Runs(7, "ckpt", 4'000'000'000'000);
  EXPECT_TRUE(Look().empty());
}

TEST_F(CheckpointWatchTest, WhatIsStillWrittenIsNotToldOf) {
  Runs(7, "ckpt");
  Write("ckpt/step1.part");
  clock_.now_ms = clock_.now_ms - kHourMs + 30 * kSecondMs;
  EXPECT_TRUE(Look().empty()) << "half a minute ago";
  clock_.now_ms += kMinuteMs;
  EXPECT_EQ(Look().size(), 1U);
}

TEST_F(CheckpointWatchTest, WhatCannotBeSeenIsSaidOnceAndNotWhy) {
  Write("ckpt/step1");
  uid_ = ::geteuid() + 1;
  Runs(7, base_ + "/ckpt");
  Runs(8, base_ + "/none");
  Runs(9, "/no-such-file-system/ckpt");
  const auto said = Look();
  ASSERT_EQ(said.size(), 3U);
  EXPECT_EQ(said[0].unseen, base_ + "/ckpt: " + output::kCheckpointsNotSeen);
  EXPECT_EQ(said[1].unseen, base_ + "/none: " + output::kCheckpointsNotSeen);
  EXPECT_EQ(said[2].unseen,
            std::string("/no-such-file-system/ckpt: ") + output::kCheckpointsNotSeen);
  EXPECT_TRUE(Look().empty());
}

TEST_F(CheckpointWatchTest, MoreThanIsLookedAtIsSaidOnce) {
  Runs(7, "ckpt");
  for (int i = 0; i <= 1000; ++i) Write("ckpt/" + std::to_string(i));
  const auto said = Look();
  ASSERT_EQ(said.size(), 1U);
  EXPECT_NE(said[0].unseen.find("more than 1,000 entries"), std::string::npos);
  EXPECT_TRUE(Look().empty());
}

TEST_F(CheckpointWatchTest, ALookThatHangsIsLeftBehind) {
  Hanging hanging;
  watch_.emplace(desk_, store_, clock_, hanging.Look(kSecondMs));
  Write("hang/step1");
  Write("ckpt/step1");
  Runs(7, "hang");
  Runs(8, "ckpt");
  const auto first = Look();
  ASSERT_EQ(first.size(), 2U);
  EXPECT_EQ(first[0].unseen, base_ + "/hang: " + output::kCheckpointsNotSeen);
  EXPECT_GT(first[1].at_ms, 0) << "the next one's turn comes";
  EXPECT_EQ(hanging.looks(), 2);
  EXPECT_TRUE(Look().empty());
  EXPECT_EQ(hanging.looks(), 3) << "not at the one that hangs";
  hanging.LetGo();
  std::vector<NoteCheckpoint> late;
  while (late.empty()) late = Look();  // its thread may have a step to go
  ASSERT_EQ(late.size(), 1U);
  EXPECT_EQ(late[0].job.id.value, 7);
  EXPECT_GT(late[0].at_ms, 0);
}

TEST_F(CheckpointWatchTest, NoMoreThanSoManyAreLeftBehind) {
  Hanging hanging;
  watch_.emplace(desk_, store_, clock_, hanging.Look(10));
  for (int i = 1; i <= 12; ++i) Runs(i, "hang" + std::to_string(i), 1000, UserId{1000 + i});
  EXPECT_EQ(Look().size(), CheckpointWatch::kBehindMost);
  EXPECT_TRUE(Look().empty());
  hanging.Await(CheckpointWatch::kBehindMost);
  EXPECT_EQ(hanging.looks(), static_cast<int>(CheckpointWatch::kBehindMost));
  hanging.LetGo();
  while (hanging.looks() < 12) Look();
}

TEST_F(CheckpointWatchTest, NoUsersLooksThatHangKeepOthersFromTheirs) {
  Hanging hanging;
  watch_.emplace(desk_, store_, clock_, hanging.Look(10));
  Write("ckpt/step1");
  for (int i = 1; i <= 12; ++i) Runs(i, "hang" + std::to_string(i));
  Runs(13, "ckpt", 1000, UserId{1000});
  EXPECT_EQ(Look().size(), std::size_t{CheckpointWatch::kBehindOfOneMost + 1});
  EXPECT_TRUE(Look().empty());
  hanging.LetGo();
}

TEST_F(CheckpointWatchTest, WhatNobodyCouldTakeIsToldAgain) {
  Write("ckpt/step1");
  Runs(7, "ckpt");
  desk_.Refuse(Error{Code::kUnavailable, "the database is away", {}});
  EXPECT_TRUE(Look().empty());
  desk_.Refuse(std::nullopt);
  EXPECT_EQ(Look().size(), 1U);
  EXPECT_TRUE(Look().empty());
}

TEST_F(CheckpointWatchTest, TheEndDoesNotWaitForALookThatHangs) {
  Hanging hanging;
  watch_.emplace(desk_, store_, clock_, hanging.Look(kHourMs));
  Runs(7, "hang");
  std::thread looks([&] { Look(); });
  hanging.Await(1);
  watch_->Stop();
  looks.join();
  watch_.reset();
  hanging.LetGo();
}

}  // namespace
}  // namespace kezek::kezekd
