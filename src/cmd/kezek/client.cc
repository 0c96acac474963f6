#include "cmd/kezek/client.h"

#include <google/protobuf/descriptor.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <kezek/v1/status.pb.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include "cmd/kezek/handshake.h"
#include "kezek/check.h"

namespace kezek::cli {
namespace {

using google::protobuf::Message;
using google::protobuf::MethodDescriptor;

constexpr std::int64_t kFirstPauseMs = 100;
constexpr std::int64_t kLongestPauseMs = 1'600;
constexpr std::int64_t kLimitedMs = 60'000;  // in all, while it is called too often
constexpr const char* kNoHandshake = "NO_HANDSHAKE";

// The rpc whose request this is: each request type belongs to one rpc.
std::string MethodOf(const Message& request, const Message& response) {
  for (const char* name : {"JobService", "QuotaService", "ClusterService", "AccessService"}) {
    const google::protobuf::ServiceDescriptor* service =
        google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(
            std::string("kezek.v1.") + name);
    if (service == nullptr) continue;
    for (int m = 0; m < service->method_count(); ++m) {
      const MethodDescriptor* method = service->method(m);
      if (method->input_type() != request.GetDescriptor()) continue;
      KEZEK_CHECK(method->output_type() == response.GetDescriptor(), method->full_name());
      return "/" + service->full_name() + "/" + method->name();
    }
  }
  KEZEK_CHECK(false, "no rpc takes " + request.GetDescriptor()->full_name());
  return "";
}

Error FromStatus(const grpc::Status& status, const std::string& endpoint) {
  Error error{static_cast<Code>(status.error_code()), status.error_message(), {}};
  v1::Status details;
  if (details.ParseFromString(status.error_details())) {
    for (const google::protobuf::Any& any : details.details()) {
      v1::ErrorDetail detail;
      if (!any.UnpackTo(&detail)) continue;
      error.details.push_back({detail.field(),
                               detail.reason(),
                               detail.message(),
                               {detail.fields().begin(), detail.fields().end()}});
    }
  }
  // By us no call is cancelled: a server that ends gives up what it has not answered.
  if (error.code == Code::kCancelled && error.details.empty()) error.code = Code::kUnavailable;
  if (error.code == Code::kUnavailable && error.details.empty()) {
    // gRPC tells the whole story of its tries; the end of it is the cause.
    const std::string& story = status.error_message();
    const std::size_t colon = story.rfind(": ");
    const std::string cause = colon == std::string::npos ? story : story.substr(colon + 2);
    error.message = "no answer from " + endpoint + (cause.empty() ? "" : " (" + cause + ")");
  }
  if (error.code == Code::kDeadlineExceeded && error.details.empty())
    error.message = "no answer in time from " + endpoint;
  return error;
}

bool SaysNotLeader(const Error& error) {
  return std::any_of(error.details.begin(), error.details.end(),
                     [](const FieldError& detail) { return detail.reason == "NOT_LEADER"; });
}

// Who leads, if the error says so.
std::string LeaderIn(const Error& error) {
  for (const FieldError& detail : error.details) {
    if (detail.reason != "NOT_LEADER") continue;
    const auto leader = detail.values.find("leader");
    if (leader != detail.values.end()) return leader->second;
  }
  return "";
}

// How long a server that is called too often wants to be left alone; it has done nothing. 0: it is
// something else.
std::int64_t AskedToWait(const Error& error) {
  for (const FieldError& detail : error.details) {
    const auto wait = detail.values.find("retry_after_ms");
    if (detail.reason != "RATE_LIMITED" || wait == detail.values.end()) continue;
    std::int64_t wait_ms = 0;
    const std::string& text = wait->second;
    std::from_chars(text.data(), text.data() + text.size(), wait_ms);
    return std::clamp<std::int64_t>(wait_ms, 1, kLimitedMs);
  }
  return 0;
}

// What no further try would change.
Error NoHandshake(const std::string& endpoint, const std::string& cause) {
  return Error{Code::kUnavailable,
               "no connection to " + endpoint + ": " + cause,
               {{"", kNoHandshake, cause, {}}}};
}

bool IsForGood(const Error& error) {
  return std::any_of(error.details.begin(), error.details.end(),
                     [](const FieldError& detail) { return detail.reason == kNoHandshake; });
}

}  // namespace

class Client::Connection {
 public:
  Connection(const Context& context, const std::string& endpoint, bool patient)
      : context_(context), endpoint_(endpoint), probed_(!patient) {
    context_.endpoint = endpoint;
    auto credentials = CredentialsOf(context_);
    if (!credentials) {
      unusable_ = credentials.error();
      return;
    }
    grpc::ChannelArguments arguments;
    if (!context.server_name.empty() && UsesTls(context_)) {
      arguments.SetSslTargetNameOverride(context.server_name);
    }
    arguments.SetMaxReceiveMessageSize(64 << 20);
    // A stream may be silent for long; a server that is gone without a word is noticed. Servers
    // take more frequent pings for an attack.
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 310'000);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
    stub_ = std::make_unique<grpc::GenericStub>(
        grpc::CreateCustomChannel(endpoint_, *credentials, arguments));
  }

  Result<void> Unary(const Message& request, Message& response, std::int64_t deadline_ms) {
    if (unusable_) return *unusable_;
    grpc::ClientContext call;
    Prepare(call, deadline_ms);
    grpc::CompletionQueue queue;
    grpc::ByteBuffer answer;
    grpc::Status status;
    const auto reader =
        stub_->PrepareUnaryCall(&call, MethodOf(request, response), Pack(request), &queue);
    reader->StartCall();
    reader->Finish(&answer, &status, nullptr);
    Await(queue);
    if (status.ok()) status = Unpack(answer, response);
    if (!status.ok()) return Failed(status);
    return {};
  }

  Result<void> Stream(const Message& request, Message& response,
                      const std::function<bool()>& on_message, std::int64_t limit_ms) {
    if (unusable_) return *unusable_;
    grpc::ClientContext call;
    Prepare(call, limit_ms);
    grpc::CompletionQueue queue;
    const auto stream = stub_->PrepareCall(&call, MethodOf(request, response), &queue);
    stream->StartCall(nullptr);
    bool going = Await(queue);
    if (going) {
      stream->WriteLast(Pack(request), grpc::WriteOptions(), nullptr);
      going = Await(queue);
    }
    bool wanted = true;
    grpc::Status status;
    while (going && wanted && status.ok()) {
      grpc::ByteBuffer piece;
      stream->Read(&piece, nullptr);
      going = Await(queue);
      if (!going) break;
      status = Unpack(piece, response);
      if (status.ok()) wanted = on_message();
    }
    if (!wanted || !status.ok()) call.TryCancel();
    grpc::Status ended;
    stream->Finish(&ended, nullptr);
    Await(queue);
    if (!wanted) return {};
    if (status.ok()) status = ended;
    const bool late = status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED;
    if (late && limit_ms > 0) return {};
    if (!status.ok()) return Failed(status);
    return {};
  }

  const std::string& endpoint() const { return endpoint_; }

 private:
  void Prepare(grpc::ClientContext& call, std::int64_t deadline_ms) const {
    if (!context_.token.empty()) call.AddMetadata("authorization", "Bearer " + context_.token);
    if (deadline_ms == 0) return;
    call.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(deadline_ms));
  }

  static bool Await(grpc::CompletionQueue& queue) {
    void* tag = nullptr;
    bool ok = false;
    KEZEK_CHECK(queue.Next(&tag, &ok), "a queue that nobody shut down");
    return ok;
  }

  static grpc::ByteBuffer Pack(const Message& message) {
    const std::string bytes = message.SerializeAsString();
    const grpc::Slice slice(bytes);
    return grpc::ByteBuffer(&slice, 1);
  }

  static grpc::Status Unpack(grpc::ByteBuffer& bytes, Message& message) {
    return grpc::GenericDeserialize<grpc::ProtoBufferReader, Message>(&bytes, &message);
  }

  // gRPC says little of a handshake that fails: what is wrong is found out once, by another one.
  Error Failed(const grpc::Status& status) {
    Error error = FromStatus(status, endpoint_);
    if (error.code != Code::kUnavailable || !error.details.empty() || probed_) return error;
    probed_ = true;
    const std::string cause = WhyNoHandshake(context_);
    return cause.empty() ? error : NoHandshake(endpoint_, cause);
  }

  Context context_;
  const std::string endpoint_;
  std::optional<Error> unusable_;
  bool probed_ = false;  // or there is no time for it
  std::unique_ptr<grpc::GenericStub> stub_;
};

Client::Client(const Context& context, const Host& host, Patience patience)
    : context_(context),
      host_(&host),
      patience_(patience),
      connection_(std::make_unique<Connection>(context, context.endpoint, patience.pauses_ms > 0)) {
}

Client::~Client() = default;

void Client::ConnectTo(const std::string& endpoint) {
  connection_ = std::make_unique<Connection>(context_, endpoint, patience_.pauses_ms > 0);
}

// A standby has done nothing, so even what may not be repeated goes on to the leader.
bool Client::Follow(const Error& error) {
  const std::string leader = LeaderIn(error);
  if (leader.empty() || leader == connection_->endpoint()) return false;
  ConnectTo(leader);
  return true;
}

// Whether the same call may do now, after a refusal of one that has done nothing. Where there was
// something to do about it and that failed, `error` says so.
bool Client::MakeUpFor(Error& error, Efforts& efforts) {
  const std::int64_t asked_ms = AskedToWait(error);
  if (asked_ms > 0 && efforts.rested_ms + asked_ms <= kLimitedMs) {
    host_->sleep(asked_ms);
    efforts.rested_ms += asked_ms;
    return true;
  }
  if (error.code == Code::kUnauthenticated && sign_in_) {
    const Result<std::string> token = std::exchange(sign_in_, nullptr)();
    if (!token) {
      error = token.error();
      return false;
    }
    context_.token = *token;
    ConnectTo(std::string(connection_->endpoint()));
    return true;
  }
  if (efforts.followed || !Follow(error)) return false;
  efforts.followed = true;
  return true;
}

Result<void> Client::CallInto(const Message& request, Message& response, Repeat repeat) {
  std::int64_t pause_ms = kFirstPauseMs;
  std::int64_t waited_ms = 0;
  bool was_late = false;
  Efforts efforts;
  while (true) {
    const Result<void> called = connection_->Unary(request, response, patience_.deadline_ms);
    if (called) return called;
    Error error = called.error();
    if (error.code == Code::kDeadlineExceeded && error.details.empty() && repeat == Repeat::kYes &&
        !was_late && patience_.pauses_ms > 0) {
      was_late = true;
      continue;
    }
    if (MakeUpFor(error, efforts)) continue;
    if (error.code != Code::kUnavailable || IsForGood(error)) return error;
    const bool stands_by = SaysNotLeader(error);
    if (waited_ms >= patience_.pauses_ms || (repeat == Repeat::kNo && !stands_by)) return error;
    host_->sleep(pause_ms);
    waited_ms += pause_ms;
    pause_ms = std::min(2 * pause_ms, kLongestPauseMs);
    // Who led is gone, or leads no more: who stood by may know better now.
    if (efforts.followed) ConnectTo(context_.endpoint);
    efforts.followed = false;
  }
}

Result<void> Client::Stream(const Message& request, Message& response,
                            const std::function<bool()>& on_message, std::int64_t limit_ms) {
  Efforts efforts;
  bool begun = false;
  const auto take = [&] {
    begun = true;
    return on_message();
  };
  while (true) {
    const Result<void> streamed = connection_->Stream(request, response, take, limit_ms);
    if (streamed) return streamed;
    Error error = streamed.error();
    if (begun || !MakeUpFor(error, efforts)) return error;
  }
}

}  // namespace kezek::cli
