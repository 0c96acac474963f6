// Goal: each way in which an attempt and its run can differ is named, once, with what each side
// says; what agrees, never ran, or belongs to another installation is not; totals are of what ended
// in the time. Method: attempts and runs made by hand, behind fakes of both ports that answer by
// stretches of time; each case changes one thing.

#include "rpc/reconcile.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

namespace kezek::rpc {
namespace {

constexpr TimeMs kSince = 100 * kDayMs;
constexpr TimeMs kUntil = 103 * kDayMs;

class FakeBooks final : public ClusterBooks {
 public:
  Result<ClusterAccounts> ReadAccounts() override { return ClusterAccounts(); }
  Result<void> AddAccount(const std::string&, const std::string&) override { return {}; }
  Result<void> AddUser(const std::string&, const std::string&) override { return {}; }
  Result<void> AddMember(const std::string&, const std::string&) override { return {}; }
  Result<std::vector<BookedRun>> EndedRuns(TimeMs since, TimeMs until) override {
    if (away) return Error{Code::kUnavailable, "away", {}};
    std::vector<BookedRun> some;
    for (const BookedRun& run : runs) {
      if (run.end_ms >= since && run.end_ms < until) some.push_back(run);
    }
    most = std::max(most, until - since);
    return some;
  }
  Result<std::vector<BookedRun>> RunsOf(std::int64_t id) override {
    ++lookups;
    std::vector<BookedRun> some;
    for (const BookedRun& run : runs) {
      if (run.cluster_job_id == id) some.push_back(run);
    }
    return some;
  }
  std::vector<BookedRun> runs;
  bool away = false;
  int lookups = 0;
  DurationMs most = 0;
};

class FakeReading final : public AttemptReading {
 public:
  explicit FakeReading(std::vector<ChargedAttempt> all) : all_(std::move(all)) {
    for (const auto& one : all_) {
      const Attempt& attempt = one.attempt;
      if (attempt.state == AttemptState::kEnded && attempt.end_ms >= kSince &&
          attempt.end_ms < kUntil) {
        ended_.push_back(one);
      }
    }
    std::sort(ended_.begin(), ended_.end(), [](const auto& a, const auto& b) {
      return std::pair(a.attempt.end_ms, a.attempt.ref) <
             std::pair(b.attempt.end_ms, b.attempt.ref);
    });
  }
  Result<std::vector<ChargedAttempt>> Next(std::int32_t limit) override {
    std::vector<ChargedAttempt> some;
    while (next_ < ended_.size() && static_cast<std::int32_t>(some.size()) < std::min(limit, 2)) {
      some.push_back(ended_[next_++]);
    }
    return some;
  }
  Result<ChargedAttempt> Find(const AttemptRef& ref) override {
    for (const auto& one : all_) {
      if (one.attempt.ref == ref) return one;
    }
    return Error{Code::kNotFound, "none", {}};
  }
  Result<std::vector<ChargedAttempt>> RunAs(const std::vector<std::int64_t>& ids) override {
    std::vector<ChargedAttempt> known;
    for (const auto& one : all_) {
      if (std::find(ids.begin(), ids.end(), one.attempt.cluster_job_id) != ids.end()) {
        known.push_back(one);
      }
    }
    return known;
  }
  Result<ForeignCharged> Foreign(TimeMs /*since_ms*/, TimeMs /*until_ms*/) override {
    return foreign;
  }
  ForeignCharged foreign;

 private:
  std::vector<ChargedAttempt> all_;
  std::vector<ChargedAttempt> ended_;
  std::size_t next_ = 0;
};

class ReconcileTest : public testing::Test {
 protected:
  // An attempt of 16 GPUs on two nodes for an hour, and its run, alike.
  ReconcileTest() {
    for (int i = 1; i <= 3; ++i) Add(i, kSince + i * 20 * kHourMs);
  }
  void Add(std::int64_t job, TimeMs end) {
    ChargedAttempt one;
    Attempt& attempt = one.attempt;
    attempt.ref = {{JobId{job}, kNoElement}, 1};
    attempt.state = AttemptState::kEnded;
    attempt.outcome = AttemptOutcome::kSucceeded;
    attempt.placement = {{"n01", 8, {}}, {"n02", 8, {}}};
    attempt.cluster_job_id = 70 + job;
    attempt.start_ms = end - kHourMs;
    attempt.end_ms = end;
    attempt.counted_milli = 16'000;
    attempt.settings_version = 4;
    one.unix_account = "kz-aizhan";
    one.settled = 16 * kGpuHour;
    one.settlements = 1;
    here_.push_back(one);
    BookedRun run;
    run.cluster_job_id = attempt.cluster_job_id;
    run.attempt = attempt.ref;
    run.tag = "kezek:site:3:ab";
    run.unix_account = "kz-aizhan";
    run.account = "nlp";
    run.qos = "high";
    run.start_ms = attempt.start_ms;
    run.end_ms = attempt.end_ms;
    run.granted = attempt.placement;
    run.gpus = 16;
    books_.runs.push_back(run);
  }
  // "CODE job/attempt here|slurm" of each difference.
  std::vector<std::string> Differences() {
    ReconcileQuestion question;
    question.since_ms = kSince;
    question.until_ms = kUntil;
    question.tag_prefix = "kezek:site:";
    question.booking_of = [this](AccountId, std::int64_t version) {
      EXPECT_EQ(version, 4);
      return booking_;
    };
    FakeReading reading(here_);
    reading.foreign = foreign_;
    const std::atomic<bool> stopping = false;
    answer_.Clear();
    const auto done = Reconcile(question, books_, reading, stopping, &answer_);
    EXPECT_TRUE(done) << done.error().message;
    std::vector<std::string> texts;
    for (const v1::ReconcileRow& row : answer_.rows()) {
      std::string text =
          row.reason().code() + " " + row.job() + "/" + std::to_string(row.attempt());
      const auto& fields = row.reason().fields();
      if (fields.contains("here")) text += " " + fields.at("here") + "|" + fields.at("slurm");
      EXPECT_FALSE(row.reason().sentence().empty());
      texts.push_back(text);
    }
    return texts;
  }

  FakeBooks books_;
  std::vector<ChargedAttempt> here_;
  ForeignCharged foreign_;
  ClusterBooking booking_{"nlp", "high"};
  v1::ReportReconcileResponse answer_;
};

using Texts = std::vector<std::string>;

TEST_F(ReconcileTest, WhatAgreesIsCountedAndAddedUp) {
  EXPECT_EQ(Differences(), Texts{});
  EXPECT_EQ(answer_.compared(), 3);
  ASSERT_EQ(answer_.totals_size(), 1);
  EXPECT_EQ(answer_.totals(0).slurm_account(), "nlp");
  EXPECT_EQ(answer_.totals(0).attempts(), 3);
  EXPECT_EQ(answer_.totals(0).slurm_jobs(), 3);
  EXPECT_EQ(answer_.totals(0).here_milli_gpu_ms(), 48 * kGpuHour);
  EXPECT_EQ(answer_.totals(0).slurm_milli_gpu_ms(), 48 * kGpuHour);
  EXPECT_EQ(books_.lookups, 0) << "what is found in its stretch is not asked for again";
  EXPECT_LE(books_.most, kDayMs);
}

TEST_F(ReconcileTest, WhatIsNotKezeksIsCountedApartAndMustBeCharged) {
  foreign_.read = {kSince, kUntil};
  BookedRun run = books_.runs[1];
  run.attempt = {};
  run.tag = "";
  run.account = "theirs";
  run.unix_account = "somebody";
  run.cluster_job_id = 900;
  books_.runs.push_back(run);
  foreign_.runs = {{900, run.start_ms}};
  run.cluster_job_id = 901;
  run.gpus = 0;
  books_.runs.push_back(run);
  books_.runs[0].attempt = {};                 // renamed by its owner: Kezek's all the same
  run.attempt = {{JobId{99}, kNoElement}, 1};  // somebody called it so
  run.cluster_job_id = 902;
  run.gpus = 16;
  books_.runs.push_back(run);
  foreign_.runs.insert({902, run.start_ms});
  EXPECT_EQ(Differences(), Texts{});
  EXPECT_EQ(answer_.foreign_jobs(), 2);
  EXPECT_EQ(answer_.foreign_charged(), 2);
  EXPECT_EQ(answer_.foreign_milli_gpu_ms(), 32 * kGpuHour);
  EXPECT_EQ(answer_.totals_size(), 1) << "in no account's total";
  books_.runs.pop_back();
  books_.runs[0].attempt = here_[0].attempt.ref;
  foreign_.runs.clear();
  EXPECT_EQ(Differences(), Texts{"FOREIGN_NOT_CHARGED /0"});
  EXPECT_EQ(answer_.rows(0).slurm_job_id(), 900);
  EXPECT_EQ(answer_.rows(0).difference_milli_gpu_ms(), -16 * kGpuHour);
  foreign_.read = {};
  EXPECT_EQ(Differences(), Texts{}) << "nobody is to be charged";
}

TEST_F(ReconcileTest, EachThingThatDiffersIsNamedWithBothSides) {
  BookedRun& run = books_.runs[1];
  const BookedRun good = run;
  const auto with = [&](const std::function<void(BookedRun&)>& change) {
    run = good;
    change(run);
    return Differences();
  };
  EXPECT_EQ(with([](auto& r) {
              r.granted = {{"n01", 8, {}}, {"n03", 8, {}}};
            }),
            Texts{"NODES_DIFFER 2/1 n[01-02]|n[01,03]"});
  EXPECT_EQ(with([](auto& r) { r.gpus = 8; }), Texts{"GPUS_DIFFER 2/1 16|8"});
  EXPECT_EQ(answer_.rows(0).difference_milli_gpu_ms(), 8 * kGpuHour);
  EXPECT_EQ(with([](auto& r) { r.account = "cv"; }), Texts{"ACCOUNT_DIFFERS 2/1 nlp|cv"});
  EXPECT_EQ(with([](auto& r) { r.qos = "normal"; }), Texts{"QOS_DIFFERS 2/1 high|normal"});
  EXPECT_EQ(with([](auto& r) { r.unix_account = "root"; }),
            Texts{"USER_DIFFERS 2/1 kz-aizhan|root"});
  const std::string end = std::to_string(good.end_ms);
  const std::string later = std::to_string(good.end_ms + kSecondMs);
  EXPECT_EQ(with([](auto& r) { r.end_ms += kSecondMs; }),
            (Texts{"END_DIFFERS 2/1 " + end + "|" + later,
                   "CHARGE_DIFFERS 2/1 57600000000|57616000000"}));
  EXPECT_EQ(answer_.rows(1).difference_milli_gpu_ms(), -16'000'000);
  const auto started = with([](auto& r) { r.start_ms += kSecondMs; });
  ASSERT_EQ(started.size(), 2U);
  EXPECT_EQ(started[0].find("START_DIFFERS 2/1"), 0U);
  booking_ = {};
  EXPECT_EQ(with([](auto& r) { r.account = r.qos = "any"; }), Texts{}) << "the cluster's defaults";
}

TEST_F(ReconcileTest, PartsOfASecondAreNoDifference) {
  here_[0].attempt.end_ms += 900;
  here_[0].attempt.start_ms += 400;
  EXPECT_EQ(Differences(), Texts{});
}

TEST_F(ReconcileTest, WhatOneSideLacksIsNamed) {
  const auto runs = books_.runs;
  books_.runs.erase(books_.runs.begin());
  EXPECT_EQ(Differences(), Texts{"UNKNOWN_TO_SLURM 1/1"});
  EXPECT_EQ(answer_.rows(0).difference_milli_gpu_ms(), 16 * kGpuHour);
  books_.runs = runs;
  here_.erase(here_.begin() + 1);
  EXPECT_EQ(Differences(), Texts{"UNKNOWN_HERE 2/1"});
  EXPECT_EQ(answer_.rows(0).difference_milli_gpu_ms(), -16 * kGpuHour);
  books_.runs.push_back(runs[0]);
  books_.runs.back().cluster_job_id = 99;
  EXPECT_EQ(Differences(), (Texts{"UNKNOWN_HERE 1/1", "UNKNOWN_HERE 2/1"})) << "run twice";
}

TEST_F(ReconcileTest, OfSeveralRecordsTheAttemptsOwnIsCompared) {
  books_.runs[0].end_ms += 400 * kDayMs;  // looked up, for it is outside of the time asked for
  BookedRun next = books_.runs[0];
  next.start_ms += kHourMs;
  next.end_ms = 0;
  books_.runs.insert(books_.runs.begin(), next);
  const Texts found = Differences();
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found[0].find("END_DIFFERS 1/1"), 0U) << found[0];
}

TEST_F(ReconcileTest, WhatSlurmRanAgainUnderTheIdIsNamed) {
  BookedRun again = books_.runs[0];
  again.start_ms = again.end_ms + kMinuteMs;
  again.end_ms = again.start_ms + kMinuteMs;
  books_.runs.insert(books_.runs.begin(), again);
  EXPECT_EQ(Differences(), Texts{"RAN_AGAIN 1/1"});
  EXPECT_LT(answer_.rows(0).difference_milli_gpu_ms(), 0);
  books_.runs[0].end_ms = books_.runs[0].start_ms;
  EXPECT_TRUE(Differences().empty()) << "it ended at once, and took nothing";
}

TEST_F(ReconcileTest, WhatRunsOnInOneIsNamed) {
  books_.runs[0].end_ms = 0;
  EXPECT_EQ(Differences(), Texts{"RUNS_IN_SLURM 1/1"});
  books_.runs[0].end_ms = here_[0].attempt.end_ms;
  here_[0].attempt.state = AttemptState::kRunning;
  here_[0].attempt.end_ms = 0;
  EXPECT_EQ(Differences(), Texts{"RUNS_HERE 1/1"});
}

TEST_F(ReconcileTest, APairThatEndsInOtherStretchesIsNamedOnce) {
  books_.runs[0].end_ms += 30 * kHourMs;
  const auto far = Differences();
  ASSERT_EQ(far.size(), 2U) << testing::PrintToString(far);
  EXPECT_EQ(far[0].find("END_DIFFERS 1/1"), 0U);
  EXPECT_EQ(far[1].find("CHARGE_DIFFERS 1/1"), 0U);
  books_.runs[0].end_ms = kUntil + kDayMs;  // beyond what is asked for
  EXPECT_EQ(Differences().size(), 2U);
  books_.runs[0].end_ms = here_[0].attempt.end_ms;
  here_[0].attempt.end_ms = kSince - kHourMs;  // before it
  const auto before = Differences();
  ASSERT_EQ(before.size(), 1U) << "settled as Slurm says";
  EXPECT_EQ(before[0].find("END_DIFFERS 1/1"), 0U);
}

TEST_F(ReconcileTest, WhatNeverRanAndWhatIsAnothersIsNotLookedAt) {
  here_[0].attempt.start_ms = 0;
  here_[0].settled = 0;
  here_[0].settlements = 0;
  books_.runs[0].start_ms = 0;
  books_.runs[0].granted.clear();
  BookedRun others = books_.runs[1];
  others.attempt.job.id = JobId{900};
  others.cluster_job_id = 900;
  others.tag = "kezek:other:1:cd";
  books_.runs.push_back(others);
  EXPECT_EQ(Differences(), Texts{});
  EXPECT_EQ(answer_.totals(0).slurm_jobs(), 2);
}

TEST_F(ReconcileTest, WhatIsSettledTwiceOrNotAtAllIsNamed) {
  here_[0].settlements = 2;
  EXPECT_EQ(Differences(), Texts{"CHARGE_DIFFERS 1/1 2 times|once"});
  here_[0].settlements = 0;
  here_[0].settled = 0;
  EXPECT_EQ(Differences(), Texts{"CHARGE_DIFFERS 1/1 0|57600000000"});
}

TEST_F(ReconcileTest, AnEndIsToldAndBooksThatAreAwayAreNoAnswer) {
  ReconcileQuestion question{.since_ms = kSince, .until_ms = kUntil};
  question.booking_of = [](AccountId, std::int64_t) { return ClusterBooking{}; };
  FakeReading reading(here_);
  const std::atomic<bool> stopping = true;
  EXPECT_EQ(Reconcile(question, books_, reading, stopping, &answer_).error().code,
            Code::kUnavailable);
  books_.away = true;
  const std::atomic<bool> going = false;
  EXPECT_EQ(Reconcile(question, books_, reading, going, &answer_).error().message, "away");
}

}  // namespace
}  // namespace kezek::rpc
