#include "tests/unit/rpc/attack.h"

namespace kezek::rpc {

Result<std::int64_t> FixedAccounts::FindUid(const std::string& name) {
  const auto found = uids.find(name);
  if (found == uids.end()) return Error{Code::kNotFound, "none", {}};
  return found->second;
}

void Attack::SetUp() {
  Start();
  generic_ = std::make_unique<grpc::GenericStub>(channel_);
}

Outcome Attack::Call(const std::string& user, const std::string& method,
                     const std::string& request) {
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

Outcome Attack::Call(const std::string& user, const std::string& method,
                     const google::protobuf::Message& request) {
  return Call(user, method, request.SerializeAsString());
}

bool Attack::Await(grpc::CompletionQueue& queue) {
  void* tag = nullptr;
  bool ok = false;
  return queue.Next(&tag, &ok) && ok;
}

bool Attack::IsStream(const std::string& method) {
  return method.ends_with("/Watch") || method.ends_with("/Logs");
}

std::string Attack::RequestThatEnds(std::string_view method) {
  if (!method.ends_with("/Watch")) return "";
  v1::WatchRequest request;
  request.set_after_seq(1'000'000'000);
  return request.SerializeAsString();
}

std::int64_t Attack::MarkedJob() {
  return Submit("aizhan@kaznu", "marked", [](v1::SubmitRequest& request) {
    v1::JobSpec& spec = *request.mutable_spec();
    spec.set_name("zq-name");
    spec.set_script("#!/bin/sh\necho zq-script\n");
    spec.set_comment("zq-comment");
    spec.set_working_dir("/home/zq-home");
    (*spec.mutable_labels())["zq-label"] = "zq-value";
  });
}

void Attack::ExpectNothingOfKaznu(const std::string& what, const Outcome& outcome) {
  const std::string all =
      outcome.bytes + outcome.status.error_message() + outcome.status.error_details();
  for (const char* mark : {"zq-", "aizhan", "bolat", "kaznu", "universities"}) {
    EXPECT_EQ(all.find(mark), std::string::npos) << what << " tells of '" << mark << "'";
  }
}

}  // namespace kezek::rpc
