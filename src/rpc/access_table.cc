#include "rpc/access_table.h"

#include <algorithm>
#include <iterator>

namespace kezek::rpc {
namespace {

constexpr Reach kNo = Reach::kNone;
constexpr Reach kOwn = Reach::kOwn;
constexpr Reach kAcc = Reach::kAccount;
constexpr Reach kAll = Reach::kAll;

// Columns: researcher, project lead, institution admin, cluster admin, auditor, metrics reader.
// clang-format off
constexpr AccessRow kTable[] = {
    {"/kezek.v1.JobService/Submit",           false, {kAcc, kAcc, kNo,  kAll, kNo,  kNo}},
    {"/kezek.v1.JobService/SubmitMany",       false, {kAcc, kAcc, kNo,  kAll, kNo,  kNo}},
    {"/kezek.v1.JobService/Get",              true,  {kAcc, kAcc, kAcc, kAll, kAll, kNo}},
    {"/kezek.v1.JobService/List",             true,  {kAcc, kAcc, kAcc, kAll, kAll, kNo}},
    {"/kezek.v1.JobService/Watch",            true,  {kAcc, kAcc, kAcc, kAll, kAll, kNo}},
    {"/kezek.v1.JobService/Cancel",           true,  {kOwn, kAcc, kAcc, kAll, kNo,  kNo}},
    {"/kezek.v1.JobService/Update",           true,  {kOwn, kAcc, kAcc, kAll, kNo,  kNo}},
    {"/kezek.v1.JobService/Requeue",          true,  {kOwn, kAcc, kAcc, kAll, kNo,  kNo}},
    {"/kezek.v1.JobService/ReportCheckpoint", true,  {kOwn, kAcc, kNo,  kAll, kNo,  kNo}},
    {"/kezek.v1.JobService/Logs",             true,  {kOwn, kAcc, kNo,  kAll, kNo,  kNo}},
    {"/kezek.v1.JobService/Explain",          true,  {kAcc, kAcc, kAcc, kAll, kAll, kNo}},

    {"/kezek.v1.QuotaService/GetAccount",        false, {kAcc, kAcc, kAcc, kAll, kAll, kNo}},
    {"/kezek.v1.QuotaService/ListAccounts",      false, {kAcc, kAcc, kAcc, kAll, kAll, kNo}},
    {"/kezek.v1.QuotaService/ApplyAccounts",     false, {kNo,  kNo,  kAcc, kAll, kNo,  kNo}},
    {"/kezek.v1.QuotaService/ListChanges",       false, {kNo,  kAcc, kAcc, kAll, kAll, kNo}},
    {"/kezek.v1.QuotaService/RevertAccounts",    false, {kNo,  kNo,  kAcc, kAll, kNo,  kNo}},
    {"/kezek.v1.QuotaService/GetUsage",          false, {kAcc, kAcc, kAcc, kAll, kAll, kNo}},
    {"/kezek.v1.QuotaService/GetEntitlement",    false, {kAcc, kAcc, kAcc, kAll, kAll, kNo}},
    {"/kezek.v1.QuotaService/ListBudgets",       false, {kAcc, kAcc, kAcc, kAll, kAll, kNo}},
    {"/kezek.v1.QuotaService/ProposeCorrection", false, {kNo,  kNo,  kNo,  kAll, kNo,  kNo}},
    {"/kezek.v1.QuotaService/DecideCorrection",  false, {kNo,  kNo,  kNo,  kAll, kNo,  kNo}},
    {"/kezek.v1.QuotaService/ListLedger",        false, {kOwn, kAcc, kAcc, kAll, kAll, kNo}},
    {"/kezek.v1.QuotaService/ReportUsage",       false, {kNo,  kAcc, kAcc, kAll, kAll, kNo}},
    {"/kezek.v1.QuotaService/ReportEquity",      false, {kNo,  kNo,  kAcc, kAll, kAll, kNo}},
    {"/kezek.v1.QuotaService/ExplainShare",      false, {kNo,  kAcc, kAcc, kAll, kAll, kNo}},
    {"/kezek.v1.QuotaService/ReportReconcile",   false, {kNo,  kNo,  kNo,  kAll, kAll, kNo}},

    {"/kezek.v1.ClusterService/GetCluster",         true,  {kAll, kAll, kAll, kAll, kAll, kAll}},
    {"/kezek.v1.ClusterService/ListNodes",          true,  {kAcc, kAcc, kAcc, kAll, kAll, kAll}},
    {"/kezek.v1.ClusterService/GetNodes",           true,  {kAcc, kAcc, kAcc, kAll, kAll, kAll}},
    {"/kezek.v1.ClusterService/DrainNodes",         false, {kNo,  kNo,  kNo,  kAll, kNo,  kNo}},
    {"/kezek.v1.ClusterService/ResumeNodes",        false, {kNo,  kNo,  kNo,  kAll, kNo,  kNo}},
    {"/kezek.v1.ClusterService/GetTopology",        true,  {kAll, kAll, kAll, kAll, kAll, kAll}},
    {"/kezek.v1.ClusterService/GetCapacity",        true,  {kAll, kAll, kAll, kAll, kAll, kAll}},
    {"/kezek.v1.ClusterService/ListReservations",   true,  {kAcc, kAcc, kAcc, kAll, kAll, kNo}},
    {"/kezek.v1.ClusterService/PutReservation",     false, {kNo,  kNo,  kNo,  kAll, kNo,  kNo}},
    {"/kezek.v1.ClusterService/DeleteReservation",  false, {kNo,  kNo,  kNo,  kAll, kNo,  kNo}},
    {"/kezek.v1.ClusterService/ListEvents",         false, {kNo,  kAcc, kAcc, kAll, kAll, kNo}},
    {"/kezek.v1.ClusterService/GetStatus",          true,  {kAll, kAll, kAll, kAll, kAll, kAll}},
    {"/kezek.v1.ClusterService/Doctor",             false, {kNo,  kNo,  kNo,  kAll, kNo,  kNo}},
    {"/kezek.v1.ClusterService/Snapshot",           false, {kNo,  kNo,  kNo,  kAll, kAll, kNo}},
    {"/kezek.v1.ClusterService/ApplySlurmAccounts", false, {kNo,  kNo,  kNo,  kAll, kNo,  kNo}},
    {"/kezek.v1.ClusterService/ResumeScheduling",   false, {kNo,  kNo,  kNo,  kAll, kNo,  kNo}},

    {"/kezek.v1.AccessService/WhoAmI",         true,  {kOwn, kOwn, kOwn, kOwn, kOwn, kOwn}},
    {"/kezek.v1.AccessService/Login",          true,  {kNo,  kNo,  kNo,  kNo,  kNo,  kNo}, false},
    {"/kezek.v1.AccessService/ListUsers",      true,  {kOwn, kAcc, kAcc, kAll, kAll, kNo}},
    {"/kezek.v1.AccessService/CreateUser",     false, {kNo,  kNo,  kAcc, kAll, kNo,  kNo}},
    {"/kezek.v1.AccessService/UpdateUser",     false, {kNo,  kNo,  kAcc, kAll, kNo,  kNo}},
    {"/kezek.v1.AccessService/SetUnixAccount", false, {kNo,  kNo,  kNo,  kAll, kNo,  kNo}},
    {"/kezek.v1.AccessService/ChangeRoles",    false, {kNo,  kAcc, kAcc, kAll, kNo,  kNo}},
    {"/kezek.v1.AccessService/CreateToken",    true,  {kOwn, kOwn, kAcc, kAll, kNo,  kOwn}},
    {"/kezek.v1.AccessService/ListTokens",     true,  {kOwn, kOwn, kAcc, kAll, kAll, kOwn}},
    {"/kezek.v1.AccessService/RevokeToken",    true,  {kOwn, kOwn, kAcc, kAll, kNo,  kOwn}},
    {"/kezek.v1.AccessService/SyncUsers",      false, {kNo,  kNo,  kAcc, kAll, kNo,  kNo}},

    {kReadMetrics, false, {kNo, kNo, kNo, kAll, kAll, kAll}},
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
