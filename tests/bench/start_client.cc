// Submits the scripts whose paths it reads, a line each, over one connection that stays open.
// Answers each with a line: nanoseconds since 1970 just before the call, and the job's number.
#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>

#include "kezek/v1/job_service.grpc.pb.h"

namespace {

namespace v1 = kezek::v1;

struct Options {
  std::string endpoint;
  std::string token;
  std::string project;
};

std::int64_t NowNs() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

v1::SubmitRequest RequestOf(const Options& options, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream script;
  script << file.rdbuf();
  v1::SubmitRequest request;
  request.set_idempotency_key("start-" + std::to_string(NowNs()));
  v1::JobSpec& spec = *request.mutable_spec();
  spec.set_name("start");
  spec.set_project(options.project);
  spec.mutable_shape()->set_nodes(1);
  spec.mutable_shape()->set_gpus_per_node(1);
  spec.set_time_limit_ms(3'600'000);
  spec.set_working_dir("/tmp");
  spec.set_script(script.str());
  return request;
}

int Run(const Options& options) {
  const auto channel = grpc::CreateChannel(options.endpoint, grpc::InsecureChannelCredentials());
  const auto stub = v1::JobService::NewStub(channel);
  std::string path;
  while (std::getline(std::cin, path)) {
    const v1::SubmitRequest request = RequestOf(options, path);
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer " + options.token);
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    v1::SubmitResponse answer;
    const std::int64_t began_ns = NowNs();
    const grpc::Status status = stub->Submit(&context, request, &answer);
    if (!status.ok()) {
      std::cerr << "start_client: " << status.error_message() << "\n";
      return 1;
    }
    std::cout << began_ns << " " << answer.job().id() << std::endl;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Submissions one by one over one connection, for tests/bench/run latency"};
  app.add_option("--endpoint", options.endpoint)->required();
  app.add_option("--token", options.token)->required();
  app.add_option("--project", options.project)->required();
  CLI11_PARSE(app, argc, argv);
  return Run(options);
}
