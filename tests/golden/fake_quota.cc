#include "tests/golden/fake_quota.h"

#include <grpcpp/grpcpp.h>

#include <string>
#include <utility>

#include "tests/golden/answers.h"
#include "tests/golden/canned.h"
#include "tests/golden/failures.h"
#include "tests/golden/fake_server.h"

namespace kezek::golden {
namespace {

using grpc::ServerContext;
using grpc::Status;
using grpc::StatusCode;

// Of corrections 7 is the caller's own, and 8 another admin's.
Status DecideCanned(const v1::DecideCorrectionRequest& request, v1::Correction* response) {
  if (request.id() == 7 && request.approve()) {
    return Refused(StatusCode::PERMISSION_DENIED, "id", "SECOND_PERSON_NEEDED",
                   "who proposed a correction does not approve it: another admin does");
  }
  if (request.id() > 8) {
    return Refused(StatusCode::NOT_FOUND, "id", "CORRECTION_NOT_FOUND",
                   "there is no such correction");
  }
  return Answer(response, CannedCorrection(request));
}

class FakeQuota final : public v1::QuotaService::Service {
 public:
  Status GetUsage(ServerContext*, const v1::GetUsageRequest* request,
                  v1::GetUsageResponse* response) override {
    v1::GetUsageResponse usage = CannedUsage();
    v1::ListBudgetsRequest of;
    of.set_account(request->account());
    *usage.mutable_budgets() = CannedBudgets(of).budgets();
    return Answer(response, usage);
  }
  Status ListBudgets(ServerContext*, const v1::ListBudgetsRequest* request,
                     v1::ListBudgetsResponse* response) override {
    return Answer(response, CannedBudgets(*request));
  }
  Status ListLedger(ServerContext*, const v1::ListLedgerRequest* request,
                    v1::ListLedgerResponse* response) override {
    return Answer(response, CannedLedger(*request));
  }
  Status ListCorrections(ServerContext*, const v1::ListCorrectionsRequest* request,
                         v1::ListCorrectionsResponse* response) override {
    return Answer(response, CannedCorrections(request->decided()));
  }
  Status ProposeCorrection(ServerContext*, const v1::ProposeCorrectionRequest* request,
                           v1::Correction* response) override {
    response->set_id(7);
    *response->mutable_request() = *request;
    response->set_state(v1::CORRECTION_STATE_PROPOSED);
    return Status::OK;
  }
  Status DecideCorrection(ServerContext*, const v1::DecideCorrectionRequest* request,
                          v1::Correction* response) override {
    return DecideCanned(*request, response);
  }
  Status GetEntitlement(ServerContext*, const v1::GetEntitlementRequest*,
                        v1::GetEntitlementResponse* response) override {
    return Answer(response, CannedEntitlement());
  }
  Status ReportUsage(ServerContext*, const v1::ReportUsageRequest* request,
                     v1::ReportUsageResponse* response) override {
    return Answer(response, CannedReport(*request));
  }
  Status ReportEquity(ServerContext*, const v1::ReportEquityRequest* request,
                      v1::ReportEquityResponse* response) override {
    return Answer(response, CannedEquity(*request));
  }
  // All agrees before the day of the tests.
  Status ReportReconcile(ServerContext*, const v1::ReportReconcileRequest* request,
                         v1::ReportReconcileResponse* response) override {
    *response = Parse<v1::ReportReconcileResponse>(R"(
      compared: 1204
      totals { slurm_account: "kaznu" attempts: 800 here_milli_gpu_ms: 7200000000000
               slurm_jobs: 800 slurm_milli_gpu_ms: 7200000000000 }
      totals { attempts: 404 here_milli_gpu_ms: 36000000000 slurm_jobs: 403
               slurm_milli_gpu_ms: 7200000000 }
      foreign_jobs: 31 foreign_milli_gpu_ms: 90000000000 foreign_charged: 30)");
    *response->mutable_basis()->mutable_time() = request->time();
    if (request->time().until_ms() == 0)
      response->mutable_basis()->mutable_time()->set_until_ms(kNowMs);
    if (request->time().until_ms() == 1795201200000) return Status::OK;
    *response->mutable_rows() = Parse<v1::ReportReconcileResponse>(R"(
      rows { job: "48211_7" attempt: 2 slurm_job_id: 5512
             reason { code: "END_DIFFERS"
                      sentence: "End: 2026-11-21 07:30:00 UTC here, "
                                "2026-11-21 07:30:03 UTC by Slurm."
                      fields { key: "here" value: "1795246200000" }
                      fields { key: "slurm" value: "1795246203000" } }
             difference_milli_gpu_ms: -24000000 }
      rows { job: "48007" attempt: 1 slurm_job_id: 5400
             reason { code: "UNKNOWN_TO_SLURM"
                      sentence: "Has run here, and Slurm's accounting has no such job." }
             difference_milli_gpu_ms: 28800000000 }
      rows { slurm_job_id: 7742
             reason { code: "FOREIGN_NOT_CHARGED"
                      sentence: "Has run in Slurm beside Kezek, and nobody is charged for it." }
             difference_milli_gpu_ms: -7200000000 })")
                                    .rows();
    response->set_left_out(3);
    return Status::OK;
  }
  Status ExplainShare(ServerContext*, const v1::ExplainShareRequest* request,
                      v1::ExplainShareResponse* response) override {
    if (request->account() == "universities/kaznu") {
      return Answer(response, CannedShare(*request));
    }
    return Refused(StatusCode::NOT_FOUND, "account", "ACCOUNT_NOT_FOUND",
                   "there is no account " + request->account());
  }
  Status ListAccounts(ServerContext*, const v1::ListAccountsRequest* request,
                      v1::ListAccountsResponse* response) override {
    for (const v1::Account& account : CannedAccounts()) {
      if (account.path().starts_with(request->account())) *response->add_accounts() = account;
    }
    response->set_settings_version(15);
    if (response->accounts_size() > 0) return Status::OK;
    return Refused(StatusCode::NOT_FOUND, "account", "ACCOUNT_NOT_FOUND",
                   "there is no account " + request->account());
  }
  Status GetAccount(ServerContext*, const v1::GetAccountRequest* request,
                    v1::GetAccountResponse* response) override {
    for (const v1::Account& account : CannedAccounts()) {
      if (account.path() != request->account()) continue;
      *response->mutable_account() = account;
      *response->mutable_effective() = account.settings();
      return Status::OK;
    }
    return Refused(StatusCode::NOT_FOUND, "account", "ACCOUNT_NOT_FOUND",
                   "there is no account " + request->account());
  }
  // Echoes each change, as if all of it were new.
  Status ApplyAccounts(ServerContext*, const v1::ApplyAccountsRequest* request,
                       v1::ApplyAccountsResponse* response) override {
    return Answer(response, EchoedChanges(*request));
  }
  Status ListChanges(ServerContext*, const v1::ListChangesRequest* request,
                     v1::ListChangesResponse* response) override {
    return Answer(response, CannedChanges(*request));
  }
  Status RevertAccounts(ServerContext*, const v1::RevertAccountsRequest* request,
                        v1::ApplyAccountsResponse* response) override {
    *response->mutable_changes() = CannedChanges({}).changes(0).changes();
    if (request->to_version() == 15) response->clear_changes();
    if (!request->plan_only()) response->set_settings_version(16);
    if (request->what_if()) *response->mutable_what_if() = v1::WhatIf();
    return Status::OK;
  }
};

}  // namespace

std::unique_ptr<v1::QuotaService::Service> MakeFakeQuota() { return std::make_unique<FakeQuota>(); }

}  // namespace kezek::golden
