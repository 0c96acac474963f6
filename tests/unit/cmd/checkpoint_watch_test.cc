// Goal: files that are new at the checkpoint path of what runs are told to the controller once, and
// that they are not seen is, too. Method: looks by hand at real files; store and desk are fakes.
#include "cmd/kezekd/checkpoint_watch.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <string>
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
  }
  void TearDown() override { fs::remove_all(base_); }

  // A job that has run since then, with this checkpoint path below its folder.
  AttemptRef Runs(std::int64_t id, const std::string& path, TimeMs start_ms = 1000) {
    JobSpec spec;
    spec.checkpoint_path = path;
    spec.working_directory = base_;
    const JobRef job{JobId{id}, kNoElement};
    store_.PutSilently(
        {.job = {.ref = job, .spec = std::make_shared<const JobSpec>(std::move(spec))}}, "running");
    alive_.push_back({.attempt = {job, 1}, .start_ms = start_ms});
    return alive_.back().attempt;
  }
  void Write(const std::string& name) {
    fs::create_directories(fs::path(base_ + "/" + name).parent_path());
    std::ofstream(base_ + "/" + name) << "weights";
  }
  // What the controller is told in a look.
  std::vector<NoteCheckpoint> Look() {
    View view = *desk_.view();
    view.alive = std::make_shared<const std::vector<Alive>>(alive_);
    desk_.SetView(std::make_shared<const View>(view));
    const std::size_t before = desk_.commands().size();
    watch_.Round();
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
  CheckpointWatch watch_{desk_, store_};
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

TEST_F(CheckpointWatchTest, WhatCannotBeSeenIsSaidOnce) {
  Runs(7, "/no-such-file-system/ckpt");
  const auto said = Look();
  ASSERT_EQ(said.size(), 1U);
  EXPECT_NE(said[0].unseen.find("/no-such-file-system/ckpt"), std::string::npos);
  EXPECT_TRUE(Look().empty());
}

}  // namespace
}  // namespace kezek::kezekd
