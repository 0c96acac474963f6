// Reports: what QuotaService answers from the ledger, the jobs and the history of accounts.
#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "rpc/quota_service.h"
#include "rpc/report_ground.h"
#include "rpc/report_groups.h"
#include "rpc/report_rows.h"

namespace kezek::rpc {
namespace {

constexpr std::size_t kLeastInstitutions = 3;  // in a group of an anonymous report

std::set<AccountId> TopsOf(const Caller& caller) {
  if (caller.everywhere) return {kRootAccount};
  return {caller.accounts.begin(), caller.accounts.end()};
}

// A usage report, as asked for.
struct UsageQuestion {
  std::vector<v1::ReportGroup> by;
  ReportTime time;
  ReportGroups groups;
  std::set<AccountId> tops;
  ReportQuery query;
  HistoryQuery history;
};

Result<std::vector<v1::ReportGroup>> ReadGroups(const v1::ReportUsageRequest& request) {
  std::vector<v1::ReportGroup> by;
  for (int i = 0; i < request.group_by_size(); ++i) {
    const std::string field = "group_by[" + std::to_string(i) + "]";
    const int number = request.group_by(i);
    if (!v1::ReportGroup_IsValid(number) || number == v1::REPORT_GROUP_UNSPECIFIED) {
      return Invalid(field, "is not a known group");
    }
    const auto group = static_cast<v1::ReportGroup>(number);
    if (std::find(by.begin(), by.end(), group) != by.end()) return Invalid(field, "is there twice");
    by.push_back(group);
  }
  return by;
}

Result<UsageQuestion> Read(const Caller& caller, const ReportGround& ground,
                           const v1::ReportUsageRequest& request) {
  UsageQuestion asked;
  auto by = ReadGroups(request);
  if (!by) return by.error();
  asked.by = std::move(*by);
  const auto has = [&](v1::ReportGroup one) {
    return std::find(asked.by.begin(), asked.by.end(), one) != asked.by.end();
  };
  if (has(v1::REPORT_GROUP_DAY) && has(v1::REPORT_GROUP_MONTH)) {
    return Invalid("group_by", "is by day or by month, not by both");
  }
  const auto time = ReadTime(request.time(), ground, false);
  if (!time) return time.error();
  asked.time = *time;
  const Directory& directory = *ground.directory;
  if (const auto known = CheckGpuType(directory, request.gpu_type()); !known) return known.error();
  std::set<AccountId> tops = TopsOf(caller);
  if (!request.account().empty()) {
    const auto account = ReachedAccount(caller, request.account());
    if (!account) return account.error();
    if (!directory.accounts.contains(*account)) {
      return NotFound("ACCOUNT_NOT_FOUND", "account", "it was not there under that version");
    }
    tops = {*account};
  }
  asked.groups = GroupAccounts(directory, tops, asked.by);
  KeepReached(caller, &asked.groups);
  ReportQuery& query = asked.query;
  query.projects = asked.groups.accounts;
  query.gpu_type = request.gpu_type();
  query.since_ms = asked.time.since_ms;
  query.until_ms = asked.time.until_ms;
  query.last_ledger_seq = request.last_ledger_seq();
  query.by_user = has(v1::REPORT_GROUP_USER);
  query.by_class = has(v1::REPORT_GROUP_CLASS);
  query.by_gpu_type = has(v1::REPORT_GROUP_GPU_TYPE);
  query.by_kind = has(v1::REPORT_GROUP_KIND);
  if (has(v1::REPORT_GROUP_DAY)) query.period = ReportPeriod::kDay;
  if (has(v1::REPORT_GROUP_MONTH)) query.period = ReportPeriod::kMonth;
  asked.history = {.gpu_type = query.gpu_type,
                   .since_ms = query.since_ms,
                   .until_ms = query.until_ms,
                   .period = query.period};
  ReportGroups whole = GroupAccounts(directory, tops, {});
  KeepReached(caller, &whole);
  for (const auto& [unit, group] : whole.units) asked.tops.insert(unit);
  std::set<AccountId> accounts = asked.tops;
  for (const auto& [unit, group] : asked.groups.units) {
    if (TellsStanding(asked.by)) accounts.insert(unit);
  }
  asked.history.accounts.assign(accounts.begin(), accounts.end());
  return asked;
}

// An equity report, as asked for.
struct EquityQuestion {
  EquityBasis basis;
  ReportTime time;
  ReportGroups groups;
  ReportQuery query;
  HistoryQuery history;
};

// Names of groups with nothing in them that the caller sees are not told.
void HideOthers(const Caller& caller, ReportGroups* groups) {
  std::set<std::int32_t> seen;
  for (const auto& [unit, group] : groups->units) {
    if (caller.ReachesAccount(unit) || caller.SeesAccount(unit)) seen.insert(group);
  }
  const auto labels = groups->labels;
  Relabel(groups, [&](std::int32_t group) {
    return seen.contains(group) ? labels[static_cast<std::size_t>(group)]
                                : std::vector<std::string>{kOtherGroups};
  });
}

Result<EquityQuestion> Read(const Caller& caller, const ReportGround& ground,
                            const v1::ReportEquityRequest& request) {
  EquityQuestion asked;
  const int by = request.group_by() == 0 ? v1::REPORT_GROUP_SECTOR : request.group_by();
  const bool known = v1::ReportGroup_IsValid(by);
  asked.basis = {.by = known ? static_cast<v1::ReportGroup>(by) : v1::REPORT_GROUP_UNSPECIFIED,
                 .gpu_type = request.gpu_type(),
                 .anonymous = request.anonymous()};
  if (!IsAboutAccounts(asked.basis.by) || asked.basis.by == v1::REPORT_GROUP_PROJECT) {
    return Invalid("group_by", "is sector, institution, ownership, country or funding");
  }
  const auto time = ReadTime(request.time(), ground, true);
  if (!time) return time.error();
  asked.time = *time;
  const Directory& directory = *ground.directory;
  if (const auto type = CheckGpuType(directory, request.gpu_type()); !type) return type.error();
  asked.groups = GroupAccounts(directory, {kRootAccount}, {asked.basis.by});
  DropEmpty(&asked.groups);
  if (!caller.everywhere) HideOthers(caller, &asked.groups);
  if (asked.basis.anonymous && asked.basis.by != v1::REPORT_GROUP_INSTITUTION) {
    MergeSmall(directory, kLeastInstitutions, &asked.groups);
  }
  asked.query = {.projects = asked.groups.accounts,
                 .gpu_type = request.gpu_type(),
                 .since_ms = asked.time.since_ms,
                 .until_ms = asked.time.until_ms,
                 .last_ledger_seq = request.last_ledger_seq()};
  asked.history = {.gpu_type = request.gpu_type(),
                   .since_ms = asked.time.since_ms,
                   .until_ms = asked.time.until_ms};
  std::set<AccountId> accounts;
  for (const auto& [unit, group] : asked.groups.units) accounts.insert(unit);
  for (const AccountId id : Institutions(directory)) accounts.insert(id);
  asked.history.accounts.assign(accounts.begin(), accounts.end());
  return asked;
}

// An account beside its siblings.
struct ShareQuestion {
  AccountId account;
  std::vector<AccountId> members;  // the account first, then its siblings
  ReportTime time;
  ReportQuery query;
  HistoryQuery history;
};

Result<ShareQuestion> Read(const Caller& caller, const ReportGround& ground,
                           const v1::ExplainShareRequest& request) {
  ShareQuestion asked;
  if (request.account().empty()) return Invalid("account", "say whose share to explain");
  const auto account = ReachedAccount(caller, request.account());
  if (!account) return account.error();
  asked.account = *account;
  const auto time = ReadTime(request.time(), ground, true);
  if (!time) return time.error();
  asked.time = *time;
  const Directory& directory = caller.directory();
  const AccountId parent = directory.accounts.at(asked.account).parent;
  asked.members = {asked.account};
  for (const auto& [id, other] : directory.accounts) {
    if (parent && other.parent == parent && id != asked.account) asked.members.push_back(id);
  }
  for (std::size_t i = 0; i < asked.members.size(); ++i) {
    for (const auto& [id, other] : directory.accounts) {
      if (!IsWithin(directory, id, asked.members[i])) continue;
      asked.query.projects.emplace_back(id, static_cast<std::int32_t>(i));
    }
  }
  asked.query.since_ms = asked.history.since_ms = asked.time.since_ms;
  asked.query.until_ms = asked.history.until_ms = asked.time.until_ms;
  asked.history.accounts = asked.members;
  return asked;
}

// Of a sibling that the caller may not see: what is told of another institution's jobs.
v1::ReportUsageRow Anonymous(const v1::ReportUsageRow& row) {
  v1::ReportUsageRow told;
  told.set_used_milli_gpu_ms(row.used_milli_gpu_ms());
  told.set_guaranteed_milli_gpu_ms(row.guaranteed_milli_gpu_ms());
  told.set_borrowed_milli_gpu_ms(row.borrowed_milli_gpu_ms());
  told.set_entitled_milli_gpu_ms(row.entitled_milli_gpu_ms());
  told.set_unused_milli_gpu_ms(row.unused_milli_gpu_ms());
  told.set_apart_milli_gpu_ms(row.apart_milli_gpu_ms());
  *told.mutable_waits() = row.waits();
  return told;
}

void Fill(const Caller& caller, const ShareQuestion& asked, const ReportFigures& figures,
          const std::vector<HistoryRow>& history, v1::ExplainShareResponse* response) {
  AccountFigures own;
  std::vector<v1::ReportUsageRow> rows(asked.members.size());
  for (const HistoryRow& hours : history) {
    if (hours.account == asked.account) own += hours.figures;
    const auto at = std::find(asked.members.begin(), asked.members.end(), hours.account);
    AddFigures(hours.figures, &rows[static_cast<std::size_t>(at - asked.members.begin())]);
  }
  for (const auto& [key, sums] : figures.rows) {
    v1::ReportUsageRow& row = rows.at(static_cast<std::size_t>(key.group));
    AddSums(sums, &row);
    SetWaits(sums.waits, row.mutable_waits());
  }
  std::vector<v1::ReportUsageRow> hidden;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const AccountId id = asked.members[i];
    if (!caller.everywhere && !caller.ReachesAccount(id)) {
      hidden.push_back(Anonymous(rows[i]));
      continue;
    }
    rows[i].add_group(PathOf(caller.directory(), id));
    (i == 0 ? *response->mutable_account() : *response->add_siblings()) = rows[i];
  }
  // In an order that tells nothing of whose they are.
  std::stable_sort(hidden.begin(), hidden.end(), [](const auto& a, const auto& b) {
    return a.guaranteed_milli_gpu_ms() + a.borrowed_milli_gpu_ms() >
           b.guaranteed_milli_gpu_ms() + b.borrowed_milli_gpu_ms();
  });
  for (std::size_t i = 0; i < hidden.size(); ++i) {
    hidden[i].add_group("another " + std::to_string(i + 1));
    *response->add_siblings() = hidden[i];
  }
  FillCauses(own, response);
}

// Versions in that time of the account itself, or of one above it.
void FillVersions(const Directory& directory, const ShareQuestion& asked,
                  const std::vector<AccountVersion>& history, v1::ExplainShareResponse* response) {
  std::set<std::int64_t> versions;
  for (const AccountVersion& version : history) {
    const bool then =
        version.time_ms >= asked.time.since_ms && version.time_ms < asked.time.until_ms;
    if (then && IsWithin(directory, asked.account, version.account.id)) {
      versions.insert(version.account.version);
    }
  }
  for (const std::int64_t version : versions) response->add_settings_versions(version);
}

// Each makes one report on its ground.
Result<void> Make(const Caller& caller, const ReportGround& ground, Reader& reader,
                  const v1::ReportUsageRequest& request, v1::ReportUsageResponse* response) {
  const auto asked = Read(caller, ground, request);
  if (!asked) return asked.error();
  const auto figures = reader.Report(asked->query);
  if (!figures) return figures.error();
  std::vector<HistoryRow> history;
  if (!asked->history.accounts.empty()) {
    auto rows = reader.History(asked->history);
    if (!rows) return rows.error();
    history = std::move(*rows);
  }
  FillUsage(*ground.directory, asked->by, asked->groups, asked->tops, *figures, history, response);
  *response->mutable_basis() = BasisOf(*figures, history, ground, asked->time);
  return {};
}

Result<void> Make(const Caller& caller, const ReportGround& ground, Reader& reader,
                  const v1::ReportEquityRequest& request, v1::ReportEquityResponse* response) {
  const auto asked = Read(caller, ground, request);
  if (!asked) return asked.error();
  const auto figures = reader.Report(asked->query);
  if (!figures) return figures.error();
  const auto history = reader.History(asked->history);
  if (!history) return history.error();
  const auto overrides = reader.Overrides(asked->time.since_ms, asked->time.until_ms);
  if (!overrides) return overrides.error();
  FillEquity(*ground.directory, asked->basis, asked->groups, *figures, *history, response);
  for (const auto& [kind, jobs] : OverridesOf(caller, *overrides)) {
    (*response->mutable_overrides())[kind] = jobs;
  }
  *response->mutable_basis() = BasisOf(*figures, *history, ground, asked->time);
  return {};
}

Result<void> Make(const Caller& caller, const ReportGround& ground, Reader& reader,
                  const v1::ExplainShareRequest& request, v1::ExplainShareResponse* response) {
  const auto asked = Read(caller, ground, request);
  if (!asked) return asked.error();
  const auto figures = reader.Report(asked->query);
  if (!figures) return figures.error();
  const auto history = reader.History(asked->history);
  if (!history) return history.error();
  const auto versions = reader.AccountHistory();
  if (!versions) return versions.error();
  Fill(caller, *asked, *figures, *history, response);
  FillVersions(caller.directory(), *asked, *versions, response);
  *response->mutable_basis() = BasisOf(*figures, *history, ground, asked->time);
  return {};
}

// `request` and `response` live until the reply.
template <class Request, class Response>
void Answer(Lane& lane, TimeMs now, const std::shared_ptr<const Caller>& caller, GroundAsked ground,
            const Request* request, Response* response, const Reply& reply) {
  lane.Work(caller->user,
            [caller, asked = std::move(ground), now, request, response, reply](Reader& reader) {
              const auto laid = LayGround(*caller, reader, asked, now);
              if (!laid) return reply.Fail(laid.error());
              const auto made = Make(*caller, *laid, reader, *request, response);
              if (!made) return reply.Fail(made.error());
              reply.Ok();
            });
}

}  // namespace

grpc::ServerUnaryReactor* QuotaServiceImpl::ReportUsage(grpc::CallbackServerContext* context,
                                                        const v1::ReportUsageRequest* request,
                                                        v1::ReportUsageResponse* response) {
  return Serve(context, parts_, Method("ReportUsage"), *request,
               ForThisCluster(settings_, request, [&](const auto& caller, const Reply& reply) {
                 Answer(*long_reads_, parts_.clock->Now(), caller, GroundOf(*request), request,
                        response, reply);
               }));
}

grpc::ServerUnaryReactor* QuotaServiceImpl::ReportEquity(grpc::CallbackServerContext* context,
                                                         const v1::ReportEquityRequest* request,
                                                         v1::ReportEquityResponse* response) {
  return Serve(context, parts_, Method("ReportEquity"), *request,
               ForThisCluster(settings_, request, [&](const auto& caller, const Reply& reply) {
                 Answer(*long_reads_, parts_.clock->Now(), caller, GroundOf(*request), request,
                        response, reply);
               }));
}

grpc::ServerUnaryReactor* QuotaServiceImpl::ExplainShare(grpc::CallbackServerContext* context,
                                                         const v1::ExplainShareRequest* request,
                                                         v1::ExplainShareResponse* response) {
  return Serve(context, parts_, Method("ExplainShare"), *request,
               ForThisCluster(settings_, request, [&](const auto& caller, const Reply& reply) {
                 Answer(*long_reads_, parts_.clock->Now(), caller, {}, request, response, reply);
               }));
}

}  // namespace kezek::rpc
