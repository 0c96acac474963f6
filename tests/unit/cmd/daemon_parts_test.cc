// Goal: the daemon's small parts keep their promises: the command line, the key of tags, the Unix
// accounts of the host, and that a launch without an output folder never reaches the cluster.
// Method: examples; the cluster and the folders are fakes that remember what they were asked.
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "cmd/kezekd/keyed_hash.h"
#include "cmd/kezekd/log.h"
#include "cmd/kezekd/options.h"
#include "cmd/kezekd/prepared_cluster.h"
#include "cmd/kezekd/tls_check.h"
#include "cmd/kezekd/unix_accounts.h"
#include "config/config.h"
#include "tests/support/certificates.h"

namespace kezek::kezekd {
namespace {

Parsed Parse(std::vector<std::string> words) {
  words.insert(words.begin(), "kezekd");
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  return ParseCommandLine(static_cast<int>(argv.size()), argv.data());
}

TEST(CommandLine, KnowsServingCheckingAndPreparing) {
  EXPECT_EQ(Parse({}).options->config_file, "/etc/kezek/kezekd.yaml");
  EXPECT_TRUE(Parse({"--check-config", "--config", "k.yaml"}).options->check_config);
  const auto init = Parse({"--config", "k.yaml", "init", "--admin", "a@b", "--token-file", "t"});
  ASSERT_TRUE(init.options);
  EXPECT_TRUE(init.options->init);
  EXPECT_EQ(init.options->admin, "a@b");
  EXPECT_EQ(init.options->token_file, "t");
}

TEST(CommandLine, EndsWithTwoWhereItIsWrongAndZeroAfterHelp) {
  EXPECT_EQ(Parse({"--help"}).exit_status, 0);
  for (const auto& wrong : std::vector<std::vector<std::string>>{
           {"--nope"}, {"init"}, {"init", "--admin", "a@b"}, {"--config"}, {"serve"}}) {
    const auto parsed = Parse(wrong);
    EXPECT_FALSE(parsed.options);
    EXPECT_EQ(parsed.exit_status, 2);
  }
}

class KeyFile : public testing::Test {
 protected:
  KeyFile() : path_(testing::TempDir() + "kezek-key-" + std::to_string(getpid())) {}
  ~KeyFile() override { std::filesystem::remove(path_); }

  void Write(const std::string& bytes, mode_t mode) {
    std::filesystem::remove(path_);
    std::ofstream(path_) << bytes;
    ASSERT_EQ(chmod(path_.c_str(), mode), 0);
  }

  const std::string path_;
};

TEST_F(KeyFile, HashesDependOnKeyAndText) {
  Write(std::string(32, 'a'), 0600);
  const auto first = LoadKeyedHash(path_);
  ASSERT_TRUE(first);
  const std::string hash = (*first)("kezek-1-1");
  EXPECT_EQ(hash.size(), 64U);
  EXPECT_EQ(hash, (*first)("kezek-1-1"));
  EXPECT_NE(hash, (*first)("kezek-1-2"));
  Write(std::string(32, 'b'), 0600);
  EXPECT_NE(hash, (*LoadKeyedHash(path_))("kezek-1-1"));
}

TEST_F(KeyFile, RefusesKeysThatAreShortSharedOrMissing) {
  EXPECT_EQ(LoadKeyedHash(path_).error().code, Code::kNotFound);
  Write(std::string(31, 'a'), 0600);
  EXPECT_EQ(LoadKeyedHash(path_).error().code, Code::kInvalidArgument);
  Write(std::string(32, 'a'), 0640);
  EXPECT_EQ(LoadKeyedHash(path_).error().code, Code::kInvalidArgument);
}

TEST(HostAccounts, KnowsRootAndNobodyElse) {
  HostAccounts accounts;
  ASSERT_TRUE(accounts.FindUid("root"));
  EXPECT_EQ(*accounts.FindUid("root"), 0);
  EXPECT_EQ(accounts.FindUid("no-such-account-here").error().code, Code::kNotFound);
}

// What others wrote (names of Slurm's jobs, messages of the database) neither ends a line nor a
// JSON string.
TEST(Log, IsOneLineForEachMessageAndJsonOnRequest) {
  const std::string message = "reason='ERROR: \"x\"\nforged\x1b[2J\\' \xff \xd2\x9b";
  const auto before = spdlog::default_logger();
  for (const bool json : {false, true}) {
    config::Config config;
    config.log_level = "info";
    config.log_json = json;
    testing::internal::CaptureStderr();
    ASSERT_TRUE(StartLog(config));
    spdlog::info("{}", message);
    spdlog::set_default_logger(before);
    spdlog::drop("kezekd");
    const std::string line = testing::internal::GetCapturedStderr();
    EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1) << line;
    if (!json) {
      EXPECT_TRUE(line.ends_with("info reason='ERROR: \"x\"\\x0aforged\\x1b[2J\\' \xff \xd2\x9b\n"))
          << line;
      continue;
    }
    const auto parsed = nlohmann::json::parse(line);
    EXPECT_EQ(parsed.at("level"), "info");
    EXPECT_EQ(parsed.at("message"), "reason='ERROR: \"x\"\nforged\x1b[2J\\' ? \xd2\x9b");
  }
}

class FakeCluster final : public Cluster {
 public:
  void Submit(Launch launch) override {
    const std::scoped_lock lock(mutex);
    submitted.push_back(launch.attempt);
    changed.notify_all();
  }
  void Release(const AttemptRef&, std::int64_t, const std::string&) override { ++others; }
  void Cancel(const AttemptRef&, std::int64_t, const std::string&) override { ++others; }
  void Signal(const AttemptRef&, std::int64_t, const std::string&, const std::string&,
              bool) override {
    ++others;
  }
  void SetLimit(const Followed&, DurationMs) override {}
  void FindByName(const AttemptRef&) override { ++others; }
  void Look(const Followed&) override { ++others; }
  void Reconcile() override { ++others; }
  void Follow(std::vector<Followed>) override { ++others; }

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<AttemptRef> submitted;  // under mutex
  int others = 0;
};

// Answers as told; a launch of `slow` waits until the gate is open.
class FakeFolders final : public OutputFolders {
 public:
  Result<void> Prepare(const AttemptRef& attempt, const std::string&) override {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return open || attempt != slow; });
    return answer;
  }
  std::mutex mutex;
  std::condition_variable changed;
  bool open = true;
  AttemptRef slow;
  Result<void> answer;
};

class FakeAccounts final : public UnixAccounts {
 public:
  Result<std::int64_t> FindUid(const std::string&) override { return answer; }
  Result<std::int64_t> answer{2001};
};

class PreparedClusterTest : public testing::Test {
 protected:
  // What comes of a launch: the refusal, or nothing if it reached the cluster.
  std::optional<LaunchRefused> Launched(std::int64_t uid) {
    Launch launch;
    launch.attempt = attempt;
    launch.unix_account = "alice";
    launch.unix_uid = uid;
    const std::size_t before = Submitted();
    prepared.Submit(launch);
    std::unique_lock lock(cluster.mutex);
    cluster.changed.wait(lock, [&] { return refused || cluster.submitted.size() > before; });
    return std::exchange(refused, std::nullopt);
  }
  std::size_t Submitted() {
    const std::scoped_lock lock(cluster.mutex);
    return cluster.submitted.size();
  }
  const AttemptRef attempt{{JobId{7}, kNoElement}, 1};
  FakeCluster cluster;
  // Kept by what hangs, beyond the test.
  const std::shared_ptr<FakeFolders> its_folders = std::make_shared<FakeFolders>();
  const std::shared_ptr<FakeAccounts> its_accounts = std::make_shared<FakeAccounts>();
  FakeFolders& folders = *its_folders;
  FakeAccounts& accounts = *its_accounts;
  std::optional<LaunchRefused> refused;  // under cluster.mutex
  PreparedCluster prepared{
      {.cluster = &cluster, .folders = its_folders, .accounts = its_accounts, .min_uid = 2000},
      [this](ClusterEvent event) {
        const std::scoped_lock lock(cluster.mutex);
        refused = std::get<LaunchRefused>(event);
        cluster.changed.notify_all();
      }};
};

TEST_F(PreparedClusterTest, LaunchesOnlyWithAFolder) {
  EXPECT_FALSE(Launched(2001));
  EXPECT_EQ(Submitted(), 1U);
  folders.answer = Error{Code::kInternal, "the file system is full", {}};
  auto answer = Launched(2001);
  ASSERT_TRUE(answer);
  EXPECT_FALSE(answer->for_good);
  EXPECT_EQ(answer->text, "the file system is full");
  EXPECT_EQ(Submitted(), 1U);
}

TEST_F(PreparedClusterTest, ChecksTheUnixAccountAnew) {
  auto answer = Launched(2002);
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->for_good) << "somebody else has the name now";
  accounts.answer = 1500;
  answer = Launched(1500);
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->for_good) << "a system user";
  EXPECT_NE(answer->text.find("below 2000"), std::string::npos) << answer->text;
  accounts.answer = Error{Code::kNotFound, "no such account", {}};
  answer = Launched(2001);
  ASSERT_TRUE(answer);
  EXPECT_TRUE(answer->for_good);
  accounts.answer = Error{Code::kUnavailable, "the directory does not answer", {}};
  answer = Launched(2001);
  ASSERT_TRUE(answer);
  EXPECT_FALSE(answer->for_good);
  EXPECT_EQ(Submitted(), 0U);
}

TEST_F(PreparedClusterTest, AFileSystemThatHangsBlocksNobodyElse) {
  folders.slow = {{JobId{8}, kNoElement}, 1};
  folders.open = false;
  Launch slow;
  slow.attempt = folders.slow;
  slow.unix_uid = 2001;
  prepared.Submit(slow);  // returns
  EXPECT_FALSE(Launched(2001));
  EXPECT_EQ(Submitted(), 1U);
  {
    const std::scoped_lock lock(folders.mutex);
    folders.open = true;
  }
  folders.changed.notify_all();
  std::unique_lock lock(cluster.mutex);
  cluster.changed.wait(lock, [&] { return cluster.submitted.size() == 2; });
  EXPECT_EQ(cluster.submitted.back(), slow.attempt);
}

// A launch that hangs, or waits behind others that do, is given up and never submitted; and its
// thread does not keep the daemon from ending.
TEST_F(PreparedClusterTest, WhatHangsIsGivenUpAndKeepsNobodyFromEnding) {
  folders.slow = attempt;
  folders.open = false;
  int given_up = 0;  // under cluster.mutex
  {
    PreparedCluster hasty({.cluster = &cluster,
                           .folders = its_folders,
                           .accounts = its_accounts,
                           .min_uid = 2000,
                           .deadline_ms = 20,
                           .patience_ms = 20},
                          [&](ClusterEvent event) {
                            const std::scoped_lock lock(cluster.mutex);
                            EXPECT_FALSE(std::get<LaunchRefused>(event).for_good);
                            ++given_up;
                            cluster.changed.notify_all();
                          });
    Launch launch;
    launch.attempt = attempt;
    launch.unix_uid = 2001;
    for (int i = 0; i < 6; ++i) hasty.Submit(launch);  // more than there are threads
    std::unique_lock lock(cluster.mutex);
    cluster.changed.wait(lock, [&] { return given_up == 6; });
  }
  {
    const std::scoped_lock lock(folders.mutex);
    folders.open = true;
  }
  folders.changed.notify_all();
  EXPECT_FALSE(Launched(2001)) << "the one submitted";
  EXPECT_EQ(Submitted(), 1U);
}

TEST_F(PreparedClusterTest, HandsAllElseOn) {
  prepared.Release(attempt, 1, "u");
  prepared.Cancel(attempt, 1, "u");
  prepared.Signal(attempt, 1, "u", "USR1", false);
  prepared.FindByName(attempt);
  prepared.Look({});
  prepared.Reconcile();
  prepared.Follow({});
  EXPECT_EQ(cluster.others, 7);
}

TEST(TlsCheck, SaysWhatIsWrongWithTheFilesAndWhere) {
  std::string folder = (std::filesystem::temp_directory_path() / "kezek-tls-XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const test::Authority authority("authority");
  const TimeMs now = static_cast<TimeMs>(time(nullptr)) * 1000;
  const TlsFiles good = authority.Issue(folder, "good", {});
  const TlsFiles old = authority.Issue(folder, "old", {.from_s = -7200, .until_s = -3600});
  const TlsFiles early = authority.Issue(folder, "early", {.from_s = 3600});
  test::WriteSecretFile(folder + "/text", "no certificate");
  const auto said = [&](const TlsFiles& files) {
    const auto checked = CheckTls(files, now);
    return checked ? std::string("good") : checked.error().message;
  };
  const auto holds = [&](const TlsFiles& files, const std::string& words) {
    EXPECT_NE(said(files).find(words), std::string::npos) << said(files);
  };
  EXPECT_EQ(said({}), "good");
  EXPECT_EQ(said(good), "good");
  holds({folder + "/none", good.key_file, ""}, "tls.certificate: " + folder + "/none cannot be");
  holds({folder + "/text", good.key_file, ""}, "has no certificate in PEM form");
  holds({good.certificate_file, folder + "/text", ""}, "has no private key in PEM form");
  holds({good.certificate_file, old.key_file, ""}, "is not the key of the certificate");
  holds({good.certificate_file, good.key_file, folder + "/text"}, "tls.client_ca: ");
  holds(old, "expired on ");
  holds(early, "holds only from ");
  ASSERT_EQ(chmod(good.key_file.c_str(), 0644), 0);
  holds(good, "every user of this host may read");
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace kezek::kezekd
