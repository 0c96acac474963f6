#include "rpc/measured_calls.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/server_interceptor.h>

#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "rpc/access_table.h"
#include "rpc/status.h"

namespace kezek::rpc {
namespace {

constexpr std::string_view kOther = "other";

using Steady = std::chrono::steady_clock;
using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::InterceptorBatchMethods;

// What is no message of the rpc, such as one with a text that is not UTF-8, gRPC itself refuses
// without a word.
bool IsRefusedByGrpc(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::UNIMPLEMENTED && status.error_message().empty();
}

// Lives as long as its call.
class MeasuredCall final : public grpc::experimental::Interceptor {
 public:
  MeasuredCall(std::string_view method, Meter* meter)
      : method_(method), meter_(meter), begun_(Steady::now()) {}

  void Intercept(InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      if (method_ != kOther && IsRefusedByGrpc(methods->GetSendStatus())) {
        methods->ModifySendStatus(
            ToGrpc(Invalid("", "the request cannot be read: are its texts UTF-8?")));
      }
      if (meter_ == nullptr) return methods->Proceed();
      const auto took = Steady::now() - begun_;
      meter_->OnRpc(
          {.method = method_,
           .code = static_cast<Code>(methods->GetSendStatus().error_code()),
           .took_us = std::chrono::duration_cast<std::chrono::microseconds>(took).count()});
    }
    methods->Proceed();
  }

 private:
  const std::string_view method_;
  Meter* const meter_;
  const Steady::time_point begun_;
};

class MeasuredCalls final : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit MeasuredCalls(Meter* meter) : meter_(meter) {}
  grpc::experimental::Interceptor* CreateServerInterceptor(
      grpc::experimental::ServerRpcInfo* info) override {
    return std::make_unique<MeasuredCall>(MeasuredName(info->method()), meter_).release();
  }

 private:
  Meter* meter_;
};

}  // namespace

std::string_view MeasuredName(std::string_view method) {
  if (const AccessRow* row = FindAccess(method); row != nullptr && row->method.starts_with('/')) {
    return row->method.substr(1);
  }
  for (const std::string_view known :
       {"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"}) {
    if (method == known) return known.substr(1);
  }
  return kOther;
}

void MeasureCalls(grpc::ServerBuilder& builder, Meter* meter) {
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> makers;
  makers.push_back(std::make_unique<MeasuredCalls>(meter));
  builder.experimental().SetInterceptorCreators(std::move(makers));
}

}  // namespace kezek::rpc
