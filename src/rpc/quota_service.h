// QuotaService: accounts, usage and entitlement.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "kezek/v1/quota.grpc.pb.h"
#include "rpc/lane.h"
#include "rpc/site_lane.h"
#include "rpc/unary.h"

namespace kezek::rpc {

inline constexpr int kLongReads = 2;  // at a time

class QuotaServiceImpl : public v1::QuotaService::CallbackService {
 public:
  QuotaServiceImpl(Parts parts, Settings settings)
      : parts_(parts),
        settings_(std::move(settings)),
        trials_(std::make_shared<Lane>(parts_.read, 1)),
        long_reads_(std::make_shared<Lane>(parts_.read, kLongReads)) {}

  // Calls that wait for the site are answered soon.
  void Stop() { site_.Stop(); }

  grpc::ServerUnaryReactor* GetAccount(grpc::CallbackServerContext* context,
                                       const v1::GetAccountRequest* request,
                                       v1::GetAccountResponse* response) override;
  grpc::ServerUnaryReactor* ListAccounts(grpc::CallbackServerContext* context,
                                         const v1::ListAccountsRequest* request,
                                         v1::ListAccountsResponse* response) override;
  grpc::ServerUnaryReactor* ApplyAccounts(grpc::CallbackServerContext* context,
                                          const v1::ApplyAccountsRequest* request,
                                          v1::ApplyAccountsResponse* response) override;
  grpc::ServerUnaryReactor* ListChanges(grpc::CallbackServerContext* context,
                                        const v1::ListChangesRequest* request,
                                        v1::ListChangesResponse* response) override;
  grpc::ServerUnaryReactor* RevertAccounts(grpc::CallbackServerContext* context,
                                           const v1::RevertAccountsRequest* request,
                                           v1::ApplyAccountsResponse* response) override;
  grpc::ServerUnaryReactor* GetUsage(grpc::CallbackServerContext* context,
                                     const v1::GetUsageRequest* request,
                                     v1::GetUsageResponse* response) override;
  grpc::ServerUnaryReactor* GetEntitlement(grpc::CallbackServerContext* context,
                                           const v1::GetEntitlementRequest* request,
                                           v1::GetEntitlementResponse* response) override;
  grpc::ServerUnaryReactor* ListBudgets(grpc::CallbackServerContext* context,
                                        const v1::ListBudgetsRequest* request,
                                        v1::ListBudgetsResponse* response) override;
  grpc::ServerUnaryReactor* ProposeCorrection(grpc::CallbackServerContext* context,
                                              const v1::ProposeCorrectionRequest* request,
                                              v1::Correction* response) override;
  grpc::ServerUnaryReactor* DecideCorrection(grpc::CallbackServerContext* context,
                                             const v1::DecideCorrectionRequest* request,
                                             v1::Correction* response) override;
  grpc::ServerUnaryReactor* ListCorrections(grpc::CallbackServerContext* context,
                                            const v1::ListCorrectionsRequest* request,
                                            v1::ListCorrectionsResponse* response) override;
  grpc::ServerUnaryReactor* ListLedger(grpc::CallbackServerContext* context,
                                       const v1::ListLedgerRequest* request,
                                       v1::ListLedgerResponse* response) override;
  grpc::ServerUnaryReactor* ReportUsage(grpc::CallbackServerContext* context,
                                        const v1::ReportUsageRequest* request,
                                        v1::ReportUsageResponse* response) override;
  grpc::ServerUnaryReactor* ReportEquity(grpc::CallbackServerContext* context,
                                         const v1::ReportEquityRequest* request,
                                         v1::ReportEquityResponse* response) override;
  grpc::ServerUnaryReactor* ExplainShare(grpc::CallbackServerContext* context,
                                         const v1::ExplainShareRequest* request,
                                         v1::ExplainShareResponse* response) override;
  grpc::ServerUnaryReactor* ReportReconcile(grpc::CallbackServerContext* context,
                                            const v1::ReportReconcileRequest* request,
                                            v1::ReportReconcileResponse* response) override;

 private:
  static std::string Method(std::string_view name) {
    return "/kezek.v1.QuotaService/" + std::string(name);
  }

  // What may be long: it leaves most of the pool to single calls.
  void ReadLong(const Caller& caller, std::function<void(Reader&)> work) {
    long_reads_->Work(caller.user, std::move(work));
  }

  Parts parts_;
  Settings settings_;
  std::shared_ptr<Lane> trials_;  // of settings on the queue
  SiteLane site_;
  std::shared_ptr<Lane> long_reads_;  // of what only grows: the ledger, the jobs, the settings
};

}  // namespace kezek::rpc
