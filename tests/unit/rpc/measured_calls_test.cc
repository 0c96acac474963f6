// Goal: every rpc is measured once, with its method and the code it ended with, streams and
// refusals too, and no caller can make up a name that is kept. Method: calls of a served
// JobService.

#include "rpc/measured_calls.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/rpc/served.h"

namespace kezek::rpc {
namespace {

using Call = test::RecordingMeter::Call;

class MeasuredCallsTest : public Served {};

TEST_F(MeasuredCallsTest, AreToldWithMethodAndCode) {
  Submit("aizhan@kaznu", "one");
  v1::SubmitRequest request = Request("two");
  v1::SubmitResponse response;
  grpc::ClientContext nobody;
  EXPECT_FALSE(stub_->Submit(&nobody, request, &response).ok());
  request.mutable_spec()->set_script("");
  EXPECT_FALSE(stub_->Submit(As("aizhan@kaznu").get(), request, &response).ok());
  const auto context = As("aizhan@kaznu");
  v1::WatchRequest watch;
  const auto stream = stub_->Watch(context.get(), watch);
  context->TryCancel();
  EXPECT_FALSE(stream->Finish().ok());
  const std::vector<Call> calls = meter_.rpcs(4);
  ASSERT_EQ(calls.size(), 4U);
  const std::string submit = "kezek.v1.JobService/Submit";
  EXPECT_EQ(calls[0], (Call{submit, 0}));
  EXPECT_EQ(calls[1], (Call{submit, static_cast<int>(Code::kUnauthenticated)}));
  EXPECT_EQ(calls[2], (Call{submit, static_cast<int>(Code::kInvalidArgument)}));
  EXPECT_EQ(calls[3].name, "kezek.v1.JobService/Watch");
}

TEST(MeasuredName, IsOneOfAFixedFew) {
  EXPECT_EQ(MeasuredName("/kezek.v1.QuotaService/GetUsage"), "kezek.v1.QuotaService/GetUsage");
  EXPECT_EQ(MeasuredName("/grpc.health.v1.Health/Check"), "grpc.health.v1.Health/Check");
  EXPECT_EQ(MeasuredName("/kezek.v1.JobService/Nothing"), "other");
  EXPECT_EQ(MeasuredName("GET /metrics"), "other") << "is no rpc";
  EXPECT_EQ(MeasuredName(""), "other");
}

}  // namespace
}  // namespace kezek::rpc
