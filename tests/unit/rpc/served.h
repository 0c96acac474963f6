// A server on fakes, and clients of it.
#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "kezek/v1/job_service.grpc.pb.h"
#include "kezek/v1/status.pb.h"
#include "rpc/server.h"
#include "tests/support/recording_meter.h"
#include "tests/unit/rpc/fake_output.h"
#include "tests/unit/rpc/fakes.h"

namespace kezek::rpc {

class Served : public testing::Test {
 protected:
  Served();
  ~Served() override;
  void SetUp() override { Start(); }
  // What a fixture wants otherwise than the others.
  virtual void Adjust(ServerConfig*, ServerPorts*) {}

  void Start();
  void TearDown() override;

  // A call by this user; no test waits longer than half a minute.
  static std::unique_ptr<grpc::ClientContext> As(const std::string& user);

  static v1::SubmitRequest Request(const std::string& key, const std::string& name = "job");

  // The number of a job taken for this user; fails the test if it is refused.
  std::int64_t Submit(const std::string& user, const std::string& key,
                      const std::function<void(v1::SubmitRequest&)>& change = {});

  static v1::ErrorDetail Detail(const grpc::Status& status);
  static std::string Reason(const grpc::Status& status);

  static JobRef Ref(std::int64_t id, std::int32_t element = kNoElement);

  // An attempt of a job begins to run.
  void Run(const JobRef& ref, std::int32_t number = 1);
  void End(const JobRef& ref, JobState state, const std::string& name);

  FakeClock clock_;
  FakeStore store_;
  FakeDesk desk_{&store_};
  FakeOutput output_;
  test::RecordingMeter meter_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::JobService::Stub> stub_;
};

}  // namespace kezek::rpc
