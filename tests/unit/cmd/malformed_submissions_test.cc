// Goal: whatever is wrong with a submission, its user gets one clear error that names the line, the
// option or the field, and nothing is stored. Method: the command line in this process and an API
// client, both against a real server with the controller's own admission and a store in memory.
// Four tables: scripts and flags (malformed.txt of tests/unit/script, whose messages must come
// through to the user), flags that only a cluster can judge, job files (malformed_job_files.txt,
// with their messages; KEZEK_REWRITE_GOLDEN=1 writes these anew, to be read before they are
// committed), and fields of the API (bad_fields.cc). They are counted, and the count has a least.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "cmd/kezek/app.h"
#include "kezek/text.h"
#include "scheduler/control/admission.h"
#include "scheduler/sim/workload.h"
#include "tests/unit/rpc/bad_fields.h"
#include "tests/unit/rpc/served.h"

namespace kezek::rpc {
namespace {

std::string Folder(const std::string& below) {
  const char* source = std::getenv("KEZEK_SOURCE_DIR");
  return std::string(source == nullptr ? "." : source) + "/tests/unit/" + below;
}

std::string ReadFile(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at)) {
    text.replace(at, from.size(), to);
    at += to.size();
  }
  return text;
}

std::vector<std::string> Split(const std::string& text, const std::string& by) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (std::size_t at = text.find(by); at != std::string::npos; at = text.find(by, begin)) {
    parts.push_back(text.substr(begin, at - begin));
    begin = at + by.size();
  }
  parts.push_back(text.substr(begin));
  return parts;
}

struct Case {
  std::string input;
  std::string message;
};

std::vector<Case> Load(const std::string& path, const std::string& between) {
  std::vector<Case> cases;
  for (const std::string& entry : Split(ReadFile(path), between)) {
    const std::size_t dashes = entry.find("\n----\n");
    if (dashes == std::string::npos) continue;
    std::string message = entry.substr(dashes + 6);
    while (message.ends_with('\n')) message.pop_back();
    cases.push_back({entry.substr(0, dashes), message});
  }
  return cases;
}

std::string Unescape(const std::string& text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      plain += text[i];
      continue;
    }
    const std::size_t known = std::string("nrt0").find(text[++i]);
    if (known != std::string::npos) {
      plain += "\n\r\t\0"[known];
    } else if (text[i] == 'x') {
      plain += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
      i += 2;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

// Admits as kezekd does, on the machine and tree of rpc_world.h; nothing ever runs.
class AdmittingDesk final : public Desk {
 public:
  AdmittingDesk()
      : view_(NamedRoot().MakeView()),
        admission_(sim::SimConfig(), view_->directory, view_->nodes) {}
  Result<void> TakePlaces(UserId, const JobSpec&) override { return {}; }
  void GiveBackPlaces(UserId, const JobSpec&) override {}
  Result<JobSpec> Admit(JobSpec spec) const override {
    return admission_.Complete(std::move(spec));
  }
  MilliGpus Counted(const JobSpec& spec) const override { return admission_.Counted(spec); }
  MilliGpuMs ChargeSoFar(const Attempt&, TimeMs) const override { return 0; }
  void Do(Command, std::function<void(Result<CommandOutcome>)>) override {
    ADD_FAILURE() << "a malformed submission became a command";
  }
  std::shared_ptr<const View> view() const override { return view_; }

 private:
  static World NamedRoot() {
    World world;
    world.directory.accounts.at(kRootAccount).name = "test";
    return world;
  }

  std::shared_ptr<const View> view_;
  control::Admission admission_;
};

struct Answer {
  int code = 0;
  std::string output;
  std::string errors;
};

class MalformedSubmissions : public Served {
 protected:
  void SetUp() override {
    auto started = Server::Start({.listen = "127.0.0.1:0",
                                  .cluster = "test",
                                  .version = "1",
                                  .script_bytes = kBadFieldLimits.script_bytes,
                                  .environment_bytes = kBadFieldLimits.environment_bytes,
                                  .output_root = "/out"},
                                 {.desk = &admitting_,
                                  .submit = &store_,
                                  .read = &store_,
                                  .clock = &clock_,
                                  .output = &output_});
    ASSERT_TRUE(started) << started.error().message;
    server_ = std::move(*started);
    store_.Observe(server_.get());
    endpoint_ = "127.0.0.1:" + std::to_string(server_->port());
    channel_ = grpc::CreateChannel(endpoint_, grpc::InsecureChannelCredentials());
    stub_ = v1::JobService::NewStub(channel_);
    std::string folder = testing::TempDir() + "kezek-malformed-XXXXXX";
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    folder_ = folder;
  }
  void TearDown() override {
    EXPECT_EQ(store_.jobs(), 0U) << "something was stored";
    Served::TearDown();
    std::filesystem::remove_all(folder_);
  }

  // `kezek submit ARGUMENTS`, with a script on standard input.
  Answer Submit(const std::vector<std::string>& arguments, const std::string& script = "") {
    std::istringstream in(script);
    std::ostringstream out;
    std::ostringstream err;
    cli::Host host;
    host.in = &in;
    host.in_is_terminal = false;
    host.out = &out;
    host.err = &err;
    host.environment = {
        {"HOME", folder_}, {"KEZEK_ENDPOINT", endpoint_}, {"KEZEK_TOKEN", "kzk_aizhan@kaznu"}};
    host.directory = folder_;
    host.name = "login1";
    host.now_ms = [] { return std::int64_t{1'795'000'000'000}; };  // as in malformed_test
    host.sleep = [](std::int64_t) {};
    host.make_key = [this] { return "key-" + std::to_string(++keys_); };
    std::vector<std::string> words = {"submit", "--format", "name"};
    words.insert(words.end(), arguments.begin(), arguments.end());
    const int code = cli::RunApp(host, words);
    return {code, out.str(), err.str()};
  }

  // What must hold of any malformed submission.
  static void ExpectRefused(const Answer& answer) {
    EXPECT_TRUE(answer.code >= 1 && answer.code <= 5) << "exit " << answer.code;
    EXPECT_EQ(answer.output, "");
    EXPECT_TRUE(answer.errors.find("error: ") != std::string::npos) << answer.errors;
  }

  AdmittingDesk admitting_;
  std::string endpoint_;
  std::string folder_;
  int keys_ = 0;
};

std::vector<Case> Scripts() { return Load(Folder("script/malformed.txt"), "\n\n"); }

TEST_F(MalformedSubmissions, ScriptsAndFlags) {
  for (const auto& [input, message] : Scripts()) {
    SCOPED_TRACE(input);
    Answer answer;
    if (input.starts_with("$ ")) {
      std::vector<std::string> words = Split(Unescape(input.substr(2)), " ");
      // An option whose value is missing must be the last word.
      if (!message.ends_with("missing")) words.insert(words.end(), {"--", "true"});
      answer = Submit(words);
    } else if (input.starts_with("! ")) {
      answer = Submit({"-"}, input == "! (empty)" ? "" : Unescape(input.substr(2)));
    } else {
      answer = Submit({"-"}, "#!/bin/bash\n" + Unescape(input) + "\nhostname\n");
    }
    ExpectRefused(answer);
    const std::string expected = Replaced(message, "bad.sh", "standard input");
    EXPECT_NE(answer.errors.find("error: " + expected), std::string::npos) << answer.errors;
  }
}

struct BadFlags {
  std::vector<std::string> arguments;
  const char* named;  // in the error
};

// Well-formed by themselves; not on the machine, tree and users of rpc_world.h.
const BadFlags kFlags[] = {{{"--nodes", "500"}, "nodes"},
                           {{"--nodes", "9", "--gpus-per-node", "1"}, "nodes"},
                           {{"--gpus", "1000"}, "gpus"},
                           {{"--gpus", "13"}, "gpus"},
                           {{"--gpus", "8", "--nodes", "3"}, "gpus"},
                           {{"--gpus-per-node", "9"}, "gpus"},
                           {{"--gpus", "a100:1"}, "a100"},
                           {{"--gres", "gpu:a100:1"}, "a100"},
                           {{"--gpu-type", "tpu", "--gpus", "1"}, "tpu"},
                           {{"--cpus-per-task", "4000"}, "cpu"},
                           {{"--cpus-per-gpu", "100", "--gpus", "1"}, "cpu"},
                           {{"--mem", "900T"}, "mem"},
                           {{"--mem-per-cpu", "64G"}, "mem"},
                           {{"--mem-per-gpu", "63G", "--gpus", "2"}, "mem"},
                           {{"--ntasks-per-node", "17"}, "cpu"},
                           {{"--project", "moon/base"}, "project"},
                           {{"--project", "universities"}, "project"},
                           {{"--account", "firms/acme/bot"}, "bot"},
                           {{"--array", "0-10000"}, "array"},
                           {{"--dependency", "afterok:99999999"}, "depend"},
                           {{"--dependency", "after:1+5"}, "depend"},
                           {{"--nodelist", "n99"}, "n99"},
                           {{"--exclude", "nope"}, "nope"},
                           {{"--nodelist", "n0[1-2]", "--exclude", "n02"}, "n02"},
                           {{"--chdir", "/no/such/folder"}, "/no/such/folder"},
                           {{"--output", "/no/such/folder/x"}, "/no/such/folder"},
                           {{"--error", "/no/such/folder/x"}, "/no/such/folder"},
                           {{"--input", "no-such-file"}, "no-such-file"},
                           {{"--job-name", std::string(201, 'x')}, "job-name"},
                           {{"--job-name", "two\nlines"}, "job-name"},
                           {{"--job-name", "\xff\xfe"}, "--job-name"},
                           {{"--comment", "cut \xe2\x82"}, "--comment"},
                           {{"--export", "A=\xff"}, "A"},
                           {{"--comment", std::string(4097, 'c')}, "comment"},
                           {{"--export", "A=" + std::string(2000, 'x')}, "--export"},
                           {{"--time", "10", "--time-min", "20"}, "time-min"},
                           {{"--class", "two\nlines"}, "class"},
                           {{"--classification", "two\nlines"}, "classification"}};

TEST_F(MalformedSubmissions, FlagsThatTheClusterJudges) {
  for (const BadFlags& row : kFlags) {
    std::vector<std::string> words = row.arguments;
    words.insert(words.end(), {"--", "true"});
    SCOPED_TRACE(row.arguments[0] + " " + row.arguments[1].substr(0, 40));
    const Answer answer = Submit(words);
    ExpectRefused(answer);
    const std::size_t error = answer.errors.find("error: ");
    EXPECT_NE(answer.errors.find(row.named, error), std::string::npos) << answer.errors;
  }
}

std::vector<Case> JobFiles() { return Load(Folder("cmd/malformed_job_files.txt"), "\n====\n"); }

TEST_F(MalformedSubmissions, JobFiles) {
  const bool rewrite = std::getenv("KEZEK_REWRITE_GOLDEN") != nullptr;
  std::string rewritten;
  for (const auto& [input, message] : JobFiles()) {
    SCOPED_TRACE(input);
    std::ofstream(folder_ + "/job.yaml") << Unescape(input);
    const Answer answer = Submit({"job.yaml"});
    ExpectRefused(answer);
    const std::string errors = Replaced(answer.errors, folder_, "FOLDER");
    EXPECT_TRUE(errors.starts_with("error: job.yaml line ") ||
                errors.starts_with("error: job.yaml: there is no job in it"))
        << errors;
    EXPECT_TRUE(rewrite || errors == message + "\n") << errors;
    rewritten += input + "\n----\n" + errors + "====\n";
  }
  if (rewrite) std::ofstream(Folder("cmd/malformed_job_files.txt")) << rewritten;
}

// Bytes that are not UTF-8 do not get through protobuf's own reader, which names nothing; the
// command line refuses them before.
bool NamesFields(const v1::SubmitRequest& request) {
  return IsUtf8(request.spec().name()) && IsUtf8(request.spec().script());
}

TEST_F(MalformedSubmissions, FieldsOfTheApi) {
  for (const BadField& bad : BadFields()) {
    v1::SubmitRequest request = Request("key-" + std::to_string(++keys_));
    request.mutable_spec()->clear_shape();
    bad.spoil(*request.mutable_spec());
    SCOPED_TRACE(std::string(bad.field) + ": " + request.ShortDebugString().substr(0, 200));
    v1::SubmitResponse response;
    const auto status = Served::stub_->Submit(As("aizhan@kaznu").get(), request, &response);
    ASSERT_FALSE(status.ok());
    // Bytes that are no UTF-8 do not come through protobuf's own reader.
    if (!NamesFields(request)) continue;
    EXPECT_EQ(Detail(status).field(), "spec." + std::string(bad.field));
    EXPECT_EQ(Detail(status).reason(), bad.reason);
    EXPECT_FALSE(Detail(status).message().empty());
  }
}

TEST_F(MalformedSubmissions, AreAtLeastThreeHundred) {
  std::set<std::string> inputs;
  for (const Case& one : Scripts()) inputs.insert(one.input);
  for (const Case& one : JobFiles()) inputs.insert(one.input);
  const std::size_t texts = inputs.size();
  EXPECT_EQ(texts, Scripts().size() + JobFiles().size()) << "one is there twice";
  const std::size_t all = texts + std::size(kFlags) + BadFields().size();
  EXPECT_GE(all, 300U);
  RecordProperty("malformed_inputs", static_cast<int>(all));
  std::cerr << all << " malformed inputs: " << Scripts().size() << " scripts and flags, "
            << std::size(kFlags) << " flags on a machine, " << JobFiles().size() << " job files, "
            << BadFields().size() << " fields of the API\n";
}

}  // namespace
}  // namespace kezek::rpc
