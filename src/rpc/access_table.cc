#include "rpc/access_table.h"

#include <algorithm>
#include <iterator>

namespace kezek::rpc {
namespace {

constexpr Reach kNo = Reach::kNone;
constexpr Reach kOwn = Reach::kOwn;
constexpr Reach kAcc = Reach::kAccount;
constexpr Reach kAll = Reach::kAll;

constexpr Scope kRd = Scope::kRead;
constexpr Scope kSu = Scope::kSubmit;
constexpr Scope kMg = Scope::kManage;
constexpr Scope kAd = Scope::kAdmin;
constexpr Scope kMe = Scope::kMetrics;

// Columns: everybody, scope; researcher, project lead, institution admin, cluster admin, auditor,
// metrics reader.
// clang-format off
constexpr AccessRow kTable[] = {
  {"/kezek.v1.JobService/Submit",           false, kSu, {kAcc, kAcc, kNo,  kAll, kNo,  kNo}},
  {"/kezek.v1.JobService/SubmitMany",       false, kSu, {kAcc, kAcc, kNo,  kAll, kNo,  kNo}},
  {"/kezek.v1.JobService/Get",              true,  kRd, {kAcc, kAcc, kAcc, kAll, kAll, kNo}},
  {"/kezek.v1.JobService/List",             true,  kRd, {kAcc, kAcc, kAcc, kAll, kAll, kNo}},
  {"/kezek.v1.JobService/Watch",            true,  kRd, {kAcc, kAcc, kAcc, kAll, kAll, kNo}},
  {"/kezek.v1.JobService/Cancel",           true,  kMg, {kOwn, kAcc, kAcc, kAll, kNo,  kNo}},
  {"/kezek.v1.JobService/Update",           true,  kMg, {kOwn, kAcc, kAcc, kAll, kNo,  kNo}},
  {"/kezek.v1.JobService/Requeue",          true,  kMg, {kOwn, kAcc, kAcc, kAll, kNo,  kNo}},
  {"/kezek.v1.JobService/ReportCheckpoint", true,  kSu, {kOwn, kAcc, kNo,  kAll, kNo,  kNo}},
  {"/kezek.v1.JobService/Logs",             true,  kRd, {kOwn, kAcc, kNo,  kAll, kNo,  kNo}},
  {"/kezek.v1.JobService/Explain",          true,  kRd, {kAcc, kAcc, kAcc, kAll, kAll, kNo}},

  {"/kezek.v1.QuotaService/GetAccount",        false, kRd, {kAcc, kAcc, kAcc, kAll, kAll, kNo}},
  {"/kezek.v1.QuotaService/ListAccounts",      false, kRd, {kAcc, kAcc, kAcc, kAll, kAll, kNo}},
  {"/kezek.v1.QuotaService/ApplyAccounts",     false, kAd, {kNo,  kNo,  kAcc, kAll, kNo,  kNo}},
  {"/kezek.v1.QuotaService/ListChanges",       false, kRd, {kNo,  kAcc, kAcc, kAll, kAll, kNo}},
  {"/kezek.v1.QuotaService/RevertAccounts",    false, kAd, {kNo,  kNo,  kAcc, kAll, kNo,  kNo}},
  {"/kezek.v1.QuotaService/GetUsage",          false, kRd, {kAcc, kAcc, kAcc, kAll, kAll, kNo}},
  {"/kezek.v1.QuotaService/GetEntitlement",    false, kRd, {kAcc, kAcc, kAcc, kAll, kAll, kNo}},
  {"/kezek.v1.QuotaService/ListBudgets",       false, kRd, {kAcc, kAcc, kAcc, kAll, kAll, kNo}},
  {"/kezek.v1.QuotaService/ProposeCorrection", false, kAd, {kNo,  kNo,  kNo,  kAll, kNo,  kNo}},
  {"/kezek.v1.QuotaService/DecideCorrection",  false, kAd, {kNo,  kNo,  kNo,  kAll, kNo,  kNo}},
  {"/kezek.v1.QuotaService/ListCorrections",   false, kRd, {kNo,  kNo,  kNo,  kAll, kAll, kNo}},
  {"/kezek.v1.QuotaService/ListLedger",        false, kRd, {kOwn, kAcc, kAcc, kAll, kAll, kNo}},
  {"/kezek.v1.QuotaService/ReportUsage",       false, kRd, {kNo,  kAcc, kAcc, kAll, kAll, kNo}},
  {"/kezek.v1.QuotaService/ReportEquity",      false, kRd, {kNo,  kNo,  kAcc, kAll, kAll, kNo}},
  {"/kezek.v1.QuotaService/ExplainShare",      false, kRd, {kNo,  kAcc, kAcc, kAll, kAll, kNo}},
  {"/kezek.v1.QuotaService/ReportReconcile",   false, kRd, {kNo,  kNo,  kNo,  kAll, kAll, kNo}},

  {"/kezek.v1.ClusterService/GetCluster",         true,  kMe, {kAll, kAll, kAll, kAll, kAll, kAll}},
  {"/kezek.v1.ClusterService/ListNodes",          true,  kMe, {kAcc, kAcc, kAcc, kAll, kAll, kAll}},
  {"/kezek.v1.ClusterService/GetNodes",           true,  kMe, {kAcc, kAcc, kAcc, kAll, kAll, kAll}},
  {"/kezek.v1.ClusterService/DrainNodes",         false, kAd, {kNo,  kNo,  kNo,  kAll, kNo,  kNo}},
  {"/kezek.v1.ClusterService/ResumeNodes",        false, kAd, {kNo,  kNo,  kNo,  kAll, kNo,  kNo}},
  {"/kezek.v1.ClusterService/GetTopology",        true,  kMe, {kAll, kAll, kAll, kAll, kAll, kAll}},
  {"/kezek.v1.ClusterService/GetCapacity",        true,  kMe, {kAll, kAll, kAll, kAll, kAll, kAll}},
  {"/kezek.v1.ClusterService/ListReservations",   true,  kRd, {kAcc, kAcc, kAcc, kAll, kAll, kNo}},
  {"/kezek.v1.ClusterService/PutReservation",     false, kAd, {kNo,  kNo,  kNo,  kAll, kNo,  kNo}},
  {"/kezek.v1.ClusterService/DeleteReservation",  false, kAd, {kNo,  kNo,  kNo,  kAll, kNo,  kNo}},
  {"/kezek.v1.ClusterService/ListEvents",         false, kRd, {kNo,  kAcc, kAcc, kAll, kAll, kNo}},
  {"/kezek.v1.ClusterService/GetStatus",          true,  kMe, {kAll, kAll, kAll, kAll, kAll, kAll}},
  {"/kezek.v1.ClusterService/Doctor",             false, kAd, {kNo,  kNo,  kNo,  kAll, kNo,  kNo}},
  {"/kezek.v1.ClusterService/Snapshot",           false, kRd, {kNo,  kNo,  kNo,  kAll, kAll, kNo}},
  {"/kezek.v1.ClusterService/ApplySlurmAccounts", false, kAd, {kNo,  kNo,  kNo,  kAll, kNo,  kNo}},
  {"/kezek.v1.ClusterService/ResumeScheduling",   false, kAd, {kNo,  kNo,  kNo,  kAll, kNo,  kNo}},

  {"/kezek.v1.AccessService/WhoAmI",         true,  kMe, {kOwn, kOwn, kOwn, kOwn, kOwn, kOwn}},
  {"/kezek.v1.AccessService/Login",         true,  kMe, {kNo,  kNo,  kNo,  kNo,  kNo,  kNo}, false},
  {"/kezek.v1.AccessService/ListUsers",      true,  kRd, {kOwn, kAcc, kAcc, kAll, kAll, kNo}},
  {"/kezek.v1.AccessService/CreateUser",     false, kAd, {kNo,  kNo,  kAcc, kAll, kNo,  kNo}},
  {"/kezek.v1.AccessService/UpdateUser",     false, kAd, {kNo,  kNo,  kAcc, kAll, kNo,  kNo}},
  {"/kezek.v1.AccessService/SetUnixAccount", false, kAd, {kNo,  kNo,  kNo,  kAll, kNo,  kNo}},
  {"/kezek.v1.AccessService/ChangeRoles",    false, kAd, {kNo,  kAcc, kAcc, kAll, kNo,  kNo}},
  {"/kezek.v1.AccessService/CreateToken",    true,  kMg, {kOwn, kOwn, kAcc, kAll, kNo,  kOwn}},
  {"/kezek.v1.AccessService/ListTokens",     true,  kRd, {kOwn, kOwn, kAcc, kAll, kAll, kOwn}},
  {"/kezek.v1.AccessService/RevokeToken",    true,  kMg, {kOwn, kOwn, kAcc, kAll, kNo,  kOwn}},
  {"/kezek.v1.AccessService/SyncUsers",      false, kAd, {kNo,  kNo,  kAcc, kAll, kNo,  kNo}},

  {kReadMetrics, false, kMe, {kNo, kNo, kNo, kAll, kAll, kAll}},
};
// clang-format on

constexpr std::string_view kOnStandby[] = {
    "/kezek.v1.JobService/Get",           "/kezek.v1.JobService/List",
    "/kezek.v1.QuotaService/GetAccount",  "/kezek.v1.QuotaService/ListAccounts",
    "/kezek.v1.ClusterService/GetNodes",  "/kezek.v1.ClusterService/GetCluster",
    "/kezek.v1.ClusterService/ListNodes", "/kezek.v1.ClusterService/GetTopology",
    "/kezek.v1.ClusterService/GetStatus", "/kezek.v1.AccessService/WhoAmI",
    "/kezek.v1.AccessService/ListUsers",  "/kezek.v1.AccessService/ListTokens",
};

}  // namespace

bool OnStandby(std::string_view method) {
  return std::find(std::begin(kOnStandby), std::end(kOnStandby), method) != std::end(kOnStandby);
}

std::span<const AccessRow> AccessTable() { return kTable; }

const AccessRow* FindAccess(std::string_view method) {
  for (const auto& row : kTable) {
    if (row.method == method) return &row;
  }
  return nullptr;
}

}  // namespace kezek::rpc
