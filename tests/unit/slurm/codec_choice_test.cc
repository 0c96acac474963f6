// Goal: the newest version that both sides speak is chosen, again after each absence, and where
// there is none it is said which there are.
// Method: a table of paths stands for slurmrestd.
#include "slurm/codec_choice.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "tests/unit/slurm/fixture.h"

namespace kezek::slurm {
namespace {

class ChoiceTest : public testing::Test {
 protected:
  void Serve(const std::string& version, const std::string& recorded_ping) {
    const Recorded ping = Record(recorded_ping);
    served_["/slurm/" + version + "/ping"] = {HttpOutcome::Kind::kAnswered, ping.status, ping.body,
                                              ""};
  }
  Result<std::string> Choose() {
    asked_.clear();
    return choice_.Choose([this](const std::string& path) {
      asked_.push_back(path);
      const auto found = served_.find(path);
      if (found != served_.end()) return found->second;
      const Recorded none = Record("71-unknown-path");
      return HttpOutcome{HttpOutcome::Kind::kAnswered, none.status, none.body, ""};
    });
  }
  std::string Chosen() const {
    return choice_.chosen() == nullptr ? "none" : std::string(choice_.chosen()->version());
  }

  std::map<std::string, HttpOutcome> served_;
  std::vector<std::string> asked_;
  CodecChoice choice_;
};

TEST_F(ChoiceTest, TheNewestThatIsServed) {
  EXPECT_EQ(Chosen(), "none");
  Serve("v0.0.38", "01-ping");
  EXPECT_EQ(*Choose(), "22.05.8");
  EXPECT_EQ(Chosen(), "v0.0.38");
  EXPECT_EQ(asked_.size(), Codecs().size());
  // Upgraded while away.
  served_.clear();
  for (const char* version : {"v0.0.40", "v0.0.41", "v0.0.42"}) Serve(version, "24.11/01-ping");
  EXPECT_EQ(*Choose(), "24.11.5");
  EXPECT_EQ(Chosen(), "v0.0.42");
  Serve("v0.0.45", "26.05/01-ping");
  EXPECT_EQ(*Choose(), "26.05.5");
  EXPECT_EQ(Chosen(), "v0.0.45");
  EXPECT_EQ(asked_.size(), 1U) << "the newest answers, so no other is asked";
}

TEST_F(ChoiceTest, WhileSlurmctldIsAwayTheChoiceStays) {
  Serve("v0.0.42", "24.11/01-ping");
  ASSERT_TRUE(Choose());
  Serve("v0.0.45", "26.05/68-bad-token");  // a 200 that says it does not respond
  EXPECT_FALSE(Choose());
  EXPECT_EQ(Chosen(), "v0.0.42");
  served_["/slurm/v0.0.45/ping"] = {HttpOutcome::Kind::kNotSent, 0, "", "connection refused"};
  const auto away = Choose();
  ASSERT_FALSE(away);
  EXPECT_EQ(away.error().message, "connection refused");
  EXPECT_EQ(asked_.size(), 1U) << "who does not listen is not asked on";
}

TEST_F(ChoiceTest, NoneThatFitsIsNamedWithWhatThereIs) {
  const auto nothing = Choose();
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().code, Code::kUnavailable);
  EXPECT_NE(nothing.error().message.find("serves no version"), std::string::npos);
  served_["/openapi/v3"] = {HttpOutcome::Kind::kAnswered, 200,
                            R"({"paths":{"/slurm/v0.0.46/ping":{},"/slurm/v0.0.46/jobs":{},)"
                            R"("/slurm/v0.0.47/ping/":{},"/slurmdb/v0.0.48/jobs":{}}})",
                            ""};
  const auto newer = Choose();
  ASSERT_FALSE(newer);
  EXPECT_EQ(newer.error().message,
            "slurmrestd serves v0.0.46, v0.0.47; Kezek speaks v0.0.38, v0.0.40, v0.0.41, v0.0.42, "
            "v0.0.43, v0.0.44, v0.0.45 (Slurm 22.05 to 26.05)");
  EXPECT_EQ(Chosen(), "none");
}

}  // namespace
}  // namespace kezek::slurm
