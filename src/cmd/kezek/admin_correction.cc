// admin correction: books on the ledger what no job can, by two people.
#include <kezek/v1/ledger.pb.h>
#include <kezek/v1/quota.pb.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>
#include <string>

#include "cmd/kezek/commands.h"
#include "cmd/kezek/nodes.h"
#include "cmd/kezek/render.h"
#include "cmd/kezek/unit_words.h"
#include "cmd/kezek/usage_error.h"
#include "cmd/kezek/way_out.h"

namespace kezek::cli {
namespace {

constexpr std::int64_t kHourMs = 3'600'000;

struct CorrectionFlags {
  std::string account;
  std::string budget;
  std::string gpu_type;
  std::string charge;
  std::string give_back;
  std::string job;
  std::string reason;
  std::int64_t id = 0;
  bool all = false;
};

constexpr std::int64_t kMostMilliGpuHours = 10'000'000'000;  // as the server has it

Result<std::int64_t> Amount(const CorrectionFlags& flags) {
  if (flags.charge.empty() == flags.give_back.empty()) {
    return Error{Code::kInvalidArgument, "say --charge or --give-back, one of them", {}};
  }
  const bool charges = flags.give_back.empty();
  const auto* hours = v1::BudgetSpec::descriptor()->FindFieldByName("milli_gpu_hours");
  const Result<std::int64_t> milli =
      ValueWithoutUnit(*hours, charges ? flags.charge : flags.give_back);
  if (!milli) {
    return Error{
        milli.error().code, (charges ? "--charge: " : "--give-back: ") + milli.error().message, {}};
  }
  if (*milli == 0) {
    return Error{Code::kInvalidArgument,
                 std::string(charges ? "--charge" : "--give-back") + ": say how much, above 0",
                 {}};
  }
  if (*milli > kMostMilliGpuHours) {
    return Error{Code::kInvalidArgument,
                 std::string(charges ? "--charge" : "--give-back") +
                     ": at most 10 million GPU-hours at once",
                 {}};
  }
  return (charges ? *milli : -*milli) * kHourMs;
}

// `12.5 GPU-h of h200 charged to budget 2026-Q4 of universities/kaznu`.
std::string Booking(const v1::ProposeCorrectionRequest& request) {
  const std::int64_t amount = request.amount_milli_gpu_ms();
  std::string text = GpuHours(amount < 0 ? -amount : amount) + " GPU-h of " + request.gpu_type();
  text += amount < 0 ? " given back to " : " charged to ";
  if (!request.budget().empty()) text += "budget " + request.budget() + " of ";
  return text + (request.account().empty() ? "(all)" : request.account());
}

std::string StateOf(const v1::Correction& correction) {
  return Words(v1::CorrectionState_Name(correction.state()), sizeof("CORRECTION_STATE_") - 1);
}

Result<int> Print(Session& session, const v1::Correction& correction) {
  const Host& host = session.host;
  if (PrintMessage(host, session.format(), correction)) return kDone;
  if (session.format() == Format::kName) {
    *host.out << correction.id() << '\n';
    return kDone;
  }
  const std::string number = std::to_string(correction.id());
  *host.out << "Correction " << number << " is " << StateOf(correction) << ": "
            << Booking(correction.request()) << ".\n";
  if (correction.state() == v1::CORRECTION_STATE_PROPOSED) {
    *host.out << "Another cluster admin decides: kezek admin correction approve " << number << '\n';
  }
  return kDone;
}

Result<int> RunListCorrections(Session& session, const CorrectionFlags& flags) {
  v1::ListCorrectionsRequest request;
  request.set_decided(flags.all);
  request.mutable_page()->set_size(1000);
  v1::ListCorrectionsResponse all;
  do {
    auto page = Ask<v1::ListCorrectionsResponse>(session, request);
    if (!page) return page.error();
    all.mutable_corrections()->MergeFrom(page->corrections());
    request.mutable_page()->set_token(page->page().next_token());
  } while (!request.page().token().empty());
  const Host& host = session.host;
  if (PrintMessage(host, session.format(), all)) return kDone;
  std::vector<std::string> headings = {"ID",     "STATE", "GPU-H",       "TYPE", "ACCOUNT",
                                       "BUDGET", "JOB",   "PROPOSED BY", "WHY"};
  if (flags.all) headings.insert(headings.end(), {"DECIDED BY", "DECIDED"});
  Table table(headings);
  table.MayCut({"WHY"});
  table.MayLeaveOut({"TYPE", "JOB"});
  if (session.format() == Format::kWide) table.KeepWhole();
  for (const v1::Correction& correction : all.corrections()) {
    if (session.format() == Format::kName) {
      *host.out << correction.id() << '\n';
      continue;
    }
    const v1::ProposeCorrectionRequest& request_of = correction.request();
    std::vector<std::string> cells = {std::to_string(correction.id()),
                                      StateOf(correction),
                                      GpuHours(request_of.amount_milli_gpu_ms()),
                                      request_of.gpu_type(),
                                      request_of.account().empty() ? "(all)" : request_of.account(),
                                      request_of.budget(),
                                      request_of.job(),
                                      correction.proposed_by(),
                                      request_of.reason()};
    if (flags.all) {
      cells.insert(cells.end(), {correction.decided_by(), Moment(host, correction.decided_ms())});
    }
    table.Add(std::move(cells));
  }
  if (session.format() != Format::kName) table.Print(host);
  return kDone;
}

// The budget's, if it has one; else the cluster's first.
Result<std::string> GpuTypeFor(Session& session, const CorrectionFlags& flags) {
  if (!flags.budget.empty()) {
    v1::ListBudgetsRequest request;
    request.set_account(flags.account);
    request.set_all_periods(true);
    const auto budgets = Ask<v1::ListBudgetsResponse>(session, request);
    if (!budgets) return budgets.error();
    for (const v1::Budget& budget : budgets->budgets()) {
      const bool is_it = budget.account() == flags.account && budget.spec().name() == flags.budget;
      if (is_it && !budget.spec().gpu_type().empty()) return budget.spec().gpu_type();
    }
  }
  return DefaultGpuType(session);
}

Result<int> RunPropose(Session& session, const CorrectionFlags& flags) {
  const Result<std::int64_t> amount = Amount(flags);
  if (!amount) return amount.error();
  v1::ProposeCorrectionRequest request;
  request.set_account(flags.account);
  request.set_budget(flags.budget);
  request.set_gpu_type(flags.gpu_type);
  request.set_amount_milli_gpu_ms(*amount);
  request.set_job(flags.job);
  request.set_reason(flags.reason);
  if (flags.gpu_type.empty()) {
    const Result<std::string> type = GpuTypeFor(session, flags);
    if (!type) return type.error();
    request.set_gpu_type(*type);
  }
  const auto answer = Ask<v1::Correction>(session, request, Repeat::kNo);
  if (!answer) {
    return WithFlags(answer.error(),
                     {{"gpu_type", "--gpu-type"}, {"budget", "--budget"}, {"job", "--job"}});
  }
  return Print(session, *answer);
}

Result<int> RunDecide(Session& session, const CorrectionFlags& flags, bool approve) {
  v1::DecideCorrectionRequest request;
  request.set_id(flags.id);
  request.set_approve(approve);
  request.set_reason(flags.reason);
  const auto answer = Ask<v1::Correction>(session, request, Repeat::kNo);
  if (!answer) return WithFlags(answer.error(), {{"id", ""}, {"amount_milli_gpu_ms", ""}});
  return Print(session, *answer);
}

void AddPropose(CLI::App& correction, Session& session,
                const std::shared_ptr<CorrectionFlags>& flags) {
  CLI::App* propose = correction.add_subcommand("propose", "say what is to be booked, and why");
  propose->add_option("ACCOUNT", flags->account, "account it is booked on")->required();
  propose->add_option("--charge", flags->charge, "what it has used and was not charged")
      ->type_name("GPU-HOURS");
  propose->add_option("--give-back", flags->give_back, "what it was charged and has not used")
      ->type_name("GPU-HOURS");
  propose->add_option("--budget", flags->budget, "budget of the account, too; else usage only")
      ->type_name("NAME");
  propose
      ->add_option("--gpu-type", flags->gpu_type,
                   "the budget's, or the cluster's first, if not given")
      ->type_name("TYPE");
  propose->add_option("--job", flags->job, "job that it is about")->type_name("JOB");
  propose->add_option("--reason", flags->reason, "why, for the record")
      ->type_name("TEXT")
      ->required();
  propose->footer(
      "Nothing is booked before another cluster admin has approved it.\n"
      "Examples:\n"
      "  kezek admin correction propose universities/kaznu --budget 2026-Q4 --give-back 12.5 \\\n"
      "    --job 48211 --reason 'the file system was away'");
  propose->callback([&session, flags] {
    session.action = [&session, flags] { return RunPropose(session, *flags); };
  });
}

void AddList(CLI::App& correction, Session& session,
             const std::shared_ptr<CorrectionFlags>& flags) {
  CLI::App* list = correction.add_subcommand("list", "those that wait for a second admin");
  list->add_flag("--all", flags->all, "with those that have been decided");
  list->footer(
      "GPU-H is charged where it is positive, and given back where it is negative.\n"
      "Examples:\n"
      "  kezek admin correction list\n"
      "  kezek admin correction list --all -o wide");
  list->callback([&session, flags] {
    session.action = [&session, flags] { return RunListCorrections(session, *flags); };
  });
}

void AddDecide(CLI::App& correction, Session& session,
               const std::shared_ptr<CorrectionFlags>& flags, bool approve) {
  CLI::App* decide =
      approve ? correction.add_subcommand("approve", "book what another admin has proposed")
              : correction.add_subcommand("decline", "leave it unbooked");
  decide->add_option("ID", flags->id, "as 'list' numbers them")->required();
  CLI::Option* reason =
      decide->add_option("--reason", flags->reason, "why, for the record")->type_name("TEXT");
  if (!approve) reason->required();
  decide->footer(approve ? "Examples:\n"
                           "  kezek admin correction approve 7"
                         : "Examples:\n"
                           "  kezek admin correction decline 7 --reason 'was refunded already'");
  decide->callback([&session, flags, approve] {
    session.action = [&session, flags, approve] { return RunDecide(session, *flags, approve); };
  });
}

}  // namespace

void AddAdminCorrection(CLI::App& admin, Session& session) {
  CLI::App* correction =
      admin.add_subcommand("correction", "corrections of the ledger, which take two admins");
  correction->require_subcommand(1);
  const auto flags = std::make_shared<CorrectionFlags>();
  AddList(*correction, session, flags);
  AddPropose(*correction, session, flags);
  AddDecide(*correction, session, flags, true);
  AddDecide(*correction, session, flags, false);
}

}  // namespace kezek::cli
