// What the tests of attacks share: calls of any rpc with any bytes, and jobs whose texts are
// marked.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/unit/rpc/served.h"

namespace kezek::rpc {

class FixedAccounts final : public UnixAccounts {
 public:
  std::map<std::string, std::int64_t> uids;
  Result<std::int64_t> FindUid(const std::string& name) override {
    const auto found = uids.find(name);
    if (found == uids.end()) return Error{Code::kNotFound, "none", {}};
    return found->second;
  }
};

// What came back: the first answer of a stream, or the answer; and how it ended.
struct Outcome {
  grpc::Status status;
  std::string bytes;  // of all answers
};

// A server on fakes, and raw calls of any rpc as any user.
class Attack : public Served {
 protected:
  void Adjust(ServerConfig*, ServerPorts* ports) override { ports->unix_accounts = &accounts_; }
  void SetUp() override {
    Start();
    generic_ = std::make_unique<grpc::GenericStub>(channel_);
  }

  // One call of any rpc. A stream is left after its first answer, or once it ends.
  Outcome Call(const std::string& user, const std::string& method, const std::string& request) {
    const auto context = As(user);
    grpc::CompletionQueue queue;
    const auto call = generic_->PrepareCall(context.get(), method, &queue);
    call->StartCall(nullptr);
    bool going = Await(queue);
    if (going) {
      const grpc::Slice slice(request);
      call->WriteLast(grpc::ByteBuffer(&slice, 1), {}, nullptr);
      going = Await(queue);
    }
    Outcome outcome;
    if (going) {
      grpc::ByteBuffer answer;
      call->Read(&answer, nullptr);
      if (Await(queue)) {
        std::vector<grpc::Slice> slices;
        if (answer.Dump(&slices).ok()) {
          for (const auto& slice : slices) {
            outcome.bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
          }
        }
        if (IsStream(method)) context->TryCancel();
      }
    }
    call->Finish(&outcome.status, nullptr);
    Await(queue);
    return outcome;
  }
  Outcome Call(const std::string& user, const std::string& method,
               const google::protobuf::Message& request) {
    return Call(user, method, request.SerializeAsString());
  }
  static bool Await(grpc::CompletionQueue& queue) {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  }
  static bool IsStream(const std::string& method) {
    return method.ends_with("/Watch") || method.ends_with("/Logs");
  }

  // Empty, but for a stream that would wait for events: it is asked for those of the far future,
  // which it refuses.
  static std::string RequestThatEnds(std::string_view method) {
    if (!method.ends_with("/Watch")) return "";
    v1::WatchRequest request;
    request.set_after_seq(1'000'000'000);
    return request.SerializeAsString();
  }

  // A job of aizhan's in kaznu's nlp whose texts all bear the mark.
  std::int64_t MarkedJob() {
    return Submit("aizhan@kaznu", "marked", [](v1::SubmitRequest& request) {
      v1::JobSpec& spec = *request.mutable_spec();
      spec.set_name("zq-name");
      spec.set_script("#!/bin/sh\necho zq-script\n");
      spec.set_comment("zq-comment");
      spec.set_working_dir("/home/zq-home");
      (*spec.mutable_labels())["zq-label"] = "zq-value";
    });
  }
  // Nothing of kaznu's may be in it. The attacker's own words come back in errors, so requests of
  // the attacker do not bear the marks that are looked for.
  static void ExpectNothingOfKaznu(const std::string& what, const Outcome& outcome) {
    const std::string all =
        outcome.bytes + outcome.status.error_message() + outcome.status.error_details();
    for (const char* mark : {"zq-", "aizhan", "bolat", "kaznu", "universities"}) {
      EXPECT_EQ(all.find(mark), std::string::npos) << what << " tells of '" << mark << "'";
    }
  }

  FixedAccounts accounts_;
  std::unique_ptr<grpc::GenericStub> generic_;
};

}  // namespace kezek::rpc
