// Goal: a credential proves who made it and for what, once and not for long; everything else is
// refused with the reason, and a munged that does not answer is told apart from a forgery.
// Method: a munged of the test's own with a key of its own, on a socket in a temporary folder; a
// second one, with another key, makes what is forged.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "munge/munge_proofs.h"

namespace kezek::munge {
namespace {

constexpr const char* kProgram = "/usr/sbin/munged";

// munged refuses to run with a key or a folder that others may write.
class Munged {
 public:
  explicit Munged(const std::string& folder, char key_byte) : folder_(folder) {
    std::filesystem::create_directory(folder_);
    chmod(folder_.c_str(), 0711);
    std::ofstream(folder_ + "/key") << std::string(128, key_byte);
    chmod((folder_ + "/key").c_str(), 0600);
    pid_ = fork();
    if (pid_ != 0) return;
    const int silent = open("/dev/null", O_RDWR | O_CLOEXEC);
    dup2(silent, STDOUT_FILENO);
    dup2(silent, STDERR_FILENO);
    const std::vector<std::string> words = {"munged",
                                            "--foreground",
                                            "--force",
                                            "--socket=" + socket(),
                                            "--key-file=" + folder_ + "/key",
                                            "--pid-file=" + folder_ + "/pid",
                                            "--log-file=" + folder_ + "/log",
                                            "--seed-file=" + folder_ + "/seed"};
    std::vector<char*> arguments;
    for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    execv(kProgram, arguments.data());
    _exit(127);
  }
  ~Munged() {
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
  }
  std::string socket() const { return folder_ + "/socket"; }
  bool Answers() const {
    for (int tries = 0; tries < 300; ++tries) {
      if (MakeCredential("", socket())) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return false;
  }

 private:
  std::string folder_;
  pid_t pid_ = -1;
};

std::string ReasonOf(const Result<UnixProof>& proof) {
  if (proof) return "none";
  return proof.error().details.empty() ? "" : proof.error().details.front().reason;
}

TEST(Munge, ProvesWhoMadeACredentialOnce) {
  ASSERT_EQ(access(kProgram, X_OK), 0) << "no munged here: install the package munge";
  std::string root = (std::filesystem::temp_directory_path() / "kezek-munge-XXXXXX").string();
  ASSERT_NE(mkdtemp(root.data()), nullptr);
  {
    const Munged ours(root + "/ours", 'a');
    const Munged theirs(root + "/theirs", 'b');
    ASSERT_TRUE(ours.Answers());
    ASSERT_TRUE(theirs.Answers());
    MungeProofs proofs(ours.socket());
    const auto credential = MakeCredential("for this server", ours.socket());
    ASSERT_TRUE(credential) << credential.error().message;
    const auto proof = proofs.Open(*credential);
    ASSERT_TRUE(proof) << proof.error().message;
    EXPECT_EQ(proof->uid, static_cast<std::int64_t>(getuid()));
    EXPECT_EQ(proof->payload, "for this server");
    EXPECT_EQ(ReasonOf(proofs.Open(*credential)), "CREDENTIAL_USED");
    EXPECT_EQ(ReasonOf(proofs.Open("MUNGE:nonsense:")), "CREDENTIAL_INVALID");
    EXPECT_EQ(ReasonOf(proofs.Open("")), "CREDENTIAL_INVALID");
    EXPECT_EQ(ReasonOf(proofs.Open(*MakeCredential("", theirs.socket()))), "CREDENTIAL_INVALID");
    const auto empty = proofs.Open(*MakeCredential("", ours.socket()));
    ASSERT_TRUE(empty);
    EXPECT_EQ(empty->payload, "");
  }
  MungeProofs gone(root + "/ours/socket");
  EXPECT_EQ(gone.Open("MUNGE:").error().code, Code::kUnavailable);
  EXPECT_EQ(MakeCredential("", root + "/none").error().code, Code::kUnavailable);
  std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace kezek::munge
