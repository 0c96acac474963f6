// Goal: the folders of attempts let exactly the job's Unix account and Kezek's own user in, and
// reading them shows nothing that is not the attempt's own.
// Method: real folders below a temporary one. What another user may do is tried by a child process
// that becomes that user, where the test runs as root; else only by the ACLs as they are written.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <sys/acl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

#include "output/output_root.h"

namespace kezek::output {
namespace {

namespace fs = std::filesystem;

const AttemptRef kAttempt{{JobId{48211}, 7}, 2};

std::string NameOf(uid_t uid) {
  const passwd* entry = ::getpwuid(uid);
  return entry == nullptr ? "" : entry->pw_name;
}

class OutputTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "kezek-output-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    ASSERT_EQ(::chmod(name.c_str(), 0711), 0);
    base_ = name;
    root_ = base_ + "/output";
    auto opened = OutputRoot::Open(root_);
    ASSERT_TRUE(opened) << opened.error().message;
    output_ = std::move(*opened);
  }
  void TearDown() override { fs::remove_all(base_); }

  std::string Folder() const { return root_ + "/48211_7/2"; }

  // The user that jobs run as here: another one where the test is root.
  static std::string JobUser() { return ::geteuid() == 0 ? "nobody" : NameOf(::geteuid()); }

  // Runs `act` as a Unix user; true if it returns true there.
  static bool As(const std::string& user, const std::function<bool()>& act) {
    const passwd* entry = ::getpwnam(user.c_str());
    if (entry == nullptr) return false;
    const pid_t child = ::fork();
    if (child == 0) {
      const bool became =
          ::geteuid() != 0 || (::setgid(entry->pw_gid) == 0 && ::setuid(entry->pw_uid) == 0);
      ::_exit(became && act() ? 0 : 1);
    }
    int status = 1;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }

  static bool Write(const std::string& path, const std::string& text) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0) return false;
    const bool done = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    ::close(fd);
    return done;
  }

  void Prepare() {
    const auto prepared = output_->Prepare(kAttempt, JobUser());
    ASSERT_TRUE(prepared) << prepared.error().message;
  }

  std::string base_;
  std::string root_;
  std::unique_ptr<OutputRoot> output_;
};

TEST_F(OutputTest, TheJobsUserWritesAndKezekReads) {
  Prepare();
  const std::string path = Folder() + "/stdout";
  ASSERT_TRUE(As(JobUser(), [&] { return Write(path, "one\ntwo\n"); }));
  const auto piece = output_->Read(path, 0, 100);
  ASSERT_TRUE(piece) << piece.error().message;
  EXPECT_EQ(piece->bytes, "one\ntwo\n");
  EXPECT_EQ(piece->file_size, 8);
}

// As in production: Kezek's own user is not root, and the job's is a third one.
TEST_F(OutputTest, WorksWithoutRoot) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to become two other users";
  const std::string root = base_ + "/kezeks";
  const passwd* kezek = ::getpwnam("daemon");
  ASSERT_NE(kezek, nullptr);
  ASSERT_EQ(::mkdir(root.c_str(), 0700), 0);
  ASSERT_EQ(::chmod(root.c_str(), 0711), 0);
  ASSERT_EQ(::chown(root.c_str(), kezek->pw_uid, kezek->pw_gid), 0);
  ASSERT_TRUE(As("daemon", [&] {
    const auto output = OutputRoot::Open(root);
    return output && (*output)->Prepare(kAttempt, "nobody").has_value();
  }));
  const std::string path = root + "/48211_7/2/stdout";
  ASSERT_TRUE(As("nobody", [&] {
    ::umask(0077);
    return Write(path, "hello");
  }));
  EXPECT_TRUE(As("daemon", [&] {
    const auto output = OutputRoot::Open(root);
    const auto piece = output ? (*output)->Read(path, 0, 10) : Result<OutputPiece>(Error{});
    return piece && piece->bytes == "hello";
  })) << "the folder's default ACL, not the user's umask, decides";
}

TEST_F(OutputTest, PreparingTwiceIsNoError) {
  Prepare();
  Prepare();
}

TEST_F(OutputTest, WhatHasBegunIsToldByItsFile) {
  Prepare();
  EXPECT_EQ(output_->HasBegun(kAttempt, 12), false);
  ASSERT_TRUE(As(JobUser(), [&] { return Write(Folder() + "/.begun-12", ""); }));
  EXPECT_EQ(output_->HasBegun(kAttempt, 12), true);
  EXPECT_EQ(output_->HasBegun(kAttempt, 13), false) << "of a history that was lost";
  fs::remove_all(Folder());
  EXPECT_EQ(output_->HasBegun(kAttempt, 12), false) << "nothing can have begun without it";
  fs::create_symlink(Folder(), Folder());
  EXPECT_EQ(output_->HasBegun(kAttempt, 12), std::nullopt) << "it cannot be looked into";
}

TEST_F(OutputTest, TheHighestJobIsThatOfAFolder) {
  EXPECT_EQ(output_->HighestJob()->value, 0);
  Prepare();
  for (const char* name : {"7", "48212x", "0050000", "-60000", "50000_"}) {
    fs::create_directory(root_ + "/" + name);
  }
  EXPECT_EQ(output_->HighestJob()->value, 48211);
}

TEST_F(OutputTest, NobodyElseGetsIn) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to become another user";
  Prepare();
  const std::string path = Folder() + "/stdout";
  ASSERT_TRUE(As("nobody", [&] { return Write(path, "secret"); }));
  EXPECT_FALSE(As("daemon", [&] { return ::open(path.c_str(), O_RDONLY) >= 0; }));
  EXPECT_FALSE(As("daemon", [&] { return Write(Folder() + "/x", "y"); }));
  EXPECT_FALSE(As("nobody", [&] { return Write(root_ + "/48211_7/other", "y"); }))
      << "the job's user may pass through the job's folder, not write there";
  EXPECT_FALSE(As("nobody", [&] { return ::open(root_.c_str(), O_RDONLY) >= 0; }))
      << "nobody lists the root";
}

TEST_F(OutputTest, TheDefaultAclCoversWhatIsMadeLater) {
  Prepare();
  acl_t acl = ::acl_get_file(Folder().c_str(), ACL_TYPE_DEFAULT);
  ASSERT_NE(acl, nullptr);
  char* text = ::acl_to_text(acl, nullptr);
  const std::string shown = text;
  ::acl_free(text);
  ::acl_free(acl);
  EXPECT_NE(shown.find("user:" + JobUser() + ":rwx"), std::string::npos) << shown;
  EXPECT_NE(shown.find("user:" + NameOf(::geteuid()) + ":rwx"), std::string::npos) << shown;
  EXPECT_NE(shown.find("other::---"), std::string::npos) << shown;
}

TEST_F(OutputTest, AnUnknownUserIsNotFound) {
  const auto prepared = output_->Prepare(kAttempt, "no-such-user-here");
  ASSERT_FALSE(prepared);
  EXPECT_EQ(prepared.error().code, Code::kNotFound);
  EXPECT_FALSE(fs::exists(root_ + "/48211_7"));
}

TEST_F(OutputTest, LinksPipesAndSecondNamesAreNotRead) {
  Prepare();
  ASSERT_TRUE(Write(base_ + "/secret", "secret"));
  ASSERT_EQ(::symlink((base_ + "/secret").c_str(), (Folder() + "/stdout").c_str()), 0);
  ASSERT_EQ(::symlink(base_.c_str(), (Folder() + "/dir").c_str()), 0);
  ASSERT_EQ(::link((base_ + "/secret").c_str(), (Folder() + "/second").c_str()), 0);
  ASSERT_EQ(::mkfifo((Folder() + "/pipe").c_str(), 0600), 0);
  for (const std::string name : {"stdout", "dir/secret", "second", "pipe", "../2/second", "."}) {
    const auto piece = output_->Read(Folder() + "/" + name, 0, 100);
    ASSERT_FALSE(piece) << name;
    EXPECT_EQ(piece.error().code, Code::kFailedPrecondition) << name;
    ASSERT_EQ(piece.error().details.size(), 1U) << name;
    EXPECT_EQ(piece.error().details[0].reason, "LOG_ELSEWHERE") << name;
    EXPECT_EQ(piece.error().details[0].values.at("path"), Folder() + "/" + name);
  }
}

TEST_F(OutputTest, OutsideTheRootIsElsewhere) {
  ASSERT_TRUE(Write(base_ + "/secret", "secret"));
  for (const auto& path : {base_ + "/secret", root_, root_ + "/", root_ + "x/y",
                           root_ + "/../secret", std::string("stdout"), std::string()}) {
    const auto piece = output_->Read(path, 0, 100);
    ASSERT_FALSE(piece) << path;
    EXPECT_EQ(piece.error().details.at(0).reason, "LOG_ELSEWHERE") << path;
  }
}

TEST_F(OutputTest, NothingWrittenIsNotYet) {
  Prepare();
  const auto piece = output_->Read(Folder() + "/stdout", 0, 100);
  ASSERT_FALSE(piece);
  EXPECT_EQ(piece.error().code, Code::kNotFound);
  EXPECT_EQ(piece.error().details.at(0).reason, "LOG_NOT_YET");
}

TEST_F(OutputTest, PiecesAreBinaryAndEndEmpty) {
  Prepare();
  const std::string bytes = std::string("a\0b\xff\n", 5) + std::string(200'000, 'x');
  ASSERT_TRUE(Write(Folder() + "/stdout", bytes));
  std::string all;
  for (;;) {
    const auto piece =
        output_->Read(Folder() + "/stdout", static_cast<std::int64_t>(all.size()), 65'536);
    ASSERT_TRUE(piece);
    if (piece->bytes.empty()) break;
    EXPECT_LE(piece->bytes.size(), 65'536U);
    all += piece->bytes;
  }
  EXPECT_EQ(all, bytes);
}

TEST_F(OutputTest, TheTailBeginsAtALine) {
  Prepare();
  struct Case {
    std::string text;
    std::int64_t lines;
    std::string tail;
  };
  const std::string wide(100'000, 'w');
  for (const auto& [text, lines, tail] :
       {Case{"a\nb\nc\n", 1, "c\n"}, Case{"a\nb\nc\n", 2, "b\nc\n"}, Case{"a\nb\nc", 1, "c"},
        Case{"a\nb\nc", 9, "a\nb\nc"}, Case{"", 3, ""}, Case{"\n\n\n", 2, "\n\n"},
        Case{"a\nb\n", 0, ""}, Case{"x\n" + wide + "\ny\n", 2, wide + "\ny\n"}}) {
    ASSERT_TRUE(Write(Folder() + "/stdout", text));
    const auto offset = output_->TailOffset(Folder() + "/stdout", lines);
    ASSERT_TRUE(offset);
    EXPECT_EQ(text.substr(static_cast<std::size_t>(*offset)), tail) << lines;
  }
}

TEST_F(OutputTest, ARootThatOthersWriteIsRefused) {
  const std::string open = base_ + "/open";
  ASSERT_EQ(::mkdir(open.c_str(), 0700), 0);
  ASSERT_EQ(::chmod(open.c_str(), 0777), 0);
  EXPECT_FALSE(OutputRoot::Open(open));
  EXPECT_FALSE(OutputRoot::Open("relative/path"));
  EXPECT_FALSE(OutputRoot::Open(base_ + "/no/such/parent"));
}

TEST_F(OutputTest, AFolderOfTheUsersOwnMakingIsNotUsed) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to make another user's folder";
  ASSERT_EQ(::mkdir((root_ + "/48211_7").c_str(), 0700), 0);
  ASSERT_EQ(::chown((root_ + "/48211_7").c_str(), 65534, 65534), 0);
  EXPECT_FALSE(output_->Prepare(kAttempt, "nobody"));
}

}  // namespace
}  // namespace kezek::output
