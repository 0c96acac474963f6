// Goal: an error's `field` is a path of the request that it answers, so that a client can point at
// what its user wrote.
// Method: every field of every request of the API, set to values that are likely to be wrong, one
// at a time; whatever field the answer names must be found in the request's descriptor.

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "kezek/v1/access.pb.h"
#include "kezek/v1/cluster.pb.h"
#include "kezek/v1/quota.pb.h"
#include "tests/support/field_path.h"
#include "tests/unit/rpc/served.h"

namespace kezek::rpc {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::MethodDescriptor;

// Sets one field of a message to one wrong value.
using Spoiler = std::function<void(Message*)>;

std::vector<Spoiler> TextSpoilers(const FieldDescriptor* field) {
  std::vector<Spoiler> spoilers;
  for (const std::string& text :
       {std::string(), std::string("no such thing"), std::string("two\nlines"),
        std::string("a\0b", 3), std::string("n[1-"), std::string(70'000, 'x')}) {
    spoilers.emplace_back([field, text](Message* message) {
      const auto* reflection = message->GetReflection();
      if (field->is_repeated()) return reflection->AddString(message, field, text);
      reflection->SetString(message, field, text);
    });
  }
  return spoilers;
}

void SetNumber(Message* message, const FieldDescriptor* field, std::int64_t value) {
  const auto* reflection = message->GetReflection();
  const auto type = field->cpp_type();
  if (type == FieldDescriptor::CPPTYPE_INT64) return reflection->SetInt64(message, field, value);
  const auto narrow = static_cast<std::int32_t>(value);
  if (type == FieldDescriptor::CPPTYPE_INT32) return reflection->SetInt32(message, field, narrow);
  if (type == FieldDescriptor::CPPTYPE_ENUM) reflection->SetEnumValue(message, field, narrow);
  if (type == FieldDescriptor::CPPTYPE_BOOL) reflection->SetBool(message, field, value != 0);
}

std::vector<Spoiler> SpoilersOf(const google::protobuf::Descriptor* message, int depth);

std::vector<Spoiler> SpoilersOf(const FieldDescriptor* field, int depth) {
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) return TextSpoilers(field);
  std::vector<Spoiler> spoilers;
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    if (depth == 0) return spoilers;
    const auto below = [field](Message* message) {
      const auto* reflection = message->GetReflection();
      return field->is_repeated() ? reflection->AddMessage(message, field)
                                  : reflection->MutableMessage(message, field);
    };
    spoilers.emplace_back([below](Message* message) { below(message); });
    for (const Spoiler& spoil : SpoilersOf(field->message_type(), depth - 1)) {
      spoilers.emplace_back([below, spoil](Message* message) { spoil(below(message)); });
    }
    return spoilers;
  }
  if (field->is_repeated()) return spoilers;
  for (const std::int64_t value :
       {std::int64_t{-1}, std::int64_t{7}, std::numeric_limits<std::int64_t>::max()}) {
    spoilers.emplace_back([field, value](Message* m) { SetNumber(m, field, value); });
  }
  return spoilers;
}

std::vector<Spoiler> SpoilersOf(const google::protobuf::Descriptor* message, int depth) {
  std::vector<Spoiler> spoilers;
  for (int i = 0; i < message->field_count(); ++i) {
    for (Spoiler& spoil : SpoilersOf(message->field(i), depth))
      spoilers.push_back(std::move(spoil));
  }
  return spoilers;
}

class FieldNamesTest : public Served {
 protected:
  void SetUp() override {
    Served::SetUp();
    generic_ = std::make_unique<grpc::GenericStub>(channel_);
  }

  // A request that would do, where that takes more than nothing.
  static std::unique_ptr<Message> Sound(const MethodDescriptor* method) {
    auto* factory = google::protobuf::MessageFactory::generated_factory();
    std::unique_ptr<Message> request(factory->GetPrototype(method->input_type())->New());
    if (auto* submit = dynamic_cast<v1::SubmitRequest*>(request.get())) *submit = Request("key");
    if (auto* update = dynamic_cast<v1::UpdateRequest*>(request.get())) update->add_jobs("1");
    if (auto* cancel = dynamic_cast<v1::CancelRequest*>(request.get())) cancel->add_jobs("1");
    if (auto* why = dynamic_cast<v1::ExplainRequest*>(request.get())) why->set_job("1");
    if (auto* logs = dynamic_cast<v1::LogsRequest*>(request.get())) logs->set_job("1");
    return request;
  }

  grpc::Status Call(const MethodDescriptor* method, const Message& request) {
    const auto context = As("root@kezek");
    grpc::Slice bytes(request.SerializeAsString());
    grpc::CompletionQueue queue;
    const auto call = generic_->PrepareCall(
        context.get(), "/" + method->service()->full_name() + "/" + method->name(), &queue);
    const auto done = [&queue] {
      void* tag = nullptr;
      bool ok = false;
      queue.Next(&tag, &ok);
    };
    call->StartCall(nullptr);
    done();
    call->WriteLast(grpc::ByteBuffer(&bytes, 1), {}, nullptr);
    done();
    grpc::ByteBuffer answer;
    call->Read(&answer, nullptr);
    done();
    grpc::Status status;
    call->Finish(&status, nullptr);
    done();
    return status;
  }

  // Details of the answer that name a field; each name must be one of the request.
  int CheckNames(const MethodDescriptor* method, const grpc::Status& status) {
    v1::Status wire;
    EXPECT_TRUE(wire.ParseFromString(status.error_details()));
    int named = 0;
    for (const auto& any : wire.details()) {
      v1::ErrorDetail detail;
      any.UnpackTo(&detail);
      if (detail.field().empty()) continue;
      ++named;
      EXPECT_TRUE(IsFieldPath(*method->input_type(), detail.field()))
          << method->full_name() << " calls a field '" << detail.field()
          << "': " << status.error_message().substr(0, 200);
    }
    return named;
  }

  // Errors with a field's name that a service's requests were answered with.
  int Walk(const google::protobuf::FileDescriptor* file) {
    int named = 0;
    for (int s = 0; s < file->service_count(); ++s) {
      for (int m = 0; m < file->service(s)->method_count(); ++m) {
        const MethodDescriptor* method = file->service(s)->method(m);
        if (method->server_streaming()) continue;
        for (const Spoiler& spoil : SpoilersOf(method->input_type(), 3)) {
          const auto request = Sound(method);
          spoil(request.get());
          named += CheckNames(method, Call(method, *request));
        }
      }
    }
    return named;
  }

  std::unique_ptr<grpc::GenericStub> generic_;
};

TEST_F(FieldNamesTest, JobService) {
  EXPECT_GT(Walk(v1::SubmitRequest::descriptor()->file()), 200);
}

TEST_F(FieldNamesTest, QuotaService) {
  EXPECT_GT(Walk(v1::GetAccountRequest::descriptor()->file()), 50);
}

TEST_F(FieldNamesTest, ClusterService) {
  EXPECT_GT(Walk(v1::GetClusterRequest::descriptor()->file()), 50);
}

TEST_F(FieldNamesTest, AccessService) {
  EXPECT_GT(Walk(v1::WhoAmIRequest::descriptor()->file()), 50);
}

TEST_F(FieldNamesTest, WhatTheDeskRefusesOfASpecIsFoundInTheRequest) {
  desk_.Refuse(FieldProblem(Code::kFailedPrecondition,
                            {"shape.memory_per_node_mib", "NEVER_FITS_MACHINE", "too much", {}}));
  v1::SubmitResponse response;
  const auto status = stub_->Submit(As("aizhan@kaznu").get(), Request("k1"), &response);
  EXPECT_EQ(Detail(status).field(), "spec.shape.memory_per_node_mib");
  EXPECT_EQ(status.error_message(), "spec.shape.memory_per_node_mib: too much");
}

}  // namespace
}  // namespace kezek::rpc
