// admin apply, export, history, revert: the settings of all accounts as a file, and their versions.
#include <kezek/v1/quota.pb.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <ostream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "cmd/kezek/accounts_file.h"
#include "cmd/kezek/change_text.h"
#include "cmd/kezek/commands.h"
#include "cmd/kezek/read_input.h"
#include "cmd/kezek/render.h"
#include "cmd/kezek/times.h"
#include "cmd/kezek/usage_error.h"
#include "cmd/kezek/what_if_text.h"

namespace kezek::cli {
namespace {

struct ApplyFlags {
  std::string file;
  std::string complete_below;
  std::string reason;
  bool plan = false;
  bool what_if = false;
  bool yes = false;
};

// The settings version of the tree as it is.
Result<std::int64_t> VersionNow(Session& session) {
  v1::ListAccountsRequest request;
  request.mutable_page()->set_size(1);
  auto answer = Ask<v1::ListAccountsResponse>(session, request);
  if (!answer) return answer.error();
  return answer->settings_version();
}

bool ForPeople(const Session& session) {
  return session.format() == Format::kTable || session.format() == Format::kWide;
}

void PrintPlan(Session& session, const v1::ApplyAccountsResponse& plan, bool what_if) {
  const Host& host = session.host;
  for (const v1::Reason& warning : plan.warnings()) PrintWarning(host, warning.sentence());
  if (PrintMessage(host, session.format(), plan)) return;
  if (session.format() != Format::kName) {
    for (const v1::FieldChange& change : plan.changes()) PrintChange(host, change);
    if (what_if) PrintWhatIf(session, plan.what_if());
    return;
  }
  std::string last = "\n";  // no account has this path
  for (const v1::FieldChange& change : plan.changes()) {
    if (change.account() != last) *host.out << change.account() << '\n';
    last = change.account();
  }
}

struct Asking {
  bool plan_only = false;
  bool what_if = false;
  bool yes = false;
  bool input_is_data = false;
  std::string reason;
  std::string nothing;            // what is said when there is nothing to do
  std::int64_t base_version = 0;  // what the request was made from; 0: the settings as they are
};

// Shows what a request would change, asks, and carries it out.
template <class Request, class Explain>
Result<int> PlanAndDo(Session& session, Request request, const Asking& asking, Explain explain) {
  const Host& host = session.host;
  const Result<std::int64_t> version =
      asking.base_version > 0 ? asking.base_version : VersionNow(session);
  if (!version) return version.error();
  request.set_base_version(*version);
  request.set_reason(asking.reason);
  request.set_plan_only(true);
  request.set_what_if(asking.what_if);
  auto plan = Ask<v1::ApplyAccountsResponse>(session, request);
  if (!plan) return explain(plan.error());
  if (plan->changes().empty() && ForPeople(session)) {
    for (const v1::Reason& warning : plan->warnings()) PrintWarning(host, warning.sentence());
    *host.out << (plan->warnings().empty() ? asking.nothing : "Nothing else differs.") << '\n';
    return kDone;
  }
  if (!asking.yes || asking.plan_only || ForPeople(session)) {
    PrintPlan(session, *plan, asking.what_if);
  }
  if (plan->changes().empty() || asking.plan_only) return kDone;
  if (!MayApply(host, asking.yes, asking.input_is_data, plan->changes_size())) {
    const bool was_asked = host.out_is_terminal && !asking.input_is_data;
    return was_asked ? kDone : kUsage;
  }
  request.set_plan_only(false);
  request.set_what_if(false);
  auto applied = Ask<v1::ApplyAccountsResponse>(session, request, Repeat::kNo);
  if (!applied) return explain(applied.error());
  if (ForPeople(session)) {
    *host.out << "Applied as version " << applied->settings_version() << " of the settings.\n";
  } else {
    if (asking.what_if) *applied->mutable_what_if() = plan->what_if();
    PrintPlan(session, *applied, false);
  }
  return kDone;
}

// Nobody changes anything without a reason; to look at what would come of it none is needed.
Result<void> CheckReason(const std::string& reason, bool plan, bool what_if) {
  if (!reason.empty() || plan || what_if) return {};
  return Error{
      Code::kInvalidArgument, "--reason: say why, for the record; or only --plan or --what-if", {}};
}

// A file that others have overtaken says what it is of, and what to do.
Error WithBase(Error error, std::int64_t version) {
  for (FieldError& detail : error.details) {
    if (detail.reason != "VERSION_CHANGED" || version == 0) continue;
    error.message += ". The file is of version " + std::to_string(version) +
                     ": export anew and change that; or, to overrule what was changed since, take "
                     "the line 'version' out of it";
    break;
  }
  return error;
}

Result<int> RunApply(Session& session, const ApplyFlags& flags) {
  const Result<void> reason = CheckReason(flags.reason, flags.plan, flags.what_if);
  if (!reason) return reason.error();
  const Result<std::string> text = ReadInput(session.host, flags.file);
  if (!text) return text.error();
  const std::string name = flags.file == "-" ? "standard input" : flags.file;
  const Result<AccountsFile> file = ReadAccounts(*text, name);
  if (!file) return file.error();
  v1::ApplyAccountsRequest request;
  request.mutable_changes()->Add(file->changes.begin(), file->changes.end());
  request.set_complete_below(flags.complete_below);
  const Asking asking{.plan_only = flags.plan || flags.reason.empty(),
                      .what_if = flags.what_if,
                      .yes = flags.yes,
                      .input_is_data = flags.file == "-",
                      .reason = flags.reason,
                      .nothing = "All accounts are as the file has them.",
                      .base_version = file->version};
  return PlanAndDo(session, std::move(request), asking, [&](const Error& error) {
    return InFile(WithBase(error, file->version), *file, name);
  });
}

Result<int> RunExport(Session& session, const std::string& account) {
  v1::ListAccountsRequest request;
  request.set_account(account);
  request.set_include_closed(true);
  request.mutable_page()->set_size(1000);
  std::vector<v1::Account> accounts;
  std::int64_t version = 0;
  do {
    auto page = Ask<v1::ListAccountsResponse>(session, request);
    if (!page) return page.error();
    if (version != 0 && page->settings_version() != version) {
      return Error{Code::kAborted, "the settings have just been changed: run it again", {}};
    }
    version = page->settings_version();
    accounts.insert(accounts.end(), page->accounts().begin(), page->accounts().end());
    request.mutable_page()->set_token(page->page().next_token());
  } while (!request.page().token().empty());
  *session.host.out << "# Settings of accounts. To change them: kezek admin apply -f FILE\n"
                    << "version: " << version << '\n'
                    << WriteAccounts(accounts);
  return kDone;
}

struct HistoryFlags {
  std::string account;
  std::string since;
  std::string until;
  int limit = 20;
};

Result<int> RunHistory(Session& session, const HistoryFlags& flags) {
  v1::ListChangesRequest request;
  request.set_account(flags.account);
  request.mutable_page()->set_size(std::min(flags.limit, 1000));
  for (const auto& [flag, text, set] :
       {std::tuple{"--since", &flags.since, &v1::TimeRange::set_since_ms},
        std::tuple{"--until", &flags.until, &v1::TimeRange::set_until_ms}}) {
    if (text->empty()) continue;
    const Result<std::int64_t> moment = ParsePast(*text, session.host.now_ms());
    if (!moment) {
      return FieldProblem(Code::kInvalidArgument,
                          {flag, "FIELD_INVALID", moment.error().message, {}});
    }
    (request.mutable_time()->*set)(*moment);
  }
  v1::ListChangesResponse all;
  while (all.changes_size() < flags.limit) {
    auto page = Ask<v1::ListChangesResponse>(session, request);
    if (!page) return page.error();
    for (const v1::SettingsChange& change : page->changes()) {
      if (all.changes_size() < flags.limit) *all.add_changes() = change;
    }
    request.mutable_page()->set_token(page->page().next_token());
    if (request.page().token().empty()) break;
  }
  const Host& host = session.host;
  if (PrintMessage(host, session.format(), all)) return kDone;
  for (const v1::SettingsChange& change : all.changes()) {
    if (session.format() == Format::kName) {
      if (change.version() != 0) *host.out << change.version() << '\n';
      continue;
    }
    const std::string what =
        change.version() == 0 ? "Roles" : "Version " + std::to_string(change.version());
    *host.out << Styled(host, Style::kBold, what) << "  " << ExactMoment(change.time_ms()) << "  "
              << change.actor() << ": " << change.reason() << '\n';
    for (const v1::FieldChange& field : change.changes()) {
      *host.out << "  ";
      PrintChange(host, field);
    }
  }
  if (!all.changes().empty() || !ForPeople(session)) return kDone;
  *host.out << "No changes that you may see.\n";
  return kDone;
}

struct RevertFlags {
  std::int64_t version = 0;
  std::string account;
  std::string reason;
  bool plan = false;
  bool what_if = false;
  bool yes = false;
};

Result<int> RunRevert(Session& session, const RevertFlags& flags) {
  const Result<void> reason = CheckReason(flags.reason, flags.plan, flags.what_if);
  if (!reason) return reason.error();
  v1::RevertAccountsRequest request;
  request.set_to_version(flags.version);
  request.set_account(flags.account);
  const Asking asking{.plan_only = flags.plan || flags.reason.empty(),
                      .what_if = flags.what_if,
                      .yes = flags.yes,
                      .reason = flags.reason,
                      .nothing = "All is as version " + std::to_string(flags.version) + " had it."};
  return PlanAndDo(session, std::move(request), asking, [](const Error& error) { return error; });
}

}  // namespace

void AddAdminApply(CLI::App& admin, Session& session) {
  CLI::App* apply = admin.add_subcommand("apply", "make accounts as a file has them");
  const auto flags = std::make_shared<ApplyFlags>();
  apply->add_option("-f,--file", flags->file, "YAML as 'admin export' writes it, or -")
      ->type_name("FILE")
      ->required();
  apply
      ->add_option("--complete-below", flags->complete_below,
                   "close what is below this account and not in the file")
      ->type_name("ACCOUNT")
      ->check([](const std::string& account) {  // such as of a variable that is not set
        return account.empty() ? std::string("name an account") : std::string();
      });
  apply->add_option("--reason", flags->reason, "why, for the record")->type_name("TEXT");
  apply->add_flag("--plan", flags->plan, "only say what would change");
  apply->add_flag("--what-if", flags->what_if,
                  "say, too, what it would do to the queue and to what runs");
  apply->add_flag("-y,--yes", flags->yes, "apply without asking");
  apply->footer(
      "Says first what would change, then changes all of it, as one version, or nothing. What the\n"
      "file does not name stays as it is; settings that it names are replaced as a whole. What\n"
      "somebody else has changed since the file's 'version' is not overruled. Without --reason\n"
      "nothing is changed.\n"
      "Examples:\n"
      "  kezek admin export > accounts.yaml\n"
      "  kezek admin apply -f accounts.yaml --plan\n"
      "  kezek admin apply -f accounts.yaml --what-if\n"
      "  kezek admin apply -f accounts.yaml --reason 'order 118'");
  apply->callback([&session, flags] {
    session.action = [&session, flags] { return RunApply(session, *flags); };
  });
}

void AddAdminExport(CLI::App& admin, Session& session) {
  CLI::App* command = admin.add_subcommand("export", "write accounts as a file for 'admin apply'");
  const auto account = std::make_shared<std::string>();
  command->add_option("ACCOUNT", *account, "this one and all below it; without: all");
  command->footer(
      "Closed accounts are in it, too. Applying what was exported changes nothing.\n"
      "Examples:\n"
      "  kezek admin export > accounts.yaml\n"
      "  kezek admin export universities/kaznu");
  command->callback([&session, account] {
    session.action = [&session, account] { return RunExport(session, *account); };
  });
}

void AddAdminHistory(CLI::App& admin, Session& session) {
  CLI::App* history =
      admin.add_subcommand("history", "who changed which settings or roles, when and why");
  const auto flags = std::make_shared<HistoryFlags>();
  history->add_option("ACCOUNT", flags->account, "this one and all below it; without: all");
  history->add_option("--since", flags->since, "changes from then on")->type_name("TIME");
  history->add_option("--until", flags->until, "changes before then")->type_name("TIME");
  history->add_option("--limit", flags->limit, "at most so many, the latest")
      ->type_name("N")
      ->check(Between(1, 100'000));
  history->footer(
      "Roles of users, administrators' too, are no settings and make no version; they are in it\n"
      "for those who see all, where no ACCOUNT is given.\n"
      "Examples:\n"
      "  kezek admin history\n"
      "  kezek admin history universities/kaznu --since 2026-10-01");
  history->callback([&session, flags] {
    session.action = [&session, flags] { return RunHistory(session, *flags); };
  });
}

void AddAdminRevert(CLI::App& admin, Session& session) {
  CLI::App* revert =
      admin.add_subcommand("revert", "bring back what an earlier version of the settings had");
  const auto flags = std::make_shared<RevertFlags>();
  revert->add_option("VERSION", flags->version, "as 'admin history' numbers them")->required();
  revert->add_option("ACCOUNT", flags->account, "only this one and all below it");
  revert->add_option("--reason", flags->reason, "why, for the record")->type_name("TEXT");
  revert->add_flag("--plan", flags->plan, "only say what would change");
  revert->add_flag("--what-if", flags->what_if,
                   "say, too, what it would do to the queue and to what runs");
  revert->add_flag("-y,--yes", flags->yes, "revert without asking");
  revert->footer(
      "Makes a new version; nothing of the history is lost. Accounts made since are closed.\n"
      "Examples:\n"
      "  kezek admin revert 17 --plan\n"
      "  kezek admin revert 17 universities/kaznu --reason 'order 120 was withdrawn'");
  revert->callback([&session, flags] {
    session.action = [&session, flags] { return RunRevert(session, *flags); };
  });
}

}  // namespace kezek::cli
