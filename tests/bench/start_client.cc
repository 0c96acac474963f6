// Submits the scripts whose paths it reads, a line each, over one connection that stays open. A
// path may be followed by nodes, GPUs on each, a limit in minutes, a project and arguments; else it
// is one GPU for an hour. Answers each with a line: nanoseconds since 1970 just before the call,
// and the job's number.
#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

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

struct Wanted {
  std::string script;
  std::int32_t nodes = 1;
  std::int32_t gpus = 1;
  std::int32_t minutes = 60;
  std::string project;
  std::vector<std::string> arguments;
};

// False: the line cannot be read.
bool Read(const std::string& line, Wanted& wanted) {
  std::istringstream words(line);
  words >> wanted.script;
  if (words >> std::ws; words.eof()) return true;
  words >> wanted.nodes >> wanted.gpus >> wanted.minutes >> wanted.project;
  if (words.fail()) return false;
  for (std::string word; words >> word;) wanted.arguments.push_back(word);
  return true;
}

v1::SubmitRequest RequestOf(const Wanted& wanted) {
  std::ifstream file(wanted.script, std::ios::binary);
  std::ostringstream script;
  script << file.rdbuf();
  v1::SubmitRequest request;
  request.set_idempotency_key("start-" + std::to_string(NowNs()));
  v1::JobSpec& spec = *request.mutable_spec();
  spec.set_name("start");
  spec.set_project(wanted.project);
  spec.mutable_shape()->set_nodes(wanted.nodes);
  spec.mutable_shape()->set_gpus_per_node(wanted.gpus);
  spec.set_time_limit_ms(std::int64_t{60'000} * wanted.minutes);
  spec.set_working_dir("/tmp");
  // A script that calls srun must find the right Slurm.
  for (const char* name : {"PATH", "SLURM_CONF"}) {
    if (const char* value = std::getenv(name)) (*spec.mutable_environment())[name] = value;
  }
  spec.set_script(script.str());
  for (const std::string& one : wanted.arguments) spec.add_arguments(one);
  return request;
}

int Run(const Options& options) {
  const auto channel = grpc::CreateChannel(options.endpoint, grpc::InsecureChannelCredentials());
  const auto stub = v1::JobService::NewStub(channel);
  std::string line;
  while (std::getline(std::cin, line)) {
    Wanted wanted{.project = options.project};
    if (!Read(line, wanted)) {
      std::cerr << "start_client: not a path, nodes, GPUs, minutes and a project: " << line << "\n";
      return 2;
    }
    const v1::SubmitRequest request = RequestOf(wanted);
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
