// Goal: an error's `field` is a path of the request that it answers, so that a client can point at
// what its user wrote; and no text with a NUL byte, or without bounds, gets past the door, wherever
// in a request it is. Method: every field of every request of the API, set to values that are
// likely to be wrong, one at a time; whatever field the answer names must be found in the request's
// descriptor. Then a NUL, and too much, in every text of every request, and an unknown field in
// every message, which the answer must name.

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
#include "kezek/v1/quota.grpc.pb.h"
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

// A text of a request, with the path by which an error must name it.
struct Place {
  std::string path;
  Spoiler spoil;
};

// All texts, set to `bad`, those of lists in their second item. Not a job's environment, which has
// its own check (spec_convert_test), nor a SubmitMany's submissions, each answered by itself.
std::vector<Place> PlacesOf(const google::protobuf::Descriptor* message, const std::string& bad,
                            int depth) {
  std::vector<Place> places;
  for (int i = 0; i < message->field_count(); ++i) {
    const FieldDescriptor* field = message->field(i);
    if (field->name() == "environment" || field->name() == "submissions") continue;
    const std::string path = field->name() + (field->is_repeated() ? "[1]" : "");
    if (field->type() == FieldDescriptor::TYPE_STRING) {
      places.push_back({path, [field, bad](Message* m) {
                          const auto* reflection = m->GetReflection();
                          if (!field->is_repeated()) return reflection->SetString(m, field, bad);
                          reflection->ClearField(m, field);
                          reflection->AddString(m, field, "fine");
                          reflection->AddString(m, field, bad);
                        }});
    }
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || depth == 0) continue;
    for (const Place& below : PlacesOf(field->message_type(), bad, depth - 1)) {
      const bool map = field->is_map();
      const std::string under = below.path == "key"     ? field->name()
                                : below.path == "value" ? field->name() + "[]"
                                                        : path + "." + below.path;
      places.push_back({map ? under : path + "." + below.path, [field, map, below](Message* m) {
                          const auto* reflection = m->GetReflection();
                          if (!field->is_repeated()) {
                            return below.spoil(reflection->MutableMessage(m, field));
                          }
                          if (!map) reflection->AddMessage(m, field);
                          below.spoil(reflection->AddMessage(m, field));
                        }});
    }
  }
  return places;
}

// All messages, each with a field that no version of the API has.
std::vector<Place> UnknownOf(const google::protobuf::Descriptor* message, int depth) {
  std::vector<Place> places = {{"7777", [](Message* m) {
                                  m->GetReflection()->MutableUnknownFields(m)->AddVarint(7777, 1);
                                }}};
  for (int i = 0; i < message->field_count() && depth > 0; ++i) {
    const FieldDescriptor* field = message->field(i);
    if (field->type() != FieldDescriptor::TYPE_MESSAGE || field->is_map()) continue;
    if (field->name() == "submissions") continue;
    for (const Place& below : UnknownOf(field->message_type(), depth - 1)) {
      const std::string path = field->name() + (field->is_repeated() ? "[0]." : ".");
      places.push_back({path + below.path, [field, below](Message* m) {
                          const auto* reflection = m->GetReflection();
                          below.spoil(field->is_repeated() ? reflection->AddMessage(m, field)
                                                           : reflection->MutableMessage(m, field));
                        }});
    }
  }
  return places;
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

  // How many texts are refused that are `bad`, each by its path; none may be taken. The bound of a
  // script is the configuration's.
  int RefusedTexts(const std::string& bad) {
    int refused = 0;
    for (const auto* file :
         {v1::SubmitRequest::descriptor()->file(), v1::GetAccountRequest::descriptor()->file(),
          v1::GetClusterRequest::descriptor()->file(), v1::WhoAmIRequest::descriptor()->file()}) {
      for (int m = 0; m < file->service(0)->method_count(); ++m) {
        const MethodDescriptor* method = file->service(0)->method(m);
        for (const Place& place : PlacesOf(method->input_type(), bad, 4)) {
          if (place.path == "spec.script") continue;
          const auto request = Sound(method);
          place.spoil(request.get());
          const grpc::Status status = Call(method, *request);
          if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED) continue;
          ++refused;
          EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << place.path;
          EXPECT_EQ(Detail(status).field(), place.path) << method->full_name();
          EXPECT_TRUE(IsFieldPath(*method->input_type(), place.path)) << place.path;
        }
      }
    }
    EXPECT_TRUE(desk_.commands().empty());
    EXPECT_EQ(store_.jobs(), 0U);
    return refused;
  }

  // How many messages are refused for an unknown field, by its path; none may be taken.
  int RefusedUnknown() {
    int refused = 0;
    for (const auto* file :
         {v1::SubmitRequest::descriptor()->file(), v1::GetAccountRequest::descriptor()->file(),
          v1::GetClusterRequest::descriptor()->file(), v1::WhoAmIRequest::descriptor()->file()}) {
      for (int m = 0; m < file->service(0)->method_count(); ++m) {
        const MethodDescriptor* method = file->service(0)->method(m);
        for (const Place& place : UnknownOf(method->input_type(), 3)) {
          const auto request = Sound(method);
          place.spoil(request.get());
          const grpc::Status status = Call(method, *request);
          EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED)
              << method->full_name() << " " << place.path;
          if (!status.ok() && Detail(status).field() == place.path) ++refused;
        }
      }
    }
    EXPECT_TRUE(desk_.commands().empty());
    EXPECT_EQ(store_.jobs(), 0U);
    return refused;
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

TEST_F(FieldNamesTest, ANulByteIsRefusedWhereverItStands) {
  EXPECT_GT(RefusedTexts(std::string("a\0b", 3)), 120);
}

TEST_F(FieldNamesTest, ATextHasBoundsWhereverItStands) {
  EXPECT_GT(RefusedTexts(std::string(200'000, '1')), 120);
}

TEST_F(FieldNamesTest, AFieldOfAnotherVersionIsRefusedWhereverItStands) {
  EXPECT_GT(RefusedUnknown(), 60);
}

TEST_F(FieldNamesTest, WhatTheDeskRefusesOfASpecIsFoundInTheRequest) {
  desk_.Refuse(FieldProblem(Code::kFailedPrecondition,
                            {"shape.memory_per_node_mib", "NEVER_FITS_MACHINE", "too much", {}}));
  v1::SubmitResponse response;
  const auto status = stub_->Submit(As("aizhan@kaznu").get(), Request("k1"), &response);
  EXPECT_EQ(Detail(status).field(), "spec.shape.memory_per_node_mib");
  EXPECT_EQ(status.error_message(), "spec.shape.memory_per_node_mib: too much");
}

TEST_F(FieldNamesTest, WhatTheDeskRefusesOfAnAccountIsFoundInItsChange) {
  const auto field_of = [this](const std::string& account) {
    desk_.Refuse(FieldProblem(Code::kInvalidArgument, {"settings.shares[h200].guarantee_milli_gpus",
                                                       "ABOVE_PARENT",
                                                       "too much",
                                                       {{"account", account}}}));
    v1::ApplyAccountsRequest request;
    request.set_reason("more");
    for (const char* path : {"universities/kaznu/nlp", "universities/kaznu/cv"}) {
      request.add_changes()->set_path(path);
      request.mutable_changes()->rbegin()->set_title("new");
    }
    v1::ApplyAccountsResponse response;
    const auto status = v1::QuotaService::NewStub(channel_)->ApplyAccounts(As("root@kezek").get(),
                                                                           request, &response);
    const std::string field = Detail(status).field();
    EXPECT_TRUE(IsFieldPath(*v1::ApplyAccountsRequest::descriptor(), field)) << field;
    EXPECT_NE(status.error_message().find(account), std::string::npos);
    return field;
  };
  EXPECT_EQ(field_of("universities/kaznu/cv"),
            "changes[1].settings.shares[h200].guarantee_milli_gpus");
  EXPECT_EQ(field_of("firms/acme"), "changes") << "suffers from them without being among them";
}

}  // namespace
}  // namespace kezek::rpc
