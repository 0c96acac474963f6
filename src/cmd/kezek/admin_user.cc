#include <kezek/v1/access.pb.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "cmd/kezek/commands.h"
#include "cmd/kezek/help.h"
#include "cmd/kezek/render.h"
#include "cmd/kezek/roles.h"
#include "cmd/kezek/usage_error.h"
#include "cmd/kezek/way_out.h"

namespace kezek::cli {
namespace {

struct UserFlags {
  std::string name;
  std::string display_name;
  std::string unix_account;
  std::vector<std::string> projects;
  std::string role = "researcher";
  std::string account;
  std::string reason;
  bool disabled = false;
};

void PrintUsers(Session& session, const google::protobuf::Message& answer,
                const google::protobuf::RepeatedPtrField<v1::User>& users) {
  const Host& host = session.host;
  if (PrintMessage(host, session.format(), answer)) return;
  if (session.format() == Format::kName) {
    for (const v1::User& user : users) *host.out << user.name() << '\n';
    return;
  }
  Table table({"USER", "NAME", "UNIX", "UID", "STATE", "ROLES"});
  for (const v1::User& user : users) {
    std::string roles;
    for (const v1::RoleGrant& grant : user.roles()) {
      roles += (roles.empty() ? "" : ", ") + RoleText(grant);
    }
    table.Add({user.name(), user.display_name(), user.unix_account(),
               user.unix_uid() > 0 ? std::to_string(user.unix_uid()) : "",
               user.disabled() ? "disabled" : "enabled", roles});
  }
  table.Print(host);
}

Result<int> PrintUser(Session& session, const Result<v1::User>& answer) {
  if (!answer) {
    return WithFlags(
        answer.error(),
        {{"roles", "the project"}, {"unix_account", "--unix"}, {"user", ""}, {"account", ""}});
  }
  google::protobuf::RepeatedPtrField<v1::User> users;
  *users.Add() = *answer;
  PrintUsers(session, *answer, users);
  return kDone;
}

Result<int> RunCreateUser(Session& session, const UserFlags& flags) {
  Result<v1::Role> role = RoleNamed(flags.role);
  if (!role) return role.error();
  v1::CreateUserRequest request;
  request.set_name(flags.name);
  request.set_display_name(flags.display_name);
  request.set_unix_account(flags.unix_account);
  for (const std::string& project : flags.projects) {
    v1::RoleGrant& grant = *request.add_roles();
    grant.set_role(*role);
    grant.set_account(project);
  }
  if (flags.projects.empty() && !flags.role.empty()) {
    if (*role < v1::ROLE_CLUSTER_ADMIN) {
      return Error{
          Code::kInvalidArgument, "--role " + flags.role + ": say where, by --member-of", {}};
    }
    request.add_roles()->set_role(*role);
  }
  return PrintUser(session, Ask<v1::User>(session, request, Repeat::kNo));
}

Result<int> RunListUsers(Session& session, const UserFlags& flags, bool one) {
  v1::ListUsersRequest request;
  request.set_account(flags.account);
  request.set_include_disabled(flags.disabled || one);
  if (one) request.add_names(flags.name);
  v1::ListUsersResponse all;
  do {
    Result<v1::ListUsersResponse> page = Ask<v1::ListUsersResponse>(session, request);
    if (!page) return page.error();
    request.mutable_page()->set_token(page->page().next_token());
    all.mutable_users()->MergeFrom(page->users());
  } while (!request.page().token().empty());
  if (one && all.users().empty()) {
    return Error{Code::kNotFound, "there is no user " + flags.name + " that you may see", {}};
  }
  PrintUsers(session, all, all.users());
  return kDone;
}

Result<int> RunSetUnix(Session& session, const UserFlags& flags) {
  v1::SetUnixAccountRequest request;
  request.set_name(flags.name);
  request.set_unix_account(flags.unix_account);
  request.set_reason(flags.reason);
  return PrintUser(session, Ask<v1::User>(session, request));
}

Result<int> RunRoles(Session& session, const UserFlags& flags, bool give) {
  Result<v1::Role> role = RoleNamed(flags.role);
  if (!role) return role.error();
  v1::ChangeRolesRequest request;
  request.set_name(flags.name);
  request.set_reason(flags.reason);
  v1::RoleGrant& grant = give ? *request.add_give() : *request.add_take();
  grant.set_role(*role);
  grant.set_account(flags.account);
  return PrintUser(session, Ask<v1::User>(session, request));
}

Result<int> RunDisable(Session& session, const UserFlags& flags, bool disable) {
  v1::UpdateUserRequest request;
  request.set_name(flags.name);
  request.set_disabled(disable);
  request.set_reason(flags.reason);
  return PrintUser(session, Ask<v1::User>(session, request));
}

using UserAction = Result<int> (*)(Session&, const UserFlags&);

// A subcommand about one user, whose name comes first.
CLI::App* AddAboutUser(CLI::App& user, Session& session, const std::shared_ptr<UserFlags>& flags,
                       const char* name, const char* about, UserAction action) {
  CLI::App* command = user.add_subcommand(name, about);
  command->add_option("USER", flags->name, "global id, such as aizhan@kaznu")->required();
  command->callback([&session, flags, action] {
    session.action = [&session, flags, action] { return action(session, *flags); };
  });
  return command;
}

void AddRoleCommands(CLI::App& user, Session& session, const std::shared_ptr<UserFlags>& flags) {
  const auto give = [](Session& s, const UserFlags& f) { return RunRoles(s, f, true); };
  const auto take = [](Session& s, const UserFlags& f) { return RunRoles(s, f, false); };
  CLI::App* add =
      AddAboutUser(user, session, flags, "add-member", "let a user submit to a project", give);
  CLI::App* remove =
      AddAboutUser(user, session, flags, "remove-member", "take a user out of a project", take);
  for (CLI::App* command : {add, remove}) {
    command->add_option("PROJECT", flags->account, "path of the project")->required();
    command->add_option("--role", flags->role, "role there: researcher if not given")
        ->type_name(Bars(RoleNames()))
        ->check(OneOf(RoleNames()));
    command->add_option("--reason", flags->reason, "why, for the record")->type_name("TEXT");
  }
  add->footer("Examples:\n  kezek admin user add-member aizhan@kaznu universities/kaznu/nlp");
  remove->footer("Examples:\n  kezek admin user remove-member aizhan@kaznu universities/kaznu/nlp");
  CLI::App* grant = AddAboutUser(user, session, flags, "grant", "give a user a role", give);
  CLI::App* revoke = AddAboutUser(user, session, flags, "revoke", "take a role from a user", take);
  for (CLI::App* command : {grant, revoke}) {
    command->add_option("ROLE", flags->role, "such as researcher, lead, institution-admin")
        ->type_name(Bars(RoleNames()))
        ->required()
        ->check(OneOf(RoleNames()));
    command->add_option("ACCOUNT", flags->account, "where; not for roles that hold everywhere");
    command->add_option("--reason", flags->reason, "why, for the record")->type_name("TEXT");
  }
  grant->footer(
      "Examples:\n  kezek admin user grant dana@kaznu institution-admin universities/kaznu");
  revoke->footer("Examples:\n  kezek admin user revoke dana@kaznu auditor");
}

}  // namespace

void AddAdminUser(CLI::App& admin, Session& session) {
  CLI::App* user = admin.add_subcommand("user", "users, their roles and Unix accounts");
  user->require_subcommand(1);
  const auto flags = std::make_shared<UserFlags>();
  CLI::App* create = AddAboutUser(*user, session, flags, "create", "make a user", RunCreateUser);
  create->add_option("--name", flags->display_name, "name for people")->type_name("TEXT");
  create->add_option("--unix", flags->unix_account, "Unix account that jobs run as")
      ->type_name("UNIX");
  create->add_option("--member-of,--project", flags->projects, "projects to submit to")
      ->type_name("PROJECT")
      ->allow_extra_args(false);
  create->add_option("--role", flags->role, "role there; of cluster-wide roles without a project")
      ->type_name(Bars(RoleNames()))
      ->check(OneOf(RoleNames()));
  create->footer(
      "Examples:\n"
      "  kezek admin user create aizhan@kaznu --unix aizhan --member-of universities/kaznu/nlp");

  CLI::App* list = user->add_subcommand("list", "list users");
  list->add_option("ACCOUNT", flags->account, "only with a role here or below");
  list->add_flag("--disabled", flags->disabled, "disabled ones, too");
  list->footer("Examples:\n  kezek admin user list universities/kaznu");
  list->callback([&session, flags] {
    session.action = [&session, flags] { return RunListUsers(session, *flags, false); };
  });
  AddAboutUser(*user, session, flags, "show", "show a user", [](Session& s, const UserFlags& f) {
    return RunListUsers(s, f, true);
  })->footer("Examples:\n  kezek admin user show aizhan@kaznu -o yaml");

  CLI::App* set_unix = AddAboutUser(*user, session, flags, "set-unix",
                                    "set the Unix account that jobs run as", RunSetUnix);
  set_unix->add_option("UNIX", flags->unix_account, "Unix account; without: takes it away");
  set_unix->add_option("--reason", flags->reason, "why, for the record")->type_name("TEXT");
  set_unix->footer("Examples:\n  kezek admin user set-unix aizhan@kaznu aizhan");
  AddRoleCommands(*user, session, flags);
  for (const bool disable : {true, false}) {
    const UserAction action =
        disable
            ? UserAction([](Session& s, const UserFlags& f) { return RunDisable(s, f, true); })
            : UserAction([](Session& s, const UserFlags& f) { return RunDisable(s, f, false); });
    const char* name = disable ? "disable" : "enable";
    CLI::App* command = AddAboutUser(
        *user, session, flags, name,
        disable ? "end a user's access; queued jobs are held" : "give it back", action);
    command->add_option("--reason", flags->reason, "why, for the record")
        ->type_name("TEXT")
        ->required();
    command->footer(std::string("Examples:\n  kezek admin user ") + name +
                    " aizhan@kaznu --reason 'on leave'");
  }
}

}  // namespace kezek::cli
