// The canned answers of the fake server.
#pragma once

#include <kezek/v1/access.pb.h>
#include <kezek/v1/cluster.pb.h>
#include <kezek/v1/job_service.pb.h>
#include <kezek/v1/ledger.pb.h>
#include <kezek/v1/quota.pb.h>

#include <optional>
#include <string>
#include <vector>

namespace kezek::golden {

// 48007 runs on four nodes, 48190 is borrowed, 48211 waits with a reservation, 48300 is an array,
// 47001 succeeded, 47002 failed with 3, 47003 was cancelled; the last is another institution's.
std::vector<v1::Job> CannedJobs();
std::optional<v1::Job> CannedJob(const std::string& id);
std::vector<v1::Event> CannedEvents(const std::string& id);
v1::ExplainResponse CannedWhy();
std::vector<v1::Node> CannedNodes();
v1::GetUsageResponse CannedUsage();
// Of KazNU and what is below only: one runs out, one does not.
v1::ListBudgetsResponse CannedBudgets(const v1::ListBudgetsRequest& request);
// A start, its end and a refund of it, latest first, of a budget too; cut to the page.
v1::ListLedgerResponse CannedLedger(const v1::ListLedgerRequest& request);
// Of the subjects that are asked for; the latest alone if no more are.
v1::ListEventsResponse CannedEvents(const v1::ListEventsRequest& request);
v1::GetEntitlementResponse CannedEntitlement();
// Two groups, labelled by what they are grouped by.
v1::ReportUsageResponse CannedReport(const v1::ReportUsageRequest& request);
v1::ReportEquityResponse CannedEquity(const v1::ReportEquityRequest& request);
v1::ExplainShareResponse CannedShare(const v1::ExplainShareRequest& request);
v1::WhoAmIResponse CannedWhoAmI();
std::vector<v1::Account> CannedAccounts();
v1::User CannedUser();
std::vector<v1::Token> CannedTokens();

v1::ListCorrectionsResponse CannedCorrections(bool decided);
v1::Correction CannedCorrection(const v1::DecideCorrectionRequest& request);
v1::ListChangesResponse CannedChanges(const v1::ListChangesRequest& request);
v1::WhatIf CannedWhatIf();
v1::ApplyAccountsResponse EchoedChanges(const v1::ApplyAccountsRequest& request);
v1::CreateTokenResponse CannedNewToken(const v1::CreateTokenRequest& request);

// A plan by which everybody listed joins; nothing changes in the account `quiet`.
v1::SyncUsersResponse CannedSync(const v1::SyncUsersRequest& request);

}  // namespace kezek::golden
