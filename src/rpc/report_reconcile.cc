// ReportReconcile: Kezek's attempts beside the records of Slurm's accounting.
#include <future>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "rpc/account_past.h"
#include "rpc/quota_service.h"
#include "rpc/reconcile.h"

namespace kezek::rpc {
namespace {

// What has just ended may not have reached slurmdbd yet.
constexpr DurationMs kTooFresh = kMinuteMs;

std::string SmallLetters(std::string name) {
  for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return name;
}

// Where attempts were booked under the settings of their time. Keeps what it has worked out.
class BookingsOfVersions {
 public:
  explicit BookingsOfVersions(std::vector<AccountVersion> history) : history_(std::move(history)) {}

  ClusterBooking Find(AccountId project, std::int64_t version) {
    auto [at, fresh] = by_version_.try_emplace(version);
    if (fresh) {
      if (auto accounts = AccountsAt(history_, version, "")) at->second = std::move(*accounts);
    }
    ClusterBooking booking;
    for (AccountId id = project; id;) {
      const auto account = at->second.find(id);
      if (account == at->second.end()) break;
      const AccountSettings& settings = account->second.settings;
      if (booking.account.empty()) booking.account = SmallLetters(settings.slurm_account);
      if (booking.qos.empty()) booking.qos = SmallLetters(settings.slurm_qos);
      id = account->second.parent;
    }
    return booking;
  }

 private:
  std::vector<AccountVersion> history_;
  std::map<std::int64_t, std::map<AccountId, Account>> by_version_;
};

Result<std::vector<AccountVersion>> HistoryNow(ReadStore& store) {
  std::promise<Result<std::vector<AccountVersion>>> promise;
  auto history = promise.get_future();
  store.Read([&promise](Reader& reader) { promise.set_value(reader.AccountHistory()); });
  return history.get();
}

// A day until now, unless it is asked otherwise.
Result<ReconcileQuestion> ReadQuestion(const v1::TimeRange& time, TimeMs now) {
  ReconcileQuestion question;
  question.until_ms = time.until_ms() == 0 ? now : time.until_ms();
  question.since_ms = time.since_ms() == 0 ? question.until_ms - kDayMs : time.since_ms();
  if (time.since_ms() < 0 || time.until_ms() < 0) return Invalid("time", "must not be negative");
  if (question.since_ms >= question.until_ms) return Invalid("time", "ends before it begins");
  question.until_ms = std::min(question.until_ms, now - kTooFresh);
  question.since_ms = std::min(question.since_ms, question.until_ms);
  return question;
}

Result<void> RunReconcile(const Parts& parts, ReconcileQuestion question,
                          const std::atomic<bool>& stopping,
                          v1::ReportReconcileResponse* response) {
  auto history = HistoryNow(*parts.read);
  if (!history) return history.error();
  BookingsOfVersions bookings(std::move(*history));
  question.booking_of = [&bookings](AccountId project, std::int64_t version) {
    return bookings.Find(project, version);
  };
  const auto attempts = parts.attempts->Open(question.since_ms, question.until_ms);
  if (!attempts) return attempts.error();
  return Reconcile(question, *parts.books, **attempts, stopping, response);
}

}  // namespace

grpc::ServerUnaryReactor* QuotaServiceImpl::ReportReconcile(
    grpc::CallbackServerContext* context, const v1::ReportReconcileRequest* request,
    v1::ReportReconcileResponse* response) {
  const auto handle = [&](const std::shared_ptr<const Caller>& caller, const Reply& reply) {
    const TimeMs now = parts_.clock->Now();
    auto question = ReadQuestion(request->time(), now);
    if (!question) return reply.Fail(question.error());
    question->tag_prefix = "kezek:" + settings_.installation + ":";
    if (parts_.books == nullptr || parts_.attempts == nullptr) {
      return reply.Fail(
          FieldProblem(Code::kFailedPrecondition,
                       {"", "NO_BOOKS", "this kezekd does not look at Slurm's accounting", {}}));
    }
    v1::ReportBasis& basis = *response->mutable_basis();
    basis.mutable_time()->set_since_ms(question->since_ms);
    basis.mutable_time()->set_until_ms(question->until_ms);
    basis.set_made_ms(now);
    basis.set_settings_version(caller->directory().settings_version);
    const auto started = site_.Start([this, question = std::move(*question), response,
                                      reply](const std::atomic<bool>& stopping) {
      reply.Finish(RunReconcile(parts_, question, stopping, response));
    });
    if (!started) reply.Fail(started.error());
  };
  return Serve(context, parts_, Method("ReportReconcile"), *request,
               ForThisCluster(settings_, request, handle));
}

}  // namespace kezek::rpc
