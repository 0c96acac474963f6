// Goal: an attempt's output is read byte for byte from where it was asked for, followed until the
// attempt is over, and shown to nobody else.
// Method: a gRPC server on fakes, with output files in memory.

#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "tests/unit/rpc/served.h"

namespace kezek::rpc {
namespace {

class LogsTest : public Served {
 protected:
  void SetUp() override {
    Served::SetUp();
    id_ = Submit("aizhan@kaznu", "a");
    job_ = std::to_string(id_);
    path_ = "/out/" + job_ + "/1/stdout";
  }
  struct Outcome {
    std::string bytes;
    std::string reason;
    int attempt = 0;
  };
  Outcome Logs(const std::string& user, const std::function<void(v1::LogsRequest&)>& change = {}) {
    v1::LogsRequest request;
    request.set_job(job_);
    if (change) change(request);
    const auto context = As(user);
    const auto reader = stub_->Logs(context.get(), request);
    v1::LogsResponse response;
    Outcome outcome;
    bool first = true;
    std::int64_t next = 0;
    while (reader->Read(&response)) {
      EXPECT_TRUE(first || response.offset() == next) << "pieces join";
      first = false;
      EXPECT_LE(response.data().size(), 65'536U);
      next = response.offset() + static_cast<std::int64_t>(response.data().size());
      outcome.bytes += response.data();
      outcome.attempt = response.attempt();
    }
    outcome.reason = Reason(reader->Finish());
    return outcome;
  }

  std::int64_t id_ = 0;
  std::string job_;
  std::string path_;
};

TEST_F(LogsTest, AllBytesAsTheyAre) {
  Run(Ref(id_));
  const std::string bytes = std::string("a\0b\xff\n", 5) + std::string(200'000, 'x') + "\nend";
  output_.Append(path_, bytes);
  const Outcome outcome = Logs("aizhan@kaznu");
  EXPECT_EQ(outcome.reason, "OK");
  EXPECT_EQ(outcome.bytes, bytes);
  EXPECT_EQ(outcome.attempt, 1);
}

TEST_F(LogsTest, FromAnOffsetATailAndNoMoreThanAsked) {
  Run(Ref(id_));
  output_.Append(path_, "one\ntwo\nthree\n");
  EXPECT_EQ(Logs("aizhan@kaznu", [](auto& r) { r.set_offset(4); }).bytes, "two\nthree\n");
  EXPECT_EQ(Logs("aizhan@kaznu", [](auto& r) { r.set_offset(999); }).bytes, "");
  EXPECT_EQ(Logs("aizhan@kaznu", [](auto& r) { r.set_tail_lines(1); }).bytes, "three\n");
  EXPECT_EQ(Logs("aizhan@kaznu", [](auto& r) { r.set_max_bytes(3); }).bytes, "one");
  EXPECT_EQ(Logs("aizhan@kaznu",
                 [](auto& r) {
                   r.set_tail_lines(2);
                   r.set_max_bytes(4);
                   r.set_follow(true);
                 })
                .bytes,
            "two\n");
}

TEST_F(LogsTest, IsRefusedToOthers) {
  Run(Ref(id_));
  output_.Append(path_, "secret");
  EXPECT_EQ(Logs("bolat@kaznu").bytes, "secret") << "a lead of the project";
  EXPECT_EQ(Logs("root@kezek").bytes, "secret");
  for (const auto* user :
       {"both@kaznu", "dana@acme", "chief@kaznu", "audit@kezek", "meter@kezek"}) {
    const Outcome outcome = Logs(user);
    EXPECT_EQ(outcome.reason, "JOB_NOT_FOUND") << user;
    EXPECT_EQ(outcome.bytes, "") << user;
  }
}

TEST_F(LogsTest, WhatIsNotThereSaysSo) {
  EXPECT_EQ(Logs("aizhan@kaznu").reason, "LOG_NOT_YET") << "queued";
  EXPECT_EQ(Logs("aizhan@kaznu", [](auto& r) { r.set_attempt(1); }).reason, "ATTEMPT_NOT_FOUND");
  Run(Ref(id_));
  EXPECT_EQ(Logs("aizhan@kaznu").reason, "LOG_NOT_YET") << "nothing written";
  EXPECT_EQ(Logs("aizhan@kaznu", [](auto& r) { r.set_attempt(2); }).reason, "ATTEMPT_NOT_FOUND");
  EXPECT_EQ(Logs("aizhan@kaznu", [](auto& r) { r.set_job("999999"); }).reason, "JOB_NOT_FOUND");
  EXPECT_EQ(Logs("aizhan@kaznu", [](auto& r) { r.set_job("x"); }).reason, "FIELD_INVALID");
  EXPECT_EQ(Logs("aizhan@kaznu", [](auto& r) { r.set_offset(-1); }).reason, "FIELD_INVALID");
  EXPECT_EQ(Logs("aizhan@kaznu", [](auto& r) { r.set_tail_lines(-1); }).reason, "FIELD_INVALID");
  EXPECT_EQ(Logs("aizhan@kaznu", [](auto& r) { r.set_max_bytes(-1); }).reason, "FIELD_INVALID");
  EXPECT_EQ(Logs("aizhan@kaznu", [](auto& r) { r.set_attempt(-1); }).reason, "FIELD_INVALID");
  EXPECT_EQ(Logs("aizhan@kaznu", [](auto& r) { r.set_stream(v1::LogStream(9)); }).reason,
            "FIELD_INVALID");
  const auto invalid = [this](const auto& change) {
    EXPECT_EQ(Logs("aizhan@kaznu", change).reason, "FIELD_INVALID");
  };
  invalid([](auto& r) { r.set_backwards(true), r.set_follow(true); });
  invalid([](auto& r) { r.set_backwards(true), r.set_tail_lines(1); });
  invalid([](auto& r) { r.set_node("n01"), r.set_task(0); });
  invalid([](auto& r) { r.set_task(-1); });
  invalid([](auto& r) { r.set_task(1); });  // it has one
  EXPECT_EQ(Logs("aizhan@kaznu", [](auto& r) { r.set_node("n05"); }).reason, "NODE_NOT_OF_JOB");
  EXPECT_EQ(Logs("aizhan@kaznu", [](auto& r) { r.set_node("../1"); }).reason, "NODE_NOT_OF_JOB");
}

TEST_F(LogsTest, BackwardsFromTheEndOrAnOffset) {
  Run(Ref(id_));
  std::string bytes;
  for (int i = 0; i < 30'000; ++i) bytes += "line " + std::to_string(i) + "\n";
  output_.Append(path_, bytes);
  const auto backwards = [this](const std::function<void(v1::LogsRequest&)>& change) {
    v1::LogsRequest request;
    request.set_job(job_);
    request.set_backwards(true);
    change(request);
    const auto context = As("aizhan@kaznu");
    const auto reader = stub_->Logs(context.get(), request);
    v1::LogsResponse response;
    std::string text;
    std::int64_t begin = -1;
    while (reader->Read(&response)) {
      const auto end = response.offset() + static_cast<std::int64_t>(response.data().size());
      EXPECT_TRUE(begin < 0 || end == begin) << "pieces join";
      EXPECT_LE(response.data().size(), 65'536U);
      begin = response.offset();
      text.insert(0, response.data());
    }
    EXPECT_EQ(Reason(reader->Finish()), "OK");
    return text;
  };
  EXPECT_EQ(backwards([](auto&) {}), bytes);
  EXPECT_EQ(backwards([](auto& r) { r.set_offset(7); }), bytes.substr(0, 7));
  EXPECT_EQ(backwards([](auto& r) { r.set_offset(0); }), "");
  EXPECT_EQ(backwards([](auto& r) { r.set_max_bytes(70'000); }),
            bytes.substr(bytes.size() - 70'000));
  EXPECT_EQ(backwards([](auto& r) { r.set_offset(999'999'999), r.set_max_bytes(9); }),
            bytes.substr(bytes.size() - 9));
  EXPECT_EQ(backwards([](auto& r) { r.set_offset(100), r.set_max_bytes(30); }),
            bytes.substr(70, 30));
}

TEST_F(LogsTest, EachNodeAndTaskOfAGang) {
  const std::int64_t gang = Submit("aizhan@kaznu", "gang", [](v1::SubmitRequest& request) {
    request.mutable_spec()->mutable_shape()->set_nodes(2);
    request.mutable_spec()->mutable_shape()->set_gpus(2);
    request.mutable_spec()->mutable_shape()->set_ntasks_per_node(2);
    request.mutable_spec()->mutable_shape()->set_ntasks(4);
  });
  const std::int64_t patterned = Submit("aizhan@kaznu", "p", [](v1::SubmitRequest& request) {
    request.mutable_spec()->mutable_shape()->set_nodes(2);
    request.mutable_spec()->mutable_shape()->set_gpus(2);
    request.mutable_spec()->mutable_shape()->set_ntasks_per_node(2);
    request.mutable_spec()->mutable_shape()->set_ntasks(4);
    request.mutable_spec()->set_stdout_path("/scratch/%j-%N-%n-%t.out");
  });
  for (const std::int64_t id : {gang, patterned}) {
    Run(Ref(id));
    store_.Change(
        Ref(id),
        [](JobRecord& record) {
          record.attempts.back().placement = {{"n01", 1, {}}, {"n02", 1, {}}};
        },
        "running", "running");
  }
  const std::string folder = "/out/" + std::to_string(gang) + "/1/";
  output_.Append(folder + "stdout", "script");
  output_.Append(folder + "stdout.n02", "second");
  output_.Append(folder + "stderr.n02", "errors");
  output_.Append(folder + "stdout.3", "last task");
  const auto of = [&](std::int64_t id, const std::function<void(v1::LogsRequest&)>& change) {
    return Logs("aizhan@kaznu", [&](auto& r) { r.set_job(std::to_string(id)), change(r); });
  };
  EXPECT_EQ(of(gang, [](auto&) {}).bytes, "script");
  EXPECT_EQ(of(gang, [](auto& r) { r.set_node("n02"); }).bytes, "second");
  EXPECT_EQ(of(gang, [](auto& r) { r.set_node("n02"), r.set_stream(v1::LOG_STREAM_STDERR); }).bytes,
            "errors");
  EXPECT_EQ(of(gang, [](auto& r) { r.set_task(3); }).bytes, "last task");
  EXPECT_EQ(of(gang, [](auto& r) { r.set_node("n01"); }).reason, "LOG_NOT_YET");
  const auto path = [&](const std::function<void(v1::LogsRequest&)>& change) {
    v1::LogsRequest request;
    request.set_job(std::to_string(patterned));
    change(request);
    const auto context = As("aizhan@kaznu");
    const auto reader = stub_->Logs(context.get(), request);
    v1::LogsResponse response;
    while (reader->Read(&response)) {
    }
    return Detail(reader->Finish()).fields().at("path");
  };
  const std::string start = "/scratch/" + std::to_string(patterned);
  EXPECT_EQ(path([](auto&) {}), start + "-n01-0-0.out");
  EXPECT_EQ(path([](auto& r) { r.set_node("n02"); }), start + "-n02-1-2.out");
  EXPECT_EQ(path([](auto& r) { r.set_task(1); }), start + "-n01-0-1.out");
}

TEST_F(LogsTest, WhatRetentionHasRemovedIsToldFromWhatWasNeverWritten) {
  Run(Ref(id_));
  EXPECT_EQ(Logs("aizhan@kaznu").reason, "LOG_NOT_YET");
  End(Ref(id_), JobState::kSucceeded, "succeeded");
  EXPECT_EQ(Logs("aizhan@kaznu").reason, "LOG_NOT_YET") << "it ended and wrote nothing";
  output_.RemoveFolders();
  EXPECT_EQ(Logs("aizhan@kaznu").reason, "LOG_REMOVED");
  EXPECT_EQ(Logs("aizhan@kaznu", [](auto& r) { r.set_follow(true); }).reason, "LOG_REMOVED");
}

TEST_F(LogsTest, AFollowerWhoseTokenIsRevokedReadsNoFurther) {
  Run(Ref(id_));
  output_.Append(path_, "x");
  v1::LogsRequest request;
  request.set_job(job_);
  request.set_follow(true);
  const auto context = As("aizhan@kaznu");
  const auto reader = stub_->Logs(context.get(), request);
  v1::LogsResponse response;
  ASSERT_TRUE(reader->Read(&response));
  auto view = std::make_shared<View>(*desk_.view());
  view->directory = std::make_shared<const Directory>();
  desk_.SetView(view);
  while (reader->Read(&response)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
}

TEST_F(LogsTest, AnArrayNeedsAnElement) {
  const std::int64_t array = Submit("aizhan@kaznu", "b", [](v1::SubmitRequest& request) {
    request.mutable_spec()->mutable_array()->set_indices("3-5");
  });
  EXPECT_EQ(Logs("aizhan@kaznu", [&](auto& r) { r.set_job(std::to_string(array)); }).reason,
            "ELEMENT_NEEDED");
}

TEST_F(LogsTest, NobodyReadsElsewhereByNamingItHisOutput) {
  output_.Append("/etc/kezek/token", "token");
  output_.Append("/out/" + job_ + "/1/stdout", "another's");
  int key = 0;
  for (const std::string& path : {std::string("/etc/kezek/token"), path_, std::string("log"),
                                  "/out/%A/../" + job_ + "/1/stdout"}) {
    const std::int64_t id =
        Submit("aizhan@kaznu", "k" + std::to_string(++key),
               [&](v1::SubmitRequest& request) { request.mutable_spec()->set_stdout_path(path); });
    Run(Ref(id));
    const Outcome outcome = Logs("aizhan@kaznu", [&](auto& r) { r.set_job(std::to_string(id)); });
    EXPECT_EQ(outcome.reason, "LOG_ELSEWHERE") << path;
    EXPECT_EQ(outcome.bytes, "") << path;
  }
}

TEST_F(LogsTest, FollowsFromBeforeTheStartToTheEnd) {
  std::thread writer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    Run(Ref(id_));
    for (int i = 0; i < 5; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(30));
      output_.Append(path_, "line " + std::to_string(i) + "\n");
    }
    End(Ref(id_), JobState::kSucceeded, "succeeded");
    // As a network file system may show it: a moment after the end.
    output_.Append(path_, "last\n");
  });
  const Outcome outcome = Logs("aizhan@kaznu", [](auto& r) { r.set_follow(true); });
  writer.join();
  EXPECT_EQ(outcome.reason, "OK");
  EXPECT_EQ(outcome.bytes, "line 0\nline 1\nline 2\nline 3\nline 4\nlast\n");
}

TEST_F(LogsTest, FollowingAJobThatNeverRanEnds) {
  std::thread canceller([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    End(Ref(id_), JobState::kCancelled, "cancelled");
  });
  EXPECT_EQ(Logs("aizhan@kaznu", [](auto& r) { r.set_follow(true); }).reason, "ATTEMPT_NOT_FOUND");
  canceller.join();
}

TEST_F(LogsTest, AFollowerWhoseRoleIsGoneIsEndedThoughNothingHappens) {
  Run(Ref(id_));
  output_.Append(path_, "one\n");
  v1::LogsRequest request;
  request.set_job(job_);
  request.set_follow(true);
  const auto context = As("bolat@kaznu");
  const auto reader = stub_->Logs(context.get(), request);
  v1::LogsResponse response;
  ASSERT_TRUE(reader->Read(&response));
  World changed;
  changed.directory.users.at(World::kBolat).roles.clear();
  desk_.SetView(changed.MakeView());
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_EQ(Reason(reader->Finish()), "ROLE_MISSING");
}

TEST_F(LogsTest, AFollowerThatGoesIsForgotten) {
  Run(Ref(id_));
  output_.Append(path_, "x");
  v1::LogsRequest request;
  request.set_job(job_);
  request.set_follow(true);
  const auto context = As("aizhan@kaznu");
  const auto reader = stub_->Logs(context.get(), request);
  v1::LogsResponse response;
  ASSERT_TRUE(reader->Read(&response));
  context->TryCancel();
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(LogsTest, AStoppingServerEndsFollowers) {
  Run(Ref(id_));
  output_.Append(path_, "x");
  v1::LogsRequest request;
  request.set_job(job_);
  request.set_follow(true);
  const auto context = As("aizhan@kaznu");
  const auto reader = stub_->Logs(context.get(), request);
  v1::LogsResponse response;
  ASSERT_TRUE(reader->Read(&response));
  server_->Stop(10'000);
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace kezek::rpc
