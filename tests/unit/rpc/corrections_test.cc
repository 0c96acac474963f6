// Goal: whoever decides on a correction can see first what was proposed, and only who may see all
// of the ledger sees corrections. Method: calls through gRPC, with corrections in the fake store.

#include <vector>

#include "kezek/v1/quota.grpc.pb.h"
#include "tests/unit/rpc/served.h"

namespace kezek::rpc {
namespace {

class CorrectionsTest : public Served {
 protected:
  void SetUp() override {
    Served::SetUp();
    for (std::int64_t id = 1; id <= 5; ++id) {
      Correction correction;
      correction.id = id;
      correction.budget = {World::kNlp, "2026-Q4"};
      correction.gpu_type = "h200";
      correction.amount = -7 * id;
      correction.reason = "a meter was wrong";
      correction.proposed_by = "root@kezek";
      correction.state = id == 2 ? CorrectionState::kBooked : CorrectionState::kProposed;
      store_.corrections.push_back(correction);
    }
  }

  grpc::Status List(const std::string& user, const v1::ListCorrectionsRequest& request,
                    v1::ListCorrectionsResponse* response) {
    return v1::QuotaService::NewStub(channel_)->ListCorrections(As(user).get(), request, response);
  }
};

TEST_F(CorrectionsTest, ShowWhatWaitsForASecondPersonLatestFirst) {
  v1::ListCorrectionsResponse response;
  ASSERT_TRUE(List("root@kezek", {}, &response).ok());
  std::vector<std::int64_t> ids;
  for (const v1::Correction& correction : response.corrections()) ids.push_back(correction.id());
  EXPECT_EQ(ids, (std::vector<std::int64_t>{5, 4, 3, 1}));
  EXPECT_EQ(response.page().next_token(), "");
  const v1::Correction& last = response.corrections(0);
  EXPECT_EQ(last.request().account(), "universities/kaznu/nlp");
  EXPECT_EQ(last.request().budget(), "2026-Q4");
  EXPECT_EQ(last.request().amount_milli_gpu_ms(), -35);
  EXPECT_EQ(last.state(), v1::CORRECTION_STATE_PROPOSED);
}

TEST_F(CorrectionsTest, GoOnPageByPageWithThoseThatAreDecided) {
  v1::ListCorrectionsRequest request;
  request.set_decided(true);
  request.mutable_page()->set_size(2);
  std::vector<std::int64_t> ids;
  do {
    v1::ListCorrectionsResponse response;
    ASSERT_TRUE(List("audit@kezek", request, &response).ok());
    ASSERT_LE(response.corrections_size(), 2);
    for (const v1::Correction& correction : response.corrections()) ids.push_back(correction.id());
    request.mutable_page()->set_token(response.page().next_token());
  } while (!request.page().token().empty());
  EXPECT_EQ(ids, (std::vector<std::int64_t>{5, 4, 3, 2, 1}));
}

TEST_F(CorrectionsTest, NobodyProposesMoreThanALedgerBears) {
  v1::ProposeCorrectionRequest request;
  request.set_account("universities/kaznu/nlp");
  request.set_gpu_type("h200");
  request.set_reason("a meter was wrong");
  for (const std::int64_t amount : {std::int64_t{1} << 61, -(std::int64_t{1} << 61)}) {
    request.set_amount_milli_gpu_ms(amount);
    v1::Correction response;
    const auto refused = v1::QuotaService::NewStub(channel_)->ProposeCorrection(
        As("root@kezek").get(), request, &response);
    EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(Detail(refused).field(), "amount_milli_gpu_ms");
  }
}

TEST_F(CorrectionsTest, BadPagesAndOtherPeopleAreRefused) {
  v1::ListCorrectionsResponse response;
  v1::ListCorrectionsRequest request;
  request.mutable_page()->set_token("-3");
  const auto bad = List("root@kezek", request, &response);
  EXPECT_EQ(bad.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Detail(bad).reason(), "PAGE_TOKEN_INVALID");
  for (const char* user : {"aizhan@kaznu", "bolat@kaznu", "chief@kaznu", "meter@kezek"}) {
    EXPECT_EQ(List(user, {}, &response).error_code(), grpc::StatusCode::PERMISSION_DENIED) << user;
  }
}

}  // namespace
}  // namespace kezek::rpc
