// Budgets and the ledger: what QuotaService shows of them, and corrections.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "kezek/names.h"
#include "rpc/account_convert.h"
#include "rpc/budget_rows.h"
#include "rpc/job_refs.h"
#include "rpc/node_convert.h"
#include "rpc/paging.h"
#include "rpc/quota_service.h"

namespace kezek::rpc {
namespace {

v1::LedgerKind KindOf(const LedgerEntry& entry) {
  switch (entry.kind) {
    case EntryKind::kPiece:
      return v1::LEDGER_KIND_PIECE;
    case EntryKind::kRedate:
      return v1::LEDGER_KIND_REDATE;
    case EntryKind::kCorrection:
      return entry.book == Book::kUsage ? v1::LEDGER_KIND_PIECE_CORRECTION
                                        : v1::LEDGER_KIND_OVERRUN;
    case EntryKind::kSettlement:
      return v1::LEDGER_KIND_SETTLEMENT;
    case EntryKind::kHold:
      return v1::LEDGER_KIND_HOLD;
    case EntryKind::kRelease:
      return v1::LEDGER_KIND_RELEASE;
    case EntryKind::kRefund:
      return v1::LEDGER_KIND_REFUND;
    case EntryKind::kGrant:
      return v1::LEDGER_KIND_GRANT;
    case EntryKind::kCarryOver:
      return v1::LEDGER_KIND_CARRY_OVER;
    case EntryKind::kExpiry:
      return v1::LEDGER_KIND_EXPIRY;
    case EntryKind::kAdjustment:
      return v1::LEDGER_KIND_CORRECTION;
    case EntryKind::kForeign:
      return v1::LEDGER_KIND_FOREIGN;
  }
  return v1::LEDGER_KIND_UNSPECIFIED;
}

EntryKind KindFrom(v1::LedgerKind kind) {
  for (int i = 0; i <= static_cast<int>(EntryKind::kForeign); ++i) {
    LedgerEntry entry;
    entry.kind = static_cast<EntryKind>(i);
    entry.book = kind == v1::LEDGER_KIND_PIECE_CORRECTION ? Book::kUsage : Book::kCharge;
    if (KindOf(entry) == kind) return entry.kind;
  }
  return EntryKind::kAdjustment;
}

// Whose they are is no matter of the account that pays for them.
bool SeesForeignJobs(const Caller& caller) {
  const auto& roles = caller.directory().users.at(caller.user).roles;
  return caller.everywhere && std::any_of(roles.begin(), roles.end(), [](const RoleGrant& grant) {
           return grant.role == Role::kClusterAdmin;
         });
}

v1::LedgerEntry ToWire(const Caller& caller, const std::string& cluster, const LedgerRow& row) {
  const Directory& directory = caller.directory();
  const LedgerEntry& entry = row.entry;
  v1::LedgerEntry wire;
  wire.set_seq(entry.seq);
  wire.set_time_ms(entry.time_ms);
  wire.set_book(static_cast<v1::LedgerBook>(static_cast<int>(entry.book) + 1));
  wire.set_kind(KindOf(entry));
  const AccountId account = entry.budget ? entry.budget.account : entry.project;
  if (directory.accounts.contains(account)) wire.set_account(PathOf(directory, account));
  wire.set_budget(entry.budget.name);
  wire.set_contra(entry.contra);
  wire.set_pot(std::string(NameOf(entry.pot)));
  wire.set_cluster(cluster);
  if (entry.attempt.job.id) wire.set_job(ToText(entry.attempt.job));
  wire.set_attempt(entry.attempt.number);
  const auto user = directory.users.find(entry.user);
  if (user != directory.users.end()) wire.set_user(user->second.name);
  wire.set_job_class(entry.job_class);
  wire.set_gpu_type(entry.gpu_type);
  wire.set_date_ms(entry.date_ms);
  wire.set_amount_milli_gpu_ms(entry.amount);
  wire.set_rate_milli(row.rate_milli);
  wire.set_factor_milli(row.factor_milli);
  wire.set_settings_version(entry.settings_version);
  if (entry.reason.code != ReasonCode::kNone) *wire.mutable_reason() = rpc::ToWire(entry.reason);
  wire.set_actor(entry.actor.empty() ? "kezek" : entry.actor);
  if (SeesForeignJobs(caller)) {
    wire.set_slurm_job_id(entry.foreign_job);
    wire.set_slurm_user(row.foreign_unix_account);
  }
  return wire;
}

v1::Correction ToWire(const Caller& caller, const Correction& correction) {
  const Directory& directory = caller.directory();
  v1::Correction wire;
  wire.set_id(correction.id);
  v1::ProposeCorrectionRequest& request = *wire.mutable_request();
  request.set_account(PathOf(directory, correction.budget.account));
  request.set_budget(correction.budget.name);
  request.set_gpu_type(correction.gpu_type);
  request.set_amount_milli_gpu_ms(correction.amount);
  if (correction.job.id) request.set_job(ToText(correction.job));
  request.set_reason(correction.reason);
  wire.set_state(static_cast<v1::CorrectionState>(static_cast<int>(correction.state) + 1));
  wire.set_proposed_by(correction.proposed_by);
  wire.set_proposed_ms(correction.proposed_ms);
  wire.set_decided_by(correction.decided_by);
  wire.set_decided_ms(correction.decided_ms);
  wire.set_ledger_seq(correction.ledger_seq);
  return wire;
}

// What the caller may see of what is asked for; one row more than the page, to know of the next.
Result<LedgerQuery> PlanListing(const Caller& caller, const v1::ListLedgerRequest& request) {
  const auto place = PlaceOf(request.page());
  if (!place) return place.error();
  LedgerQuery query;
  query.limit = place->size + 1;
  query.before_seq = place->behind;
  AccountId top = kRootAccount;
  if (!request.account().empty()) {
    const auto account = FindVisibleAccount(caller, request.account(), "account");
    if (!account) return account.error();
    top = *account;
  }
  const Directory& directory = caller.directory();
  const bool all = caller.everywhere && top == kRootAccount;
  for (const auto& [id, account] : directory.accounts) {
    const bool reached = caller.everywhere || caller.ReachesAccount(id);
    if (!all && reached && IsWithin(directory, id, top)) query.accounts.push_back(id);
  }
  std::string user = request.user();
  if (!all && query.accounts.empty()) {  // what is the caller's own, wherever it is
    if (!caller.own || (!user.empty() && user != caller.name)) {
      return NotFound("ACCOUNT_NOT_FOUND", "account", "there is nothing of it that you may see");
    }
    user = caller.name;
  }
  if (!user.empty()) {
    const auto found = directory.user_by_name.find(user);
    query.users = {found == directory.user_by_name.end() ? UserId{-1} : found->second};
  }
  if (!request.job().empty()) {
    const auto job = ParseJob(request.job(), "job");
    if (!job) return job.error();
    query.job = *job;
  }
  for (const int kind : request.kinds()) {
    if (!v1::LedgerKind_IsValid(kind)) return Invalid("kinds", "is not a known kind");
    if (kind == v1::LEDGER_KIND_UNSPECIFIED) continue;
    query.kinds.push_back(KindFrom(static_cast<v1::LedgerKind>(kind)));
  }
  if (!v1::LedgerBook_IsValid(request.book())) return Invalid("book", "is not a known book");
  if (request.book() != v1::LEDGER_BOOK_UNSPECIFIED) {
    query.books = {static_cast<Book>(static_cast<int>(request.book()) - 1)};
  }
  query.since_ms = request.time().since_ms();
  query.until_ms = request.time().until_ms();
  return query;
}

Result<Correction> DraftOf(const Caller& caller, const v1::ProposeCorrectionRequest& request) {
  const auto account = FindVisibleAccount(caller, request.account(), "account");
  if (!account) return account.error();
  if (request.reason().empty()) return Invalid("reason", "say why, for the record");
  constexpr std::int64_t kMost = std::int64_t{10'000'000} * 1000 * kHourMs;
  const std::int64_t amount = request.amount_milli_gpu_ms();
  if (amount == 0) {
    return Invalid("amount_milli_gpu_ms", "is positive to charge, negative to give back");
  }
  if (amount > kMost || amount < -kMost) {
    return Invalid("amount_milli_gpu_ms", "at most 10 million GPU-hours at once");
  }
  if (!caller.directory().rate_milli.contains(request.gpu_type())) {
    return Invalid("gpu_type", "this cluster has no '" + request.gpu_type() + "'");
  }
  Correction draft;
  draft.budget = {*account, request.budget()};
  draft.gpu_type = request.gpu_type();
  draft.amount = amount;
  draft.reason = request.reason();
  if (!request.job().empty()) {
    const auto job = ParseJob(request.job(), "job");
    if (!job) return job.error();
    draft.job = *job;
  }
  return draft;
}

// Answered with the correction as it is stored then.
void Change(const std::shared_ptr<const Caller>& caller, const Parts& parts, CommandBody body,
            v1::Correction* response, const Reply& reply) {
  parts.desk->Do({caller->user, caller->name, std::move(body)},
                 [caller, parts, response, reply](const Result<CommandOutcome>& outcome) {
                   if (!outcome) return reply.Fail(outcome.error());
                   const std::int64_t id = outcome->ids.empty() ? 0 : outcome->ids.front();
                   parts.read->Read([caller, id, response, reply](Reader& reader) {
                     const auto correction = reader.GetCorrection(id);
                     if (!correction) return reply.Fail(correction.error());
                     *response = ToWire(*caller, *correction);
                     reply.Ok();
                   });
                 });
}

}  // namespace

grpc::ServerUnaryReactor* QuotaServiceImpl::ListBudgets(grpc::CallbackServerContext* context,
                                                        const v1::ListBudgetsRequest* request,
                                                        v1::ListBudgetsResponse* response) {
  return Serve(
      context, parts_, Method("ListBudgets"), *request,
      ForThisCluster(settings_, request, [&](const auto& caller, const Reply& reply) {
        auto wanted = BudgetsOf(*caller, request->account(),
                                {.below = request->below(), .all_periods = request->all_periods()});
        if (!wanted) return reply.Fail(wanted.error());
        ReadLong(*caller, [caller, wanted = std::move(*wanted), response, reply](Reader& reader) {
          reply.Finish(AddBudgets(*caller, wanted, reader, response->mutable_budgets()));
        });
      }));
}

grpc::ServerUnaryReactor* QuotaServiceImpl::ListCorrections(
    grpc::CallbackServerContext* context, const v1::ListCorrectionsRequest* request,
    v1::ListCorrectionsResponse* response) {
  return Serve(
      context, parts_, Method("ListCorrections"), *request,
      ForThisCluster(settings_, request, [&](const auto& caller, const Reply& reply) {
        const auto place = PlaceOf(request->page());
        if (!place) return reply.Fail(place.error());
        const CorrectionQuery query{
            .decided = request->decided(), .before_id = place->behind, .limit = place->size + 1};
        parts_.read->Read([caller, query, response, reply](Reader& reader) {
          const auto rows = reader.ListCorrections(query);
          if (!rows) return reply.Fail(rows.error());
          const auto most = static_cast<std::size_t>(query.limit) - 1;
          for (std::size_t i = 0; i < rows->size() && i < most; ++i) {
            *response->add_corrections() = ToWire(*caller, rows->at(i));
          }
          if (rows->size() > most) {
            response->mutable_page()->set_next_token(std::to_string(rows->at(most - 1).id));
          }
          reply.Ok();
        });
      }));
}

grpc::ServerUnaryReactor* QuotaServiceImpl::ListLedger(grpc::CallbackServerContext* context,
                                                       const v1::ListLedgerRequest* request,
                                                       v1::ListLedgerResponse* response) {
  return Serve(context, parts_, Method("ListLedger"), *request,
               ForThisCluster(settings_, request, [&](const auto& caller, const Reply& reply) {
                 auto query = PlanListing(*caller, *request);
                 if (!query) return reply.Fail(query.error());
                 ReadLong(*caller, [caller, query = *query, cluster = settings_.cluster, response,
                                    reply](Reader& reader) {
                   const auto rows = reader.ListLedger(query);
                   if (!rows) return reply.Fail(rows.error());
                   const auto most = static_cast<std::size_t>(query.limit) - 1;
                   for (std::size_t i = 0; i < rows->size() && i < most; ++i) {
                     *response->add_entries() = ToWire(*caller, cluster, rows->at(i));
                   }
                   if (rows->size() > most) {
                     const std::int64_t last = rows->at(most - 1).entry.seq;
                     response->mutable_page()->set_next_token(std::to_string(last));
                   }
                   reply.Ok();
                 });
               }));
}

grpc::ServerUnaryReactor* QuotaServiceImpl::ProposeCorrection(
    grpc::CallbackServerContext* context, const v1::ProposeCorrectionRequest* request,
    v1::Correction* response) {
  return Serve(
      context, parts_, Method("ProposeCorrection"), *request,
      ForThisCluster(settings_, request, [&](const auto& caller, const Reply& reply) {
        auto draft = DraftOf(*caller, *request);
        if (!draft) return reply.Fail(draft.error());
        const Parts parts = parts_;
        parts_.read->Read(
            [caller, parts, draft = std::move(*draft), response, reply](Reader& reader) mutable {
              if (draft.job.id) {
                const auto job = reader.GetJob(draft.job);
                if (!job) return reply.Fail(job.error());
                if (!IsWithin(caller->directory(), job->job.spec->project, draft.budget.account)) {
                  return reply.Fail(Invalid("job", "is of a project that is not in this account"));
                }
                draft.user = job->job.user;
              }
              Change(caller, parts, kezek::ProposeCorrection{std::move(draft)}, response, reply);
            });
      }));
}

grpc::ServerUnaryReactor* QuotaServiceImpl::DecideCorrection(
    grpc::CallbackServerContext* context, const v1::DecideCorrectionRequest* request,
    v1::Correction* response) {
  return Serve(context, parts_, Method("DecideCorrection"), *request,
               ForThisCluster(settings_, request, [&](const auto& caller, const Reply& reply) {
                 if (request->id() <= 0) return reply.Fail(Invalid("id", "say which correction"));
                 Change(
                     caller, parts_,
                     kezek::DecideCorrection{request->id(), request->approve(), request->reason()},
                     response, reply);
               }));
}

}  // namespace kezek::rpc
