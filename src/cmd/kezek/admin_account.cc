#include <kezek/v1/quota.pb.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>
#include <utility>

#include "cmd/kezek/change_text.h"
#include "cmd/kezek/commands.h"
#include "cmd/kezek/nodes.h"
#include "cmd/kezek/render.h"
#include "cmd/kezek/settings_flags.h"
#include "cmd/kezek/usage_error.h"
#include "cmd/kezek/way_out.h"

namespace kezek::cli {
namespace {

struct AccountFlags {
  std::string path;
  std::string kind;
  std::string title;
  std::vector<std::string> attributes;
  std::string reason;
  bool closed = false;
  bool close = false;
  bool open = false;
  int depth = 0;
  SettingsFlags settings;
};

// The flag that sets a field of the tree that is made; empty if the message says it all.
std::string FlagOf(const std::string& field) {
  for (const auto& [ending, flag] :
       {std::pair{".guarantee_milli", "--guarantee"}, std::pair{".weight_milli", "--weight"},
        std::pair{".borrow_max_milli", "--borrow-max"}, std::pair{".lend_max_milli", "--lend-max"},
        std::pair{".target_ppm", "--target"}}) {
    if (field.ends_with(ending)) return flag;
  }
  return field.ends_with(".name") || field.ends_with(".path") ? "" : field;
}

Error WithOwnFlags(Error error) {
  std::vector<std::pair<std::string, std::string>> flags;
  for (const FieldError& detail : error.details) {
    flags.emplace_back(detail.field, FlagOf(detail.field));
  }
  return WithFlags(std::move(error), flags);
}

Result<int> Apply(Session& session, const AccountFlags& flags, v1::AccountChange change,
                  std::int64_t base_version) {
  std::string default_type;
  if (flags.settings.NeedsGpuType()) {
    Result<std::string> type = DefaultGpuType(session);
    if (!type) return type.error();
    default_type = *type;
  }
  Result<void> set = flags.settings.ApplyTo(default_type, *change.mutable_settings());
  if (!set) return set.error();
  for (const std::string& attribute : flags.attributes) {
    const std::size_t equals = attribute.find('=');
    if (equals == 0 || equals == std::string::npos) {
      return Error{Code::kInvalidArgument, "--attribute: expected NAME=VALUE", {}};
    }
    (*change.mutable_attributes())[attribute.substr(0, equals)] = attribute.substr(equals + 1);
  }
  if (!flags.title.empty()) change.set_title(flags.title);
  v1::ApplyAccountsRequest request;
  *request.add_changes() = std::move(change);
  request.set_base_version(base_version);
  request.set_reason(flags.reason);
  Result<v1::ApplyAccountsResponse> answer = Ask<v1::ApplyAccountsResponse>(session, request);
  if (!answer) return WithOwnFlags(answer.error());
  const Host& host = session.host;
  for (const v1::Reason& warning : answer->warnings()) PrintWarning(host, warning.sentence());
  if (PrintMessage(host, session.format(), *answer)) return kDone;
  if (session.format() == Format::kName) {
    *host.out << flags.path << '\n';
    return kDone;
  }
  if (answer->changes().empty()) *host.out << flags.path << " is so already\n";
  for (const v1::FieldChange& field : answer->changes()) PrintChange(host, field);
  return kDone;
}

Result<int> RunCreateAccount(Session& session, const AccountFlags& flags) {
  v1::ListAccountsRequest request;
  request.set_account(flags.path);
  request.set_include_closed(true);
  request.mutable_page()->set_size(1);
  const auto there = Ask<v1::ListAccountsResponse>(session, request);
  const bool exists = there && !there->accounts().empty();
  if (!there && there.error().code != Code::kNotFound) return there.error();
  if (exists) {
    const std::string name = flags.path.empty() ? "(root)" : flags.path;
    return Error{
        Code::kAlreadyExists,
        "there is an account " + name + " already" +
            (there->accounts(0).closed() ? ", closed" : ""),
        {},
    };
  }
  v1::AccountChange change;
  change.set_path(flags.path);
  change.set_kind(flags.kind);
  return Apply(session, flags, std::move(change), 0);
}

Result<int> RunSetAccount(Session& session, const AccountFlags& flags) {
  // The listing tells the version of the whole tree, which is what changes are made on.
  v1::ListAccountsRequest request;
  request.set_account(flags.path);
  request.set_include_closed(true);
  request.mutable_page()->set_size(1);
  Result<v1::ListAccountsResponse> answer = Ask<v1::ListAccountsResponse>(session, request);
  if (!answer) return answer.error();
  if (answer->accounts().empty()) {
    return Error{Code::kNotFound, "there is no account " + flags.path + " that you may see", {}};
  }
  v1::AccountChange change;
  change.set_path(answer->accounts(0).path());
  *change.mutable_settings() = answer->accounts(0).settings();
  if (flags.close) change.set_closed(true);
  if (flags.open) change.set_closed(false);
  // Nobody else's change in between is lost: it must still be the version that was read.
  return Apply(session, flags, std::move(change), answer->settings_version());
}

std::string ShareText(const v1::AccountSettings& settings, bool weight) {
  std::string text;
  std::vector<std::string> types;
  for (const auto& entry : settings.shares()) types.push_back(entry.first);
  std::sort(types.begin(), types.end());
  for (const std::string& type : types) {
    const v1::Share& share = settings.shares().at(type);
    if (weight && !share.has_weight_milli()) continue;
    if (!weight && share.guarantee_milli_gpus() == 0) continue;
    text += (text.empty() ? "" : " ") + type + "=" +
            Gpus(weight ? share.weight_milli() : share.guarantee_milli_gpus());
  }
  return text;
}

void PrintAccounts(const Host& host,
                   const google::protobuf::RepeatedPtrField<v1::Account>& accounts) {
  Table table({"ACCOUNT", "KIND", "TITLE", "WEIGHT", "GUARANTEE", "MEMBERS", "STATE"});
  for (const v1::Account& account : accounts) {
    table.Add({account.path().empty() ? "(root)" : account.path(), account.kind(), account.title(),
               ShareText(account.settings(), true), ShareText(account.settings(), false),
               account.members() > 0 ? std::to_string(account.members()) : "",
               account.closed() ? "closed" : "open"});
  }
  table.Print(host);
}

Result<int> RunListAccounts(Session& session, const AccountFlags& flags) {
  v1::ListAccountsRequest request;
  request.set_account(flags.path);
  request.set_depth(flags.depth);
  if (!flags.kind.empty()) request.add_kinds(flags.kind);
  request.set_include_closed(flags.closed);
  v1::ListAccountsResponse all;
  do {
    Result<v1::ListAccountsResponse> page = Ask<v1::ListAccountsResponse>(session, request);
    if (!page) return page.error();
    request.mutable_page()->set_token(page->page().next_token());
    all.mutable_accounts()->MergeFrom(page->accounts());
    all.set_settings_version(page->settings_version());
  } while (!request.page().token().empty());
  if (PrintMessage(session.host, session.format(), all)) return kDone;
  if (session.format() == Format::kName) {
    for (const v1::Account& account : all.accounts()) {
      *session.host.out << account.path() << '\n';
    }
    return kDone;
  }
  PrintAccounts(session.host, all.accounts());
  return kDone;
}

Result<int> RunShowAccount(Session& session, const AccountFlags& flags) {
  v1::GetAccountRequest request;
  request.set_account(flags.path);
  Result<v1::GetAccountResponse> answer = Ask<v1::GetAccountResponse>(session, request);
  if (!answer) return answer.error();
  const Host& host = session.host;
  if (PrintMessage(host, session.format(), *answer)) return kDone;
  const v1::Account& account = answer->account();
  if (session.format() == Format::kName) {
    *host.out << account.path() << '\n';
    return kDone;
  }
  Facts facts;
  facts.Add("Account", account.path().empty() ? "(root)" : account.path());
  facts.Add("Kind", account.kind());
  facts.Add("Title", account.title());
  for (const auto& name : {"ownership", "country", "funding"}) {
    const auto found = account.attributes().find(name);
    if (found != account.attributes().end()) facts.Add(name, found->second);
  }
  facts.Add("State", account.closed() ? "closed" : "open");
  std::string administrators;
  for (const std::string& user : account.administrators()) {
    administrators += (administrators.empty() ? "" : ", ") + user;
  }
  facts.Add("Administrators", administrators);
  facts.Add("Members", account.members() > 0 ? std::to_string(account.members()) : "");
  AddSettings(answer->effective(), facts);
  facts.Add("Settings version", std::to_string(account.settings_version()));
  facts.Print(host);
  return kDone;
}

void AddSettingFlags(CLI::App& command, AccountFlags& flags) {
  command.add_option("--title", flags.title, "name for people")->type_name("TEXT");
  command.add_option("--attribute", flags.attributes, "for reports, such as country=KZ")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false);
  command.add_option("--reason", flags.reason, "why, for the record")
      ->type_name("TEXT")
      ->required();
  flags.settings.AddTo(command);
}

}  // namespace

void AddAdminAccount(CLI::App& admin, Session& session) {
  CLI::App* account = admin.add_subcommand("account", "the account tree and its settings");
  account->require_subcommand(1);
  const auto flags = std::make_shared<AccountFlags>();

  CLI::App* create = account->add_subcommand("create", "make an account");
  create->add_option("ACCOUNT", flags->path, "such as universities/kaznu/nlp")->required();
  create->add_option("--kind", flags->kind, "sector, institution or project")
      ->type_name("sector|institution|project")
      ->required();
  AddSettingFlags(*create, *flags);
  create->footer(
      "Examples:\n"
      "  kezek admin account create universities/kaznu --kind institution --guarantee 32 \\\n"
      "        --weight 2 --reason 'order 114'");
  create->callback([&session, flags] {
    session.action = [&session, flags] { return RunCreateAccount(session, *flags); };
  });

  CLI::App* set = account->add_subcommand("set", "change an account's settings");
  set->add_option("ACCOUNT", flags->path, "the account")->required();
  CLI::Option* close = set->add_flag("--close", flags->close, "take no more jobs");
  set->add_flag("--open", flags->open, "take jobs again")->excludes(close);
  AddSettingFlags(*set, *flags);
  set->footer(
      "Examples:\n"
      "  kezek admin account set startups --weight h200=25 --reason 'order 115'\n"
      "  kezek admin account set universities/kaznu --max-gpus 64 --reason 'order 116'");
  set->callback([&session, flags] {
    session.action = [&session, flags] { return RunSetAccount(session, *flags); };
  });

  CLI::App* list = account->add_subcommand("list", "list the tree");
  list->add_option("ACCOUNT", flags->path, "this one and all below it");
  list->add_option("--depth", flags->depth, "levels below it; without: all")
      ->type_name("N")
      ->check(Between(0, 1000));
  list->add_option("--kind", flags->kind, "only this kind")
      ->type_name("sector|institution|project");
  list->add_flag("--closed", flags->closed, "closed ones, too");
  list->footer("Examples:\n  kezek admin account list\n  kezek admin account list universities");
  list->callback([&session, flags] {
    session.action = [&session, flags] { return RunListAccounts(session, *flags); };
  });

  CLI::App* show = account->add_subcommand("show", "show an account, inherited settings included");
  show->add_option("ACCOUNT", flags->path, "the account")->required();
  show->footer("Examples:\n  kezek admin account show universities/kaznu -o yaml");
  show->callback([&session, flags] {
    session.action = [&session, flags] { return RunShowAccount(session, *flags); };
  });
}

}  // namespace kezek::cli
