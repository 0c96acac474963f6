// admin ledger: the entries behind every figure, latest first.
#include <kezek/v1/ledger.pb.h>
#include <kezek/v1/quota.pb.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "cmd/kezek/help.h"
#include "cmd/kezek/nodes.h"
#include "cmd/kezek/render.h"
#include "cmd/kezek/report.h"
#include "cmd/kezek/usage_error.h"
#include "cmd/kezek/way_out.h"

namespace kezek::cli {
namespace {

constexpr int kEntriesPage = 1000;

struct LedgerFlags {
  std::string account;
  std::string job;
  std::string user;
  std::string book;
  std::vector<std::string> kinds;
  ReportTimes times;
  int limit = 100;
};

const std::vector<std::string>& Books() {
  static const std::vector<std::string> books = {"usage", "charge", "budget"};
  return books;
}

// In the order of v1::LedgerKind, which begins with "not set".
const std::vector<std::string>& EntryKinds() {
  static const std::vector<std::string> kinds = {
      "piece", "redate",     "piece-correction", "settlement", "hold",    "release", "refund",
      "grant", "carry-over", "expiry",           "correction", "overrun", "foreign"};
  return kinds;
}

template <class Enum>
Enum NumberOf(const std::vector<std::string>& names, const std::string& name) {
  const auto found = std::find(names.begin(), names.end(), name);
  return static_cast<Enum>(found - names.begin() + 1);
}

// Empty: a newer daemon's.
std::string NameOf(const std::vector<std::string>& names, int number) {
  const bool known = number > 0 && number <= static_cast<int>(names.size());
  return known ? names[static_cast<std::size_t>(number - 1)] : "";
}

std::string Signed(std::int64_t amount) {
  return (amount < 0 ? "-" : "") + GpuHours(amount < 0 ? -amount : amount);
}

void PrintLedgerCsv(const Host& host, const v1::ListLedgerResponse& all) {
  PrintCsv(host, {"seq",        "time_ms",      "book",
                  "kind",       "account",      "budget",
                  "contra",     "pot",          "job",
                  "attempt",    "user",         "class",
                  "gpu_type",   "date_ms",      "amount_milli_gpu_ms",
                  "rate_milli", "factor_milli", "settings_version",
                  "reason",     "actor",        "slurm_job_id",
                  "slurm_user"});
  for (const v1::LedgerEntry& entry : all.entries()) {
    PrintCsv(host, {std::to_string(entry.seq()),
                    std::to_string(entry.time_ms()),
                    NameOf(Books(), entry.book()),
                    NameOf(EntryKinds(), entry.kind()),
                    entry.account(),
                    entry.budget(),
                    entry.contra(),
                    entry.pot(),
                    entry.job(),
                    std::to_string(entry.attempt()),
                    entry.user(),
                    entry.job_class(),
                    entry.gpu_type(),
                    std::to_string(entry.date_ms()),
                    std::to_string(entry.amount_milli_gpu_ms()),
                    std::to_string(entry.rate_milli()),
                    std::to_string(entry.factor_milli()),
                    std::to_string(entry.settings_version()),
                    entry.reason().code(),
                    entry.actor(),
                    std::to_string(entry.slurm_job_id()),
                    entry.slurm_user()});
  }
}

std::string JobCell(const v1::LedgerEntry& entry) {
  if (entry.kind() == v1::LEDGER_KIND_FOREIGN) {
    const std::int64_t id = entry.slurm_job_id();
    return id == 0 ? "(not Kezek's)" : "(Slurm's " + std::to_string(id) + ")";
  }
  if (entry.job().empty()) return "";
  return entry.job() + (entry.attempt() > 0 ? "/" + std::to_string(entry.attempt()) : "");
}

void PrintLedgerTable(Session& session, const v1::ListLedgerResponse& all) {
  const Host& host = session.host;
  Table table({"SEQ", "BOOKED", "BOOK", "KIND", "GPU-H", "ACCOUNT", "BUDGET", "FROM", "TO", "JOB",
               "USER", "VERSION", "BY"});
  table.MayLeaveOut({"VERSION", "BY", "USER", "BOOK"});
  if (session.format() == Format::kWide) table.KeepWhole();
  for (const v1::LedgerEntry& entry : all.entries()) {
    table.Add({std::to_string(entry.seq()), ExactMoment(entry.time_ms()),
               NameOf(Books(), entry.book()), NameOf(EntryKinds(), entry.kind()),
               Signed(entry.amount_milli_gpu_ms()),
               entry.account().empty() ? "(all)" : entry.account(), entry.budget(), entry.contra(),
               entry.pot(), JobCell(entry),
               entry.slurm_user().empty() ? entry.user() : entry.slurm_user(),
               std::to_string(entry.settings_version()), entry.actor()});
  }
  table.Print(host);
  if (all.page().next_token().empty() || !host.out_is_terminal) return;
  *host.out << "There are more: --limit, --since and --until choose\n";
}

Result<int> RunLedger(Session& session, const LedgerFlags& flags) {
  v1::ListLedgerRequest request;
  request.set_account(flags.account);
  request.set_job(flags.job);
  request.set_user(flags.user);
  if (!flags.book.empty()) request.set_book(NumberOf<v1::LedgerBook>(Books(), flags.book));
  for (const std::string& kind : flags.kinds) {
    request.add_kinds(NumberOf<v1::LedgerKind>(EntryKinds(), kind));
  }
  if (const auto times = ReadTimes(session.host, flags.times, request.mutable_time()); !times) {
    return times.error();
  }
  v1::ListLedgerResponse all;
  do {
    request.mutable_page()->set_size(std::min(kEntriesPage, flags.limit - all.entries_size()));
    auto page = Ask<v1::ListLedgerResponse>(session, request);
    if (!page) return WithFlags(page.error(), {{"job", "--job"}, {"time", "--since"}});
    all.mutable_entries()->MergeFrom(page->entries());
    *all.mutable_page() = page->page();
    request.mutable_page()->set_token(page->page().next_token());
  } while (!request.page().token().empty() && all.entries_size() < flags.limit);
  const Host& host = session.host;
  if (IsCsv(session)) {
    PrintLedgerCsv(host, all);
  } else if (session.format() == Format::kName) {
    for (const v1::LedgerEntry& entry : all.entries()) *host.out << entry.seq() << '\n';
  } else if (!PrintMessage(host, session.format(), all)) {
    PrintLedgerTable(session, all);
  }
  return kDone;
}

}  // namespace

void AddAdminLedger(CLI::App& admin, Session& session) {
  CLI::App* command = admin.add_subcommand("ledger", "the entries behind every figure");
  const auto flags = std::make_shared<LedgerFlags>();
  command->add_option("ACCOUNT", flags->account,
                      "account and all below it; without: all you may see");
  command->add_option("--job", flags->job, "only of this job")->type_name("JOB");
  command->add_option("--user", flags->user, "only of this user's jobs")->type_name("USER");
  command->add_option("--book", flags->book, "only this book")
      ->type_name(Bars(Books()))
      ->check(OneOf(Books()));
  command->add_option("--kind", flags->kinds, "only these kinds, joined by commas")
      ->type_name("KIND")
      ->delimiter(',')
      ->check(OneOf(EntryKinds()));
  flags->times.AddTo(*command);
  command->add_option("--limit", flags->limit, "entries at most; 100 if not given")
      ->type_name("N")
      ->check(Between(1, 1'000'000));
  command->footer(
      "Latest first. An entry adds GPU-H to its account, or inside of a budget to the pot TO, and\n"
      "takes them FROM the other side, so that every book sums to zero. -o csv has all fields.\n"
      "Kinds: piece, redate, piece-correction, settlement, hold, release, refund, grant,\n"
      "carry-over, expiry, correction, overrun, foreign (a job in Slurm that is not Kezek's).\n"
      "Examples:\n"
      "  kezek admin ledger universities/kaznu --kind refund,correction --since 7d\n"
      "  kezek admin ledger --job 48211 --book budget -o csv");
  command->callback([&session, flags] {
    session.action = [&session, flags] { return RunLedger(session, *flags); };
  });
}

}  // namespace kezek::cli
