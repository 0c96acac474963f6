// admin sync: users and memberships as a directory has them.
#include <kezek/v1/access.pb.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>
#include <utility>

#include "cmd/kezek/change_text.h"
#include "cmd/kezek/commands.h"
#include "cmd/kezek/directory_file.h"
#include "cmd/kezek/read_input.h"
#include "cmd/kezek/render.h"

namespace kezek::cli {
namespace {

struct SyncFlags {
  std::string account;
  std::string groups;
  std::string passwd;
  std::string file;
  std::vector<std::string> maps;
  std::string institution;
  bool unix_accounts = false;
  bool plan = false;
  bool yes = false;
};

Result<std::vector<DirectoryUser>> ReadUsers(const Host& host, const SyncFlags& flags) {
  if (flags.groups.empty() == flags.file.empty()) {
    return Error{Code::kInvalidArgument, "give either --groups or --file", {}};
  }
  const std::string& path = flags.groups.empty() ? flags.file : flags.groups;
  if (!flags.passwd.empty() && (flags.groups.empty() || flags.passwd == flags.groups)) {
    return Error{Code::kInvalidArgument, "--passwd goes with --groups, and is another file", {}};
  }
  const Result<std::string> text = ReadInput(host, path);
  if (!text) return text.error();
  if (flags.groups.empty()) return ReadDirectory(*text, path);
  GroupRules rules{.account = flags.account, .unix_accounts = flags.unix_accounts};
  rules.institution = flags.institution;
  if (rules.institution.empty()) {
    rules.institution = flags.account.substr(flags.account.rfind('/') + 1);
  }
  if (rules.institution.empty()) {
    return Error{
        Code::kInvalidArgument, "--institution: what stands behind the @ of the users' ids?", {}};
  }
  for (const std::string& map : flags.maps) {
    const auto equals = map.find('=');
    if (equals == std::string::npos) {
      return Error{Code::kInvalidArgument, "--map: '" + map + "' is not GROUP=PROJECT", {}};
    }
    rules.projects[map.substr(0, equals)] = map.substr(equals + 1);
  }
  if (!flags.passwd.empty()) {
    const Result<std::string> users = ReadInput(host, flags.passwd);
    if (!users) return users.error();
    auto primary = ReadPrimaryGroups(*users, flags.passwd);
    if (!primary) return primary.error();
    rules.primary = std::move(*primary);
  }
  return ReadGroups(*text, path, rules);
}

void PrintPlan(Session& session, const v1::SyncUsersResponse& plan) {
  const Host& host = session.host;
  if (PrintMessage(host, session.format(), plan)) return;
  if (session.format() == Format::kName) {
    for (const v1::SyncChange& change : plan.changes()) *host.out << change.user() << '\n';
    return;
  }
  Table table({"USER", "CHANGE", "WHAT"});
  for (const v1::SyncChange& change : plan.changes()) {
    table.Add({change.user(), change.reason().code(), change.reason().sentence()});
  }
  table.Print(host);
}

Result<int> RunSync(Session& session, const SyncFlags& flags) {
  const Host& host = session.host;
  const auto users = ReadUsers(host, flags);
  if (!users) return users.error();
  v1::SyncUsersRequest request;
  request.set_account(flags.account);
  for (const DirectoryUser& user : *users) {
    v1::DirectoryUser& wire = *request.add_users();
    wire.set_name(user.name);
    wire.set_display_name(user.display_name);
    wire.set_unix_account(user.unix_account);
    for (const std::string& project : user.projects) wire.add_projects(project);
  }
  auto plan = Ask<v1::SyncUsersResponse>(session, request);
  if (!plan) return plan.error();
  const bool for_people = session.format() == Format::kTable || session.format() == Format::kWide;
  if (plan->changes().empty() && for_people) {
    *host.out << "Users and memberships are as the directory has them.\n";
    return kDone;
  }
  if (!flags.yes || flags.plan || for_people) PrintPlan(session, *plan);
  const bool from_input = flags.groups == "-" || flags.passwd == "-" || flags.file == "-";
  if (plan->changes().empty() || flags.plan ||
      !MayApply(host, flags.yes, from_input, plan->changes_size())) {
    return kDone;
  }
  request.set_apply_plan(plan->plan());
  auto applied = Ask<v1::SyncUsersResponse>(session, request, Repeat::kNo);
  if (!applied) return applied.error();
  if (for_people) {
    *host.out << "Applied.\n";
  } else {
    PrintPlan(session, *applied);
  }
  return kDone;
}

}  // namespace

void AddAdminSync(CLI::App& admin, Session& session) {
  CLI::App* sync =
      admin.add_subcommand("sync", "bring users and memberships in line with a directory");
  const auto flags = std::make_shared<SyncFlags>();
  sync->add_option("ACCOUNT", flags->account,
                   "whose members these are, with all below; without: everybody");
  sync->add_option("--groups", flags->groups, "output of 'getent group', or - for standard input")
      ->type_name("FILE");
  sync->add_option("--passwd", flags->passwd,
                   "output of 'getent passwd', beside --groups: whose primary group it is, too")
      ->type_name("FILE");
  sync->add_option("--file", flags->file,
                   "YAML or CSV with name, display_name, unix_account, projects; or -")
      ->type_name("FILE");
  sync->add_option("--map", flags->maps, "a group's project; with any, other groups are left out")
      ->type_name("GROUP=PROJECT")
      ->allow_extra_args(false);
  sync->add_option("--institution", flags->institution,
                   "behind the @ of the ids of groups' members; without: the account's name")
      ->type_name("NAME");
  sync->add_flag("--unix", flags->unix_accounts,
                 "members of groups run jobs as the Unix account of that name");
  sync->add_flag("--plan", flags->plan, "only say what would change");
  sync->add_flag("-y,--yes", flags->yes, "apply without asking");
  sync->footer(
      "Says first what would change. Who is not in the directory has left: memberships end, with "
      "the\n"
      "last one tokens and access, and queued jobs wait; running jobs go on. 'getent group' does "
      "not\n"
      "list whose primary group it is: without --passwd they would have left.\n"
      "Examples:\n"
      "  getent group nlp vision | kezek admin sync universities/kaznu --groups - --yes\n"
      "  kezek admin sync universities/kaznu --groups groups.txt --passwd passwd.txt\n"
      "  kezek admin sync universities/kaznu --groups groups.txt --map "
      "kz-nlp=universities/kaznu/nlp\n"
      "  kezek admin sync --file people.yaml -o json");
  sync->callback([&session, flags] {
    session.action = [&session, flags] { return RunSync(session, *flags); };
  });
}

}  // namespace kezek::cli
