// Closed-loop load on JobService: so many clients, each with one call under way, for so long.
// Prints one line of JSON. Every key is new, every answer is checked, and an error ends the run.
#include <absl/synchronization/mutex.h>
#include <grpcpp/grpcpp.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "kezek/v1/job_service.grpc.pb.h"

namespace {

using SteadyClock = std::chrono::steady_clock;
namespace v1 = kezek::v1;

struct Options {
  std::string endpoint;
  std::string token;
  std::string project;
  int clients = 1;
  double seconds = 5;
  int many = 0;  // 0: Submit; else SubmitMany with so many each
  int script_bytes = 600;
  int channels = 4;
};

struct Shared {
  Options options;
  std::string run;  // makes keys of this run unlike those of any other
  SteadyClock::time_point end;
  std::atomic<std::int64_t> submitted{0};
  std::atomic<int> alive{0};
  std::mutex mutex;
  std::condition_variable done;
  std::string error;
  std::vector<double> latencies_us;
};

// All but the key, which every submission has of its own.
v1::SubmitRequest OneJob(const Shared& shared) {
  v1::SubmitRequest request;
  v1::JobSpec& spec = *request.mutable_spec();
  spec.set_name("bench");
  spec.set_project(shared.options.project);
  spec.mutable_shape()->set_nodes(1);
  spec.mutable_shape()->set_gpus_per_node(1);
  spec.set_time_limit_ms(3'600'000);
  spec.set_working_dir("/tmp");
  spec.set_hold(true);  // it is the queue that is measured, not the machine
  std::string script = "#!/bin/bash\n";
  while (static_cast<int>(script.size()) < shared.options.script_bytes) script += "echo line\n";
  script.resize(static_cast<std::size_t>(shared.options.script_bytes), '#');
  spec.set_script(script);
  return request;
}

// One client: starts a call, and the next when that is answered.
class Client {
 public:
  Client(Shared* shared, std::shared_ptr<grpc::Channel> channel, int number)
      : shared_(shared), stub_(v1::JobService::NewStub(channel)), number_(number) {
    one_ = OneJob(*shared_);
    for (int i = 0; i < shared_->options.many; ++i) *many_.add_submissions() = one_;
  }

  void Next() {
    if (SteadyClock::now() >= shared_->end) return Finish("");
    context_ = std::make_unique<grpc::ClientContext>();
    context_->AddMetadata("authorization", "Bearer " + shared_->options.token);
    context_->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    began_ = SteadyClock::now();
    if (shared_->options.many > 0) {
      for (auto& one : *many_.mutable_submissions()) one.set_idempotency_key(Key());
      stub_->async()->SubmitMany(context_.get(), &many_, &many_answer_,
                                 [this](const grpc::Status& status) { OnMany(status); });
    } else {
      one_.set_idempotency_key(Key());
      arena_.Reset();
      one_answer_ = google::protobuf::Arena::CreateMessage<v1::SubmitResponse>(&arena_);
      stub_->async()->Submit(context_.get(), &one_, one_answer_,
                             [this](const grpc::Status& status) { OnOne(status); });
    }
  }

  const std::vector<double>& latencies_us() const { return latencies_us_; }

 private:
  std::string Key() {
    return shared_->run + "-" + std::to_string(number_) + "-" + std::to_string(++count_);
  }

  void OnOne(const grpc::Status& status) {
    if (!status.ok()) return Finish(status.error_message());
    if (one_answer_->job().id() == 0 || one_answer_->existing()) return Finish("no new job");
    Answered(1);
  }

  void OnMany(const grpc::Status& status) {
    if (!status.ok()) return Finish(status.error_message());
    for (const auto& result : many_answer_.results()) {
      if (!result.has_ok() || result.ok().job().id() == 0) return Finish("a job was refused");
    }
    Answered(many_answer_.results_size());
  }

  void Answered(int jobs) {
    const auto took = SteadyClock::now() - began_;
    latencies_us_.push_back(std::chrono::duration<double, std::micro>(took).count());
    shared_->submitted += jobs;
    Next();
  }

  void Finish(const std::string& error) {
    const std::lock_guard lock(shared_->mutex);
    if (!error.empty()) shared_->error = error;
    if (--shared_->alive == 0) shared_->done.notify_all();
  }

  Shared* shared_;
  std::unique_ptr<v1::JobService::Stub> stub_;
  int number_;
  std::int64_t count_ = 0;
  std::unique_ptr<grpc::ClientContext> context_;
  SteadyClock::time_point began_;
  v1::SubmitRequest one_;
  google::protobuf::Arena arena_;  // of one_answer_
  v1::SubmitResponse* one_answer_ = nullptr;
  v1::SubmitManyRequest many_;
  v1::SubmitManyResponse many_answer_;
  std::vector<double> latencies_us_;
};

double Quantile(std::vector<double>& sorted, double q) {
  if (sorted.empty()) return 0;
  return sorted[static_cast<std::size_t>(q * static_cast<double>(sorted.size() - 1))];
}

int Run(const Options& options) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  Shared shared;
  shared.options = options;
  shared.run = std::to_string(SteadyClock::now().time_since_epoch().count());
  shared.alive = options.clients;
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (int i = 0; i < std::min(options.channels, options.clients); ++i) {
    grpc::ChannelArguments arguments;
    arguments.SetInt("kezek.channel", i);  // a connection of its own
    channels.push_back(
        grpc::CreateCustomChannel(options.endpoint, grpc::InsecureChannelCredentials(), arguments));
  }
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < options.clients; ++i) {
    const auto& channel = channels[static_cast<std::size_t>(i) % channels.size()];
    clients.push_back(std::make_unique<Client>(&shared, channel, i));
  }
  const auto began = SteadyClock::now();
  shared.end = began + std::chrono::duration_cast<SteadyClock::duration>(
                           std::chrono::duration<double>(options.seconds));
  for (auto& client : clients) client->Next();
  std::unique_lock lock(shared.mutex);
  shared.done.wait(lock, [&] { return shared.alive == 0; });
  const double took = std::chrono::duration<double>(SteadyClock::now() - began).count();
  if (!shared.error.empty()) {
    std::fprintf(stderr, "submit_client: %s\n", shared.error.c_str());
    return 1;
  }
  std::vector<double> latencies;
  for (const auto& client : clients) {
    latencies.insert(latencies.end(), client->latencies_us().begin(), client->latencies_us().end());
  }
  std::sort(latencies.begin(), latencies.end());
  const auto submitted = static_cast<double>(shared.submitted.load());
  std::printf(
      "{\"clients\": %d, \"many\": %d, \"submitted\": %.0f, \"seconds\": %.3f, "
      "\"per_s\": %.1f, \"p50_us\": %.0f, \"p99_us\": %.0f}\n",
      options.clients, options.many, submitted, took, submitted / took, Quantile(latencies, 0.5),
      Quantile(latencies, 0.99));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app{"Closed-loop submissions to kezekd, for tests/bench/run submit"};
  app.add_option("--endpoint", options.endpoint)->required();
  app.add_option("--token", options.token)->required();
  app.add_option("--project", options.project)->required();
  app.add_option("--clients", options.clients)->check(CLI::Range(1, 1024));
  app.add_option("--seconds", options.seconds)->check(CLI::Range(0.1, 120.0));
  app.add_option("--many", options.many)->check(CLI::Range(0, 1000));
  app.add_option("--script-bytes", options.script_bytes)->check(CLI::Range(20, 100'000));
  app.add_option("--channels", options.channels)->check(CLI::Range(1, 64));
  CLI11_PARSE(app, argc, argv);
  return Run(options);
}
