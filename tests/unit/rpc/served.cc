#include "tests/unit/rpc/served.h"

#include <chrono>
#include <utility>

namespace kezek::rpc {

Served::Served() = default;
Served::~Served() = default;

void Served::Start() {
  ServerConfig config{
      .listen = "127.0.0.1:0", .cluster = "test", .version = "1", .output_root = "/out"};
  ServerPorts ports{.desk = &desk_,
                    .submit = &store_,
                    .read = &store_,
                    .clock = &clock_,
                    .output = &output_,
                    .meter = &meter_};
  Adjust(&config, &ports);
  auto started = Server::Start(config, ports);
  ASSERT_TRUE(started) << started.error().message;
  server_ = std::move(*started);
  store_.Observe(server_.get());
  channel_ = grpc::CreateChannel("127.0.0.1:" + std::to_string(server_->port()),
                                 grpc::InsecureChannelCredentials());
  stub_ = v1::JobService::NewStub(channel_);
}

void Served::TearDown() {
  if (server_) server_->Stop(0);
  store_.Observe(nullptr);
}

std::unique_ptr<grpc::ClientContext> Served::As(const std::string& user) {
  auto context = std::make_unique<grpc::ClientContext>();
  context->AddMetadata("authorization", "Bearer kzk_" + user);
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  return context;
}

v1::SubmitRequest Served::Request(const std::string& key, const std::string& name) {
  v1::SubmitRequest request;
  request.set_idempotency_key(key);
  request.mutable_spec()->set_name(name);
  request.mutable_spec()->set_script("#!/bin/sh\nhostname\n");
  request.mutable_spec()->set_working_dir("/home/x");
  request.mutable_spec()->mutable_shape()->set_gpus(1);
  return request;
}

std::int64_t Served::Submit(const std::string& user, const std::string& key,
                            const std::function<void(v1::SubmitRequest&)>& change) {
  v1::SubmitRequest request = Request(key);
  if (change) change(request);
  v1::SubmitResponse response;
  const auto status = stub_->Submit(As(user).get(), request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return response.job().id();
}

v1::ErrorDetail Served::Detail(const grpc::Status& status) {
  v1::Status wire;
  v1::ErrorDetail detail;
  if (!wire.ParseFromString(status.error_details()) || wire.details().empty()) {
    ADD_FAILURE() << "no details: " << status.error_message();
  } else {
    EXPECT_EQ(wire.code(), static_cast<int>(status.error_code()));
    wire.details(0).UnpackTo(&detail);
  }
  return detail;
}

std::string Served::Reason(const grpc::Status& status) {
  return status.ok() ? "OK" : Detail(status).reason();
}

JobRef Served::Ref(std::int64_t id, std::int32_t element) { return {JobId{id}, element}; }

void Served::Run(const JobRef& ref, std::int32_t number) {
  store_.Change(
      ref,
      [&](JobRecord& record) {
        record.job.state = JobState::kRunning;
        record.job.attempts = number;
        record.attempts.push_back({.ref = {ref, number},
                                   .state = AttemptState::kRunning,
                                   .placement = {{"n01", 1, {}}},
                                   .start_ms = 10'000,
                                   .limit_ms = kHourMs,
                                   .counted_milli = 1000});
      },
      "starting", "running");
}

void Served::End(const JobRef& ref, JobState state, const std::string& name) {
  store_.Change(
      ref,
      [&](JobRecord& record) {
        record.job.state = state;
        record.job.ended_ms = 20'000;
        if (record.attempts.empty()) return;
        record.attempts.back().state = AttemptState::kEnded;
        record.attempts.back().end_ms = 20'000;
      },
      "running", name);
}

}  // namespace kezek::rpc
