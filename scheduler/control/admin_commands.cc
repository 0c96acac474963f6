// Changes of accounts, users, tokens and nodes. All is checked before anything changes.
#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "kezek/names.h"
#include "kezek/node_parts.h"
#include "scheduler/control/core.h"
#include "scheduler/control/directory.h"
#include "scheduler/engine/what_if.h"

namespace kezek::control {
namespace {

Event Changed(const Core& core, Subject subject, std::string name, const std::string& text,
              const Command& command) {
  Event event;
  event.time_ms = core.now;
  event.subject = subject;
  event.name = std::move(name);
  event.project = kRootAccount;
  event.reason = {ReasonCode::kUpdated, {{"field", "settings"}}};
  if (!text.empty()) event.reason.fields["text"] = text;
  event.actor = command.actor_name;
  return event;
}

void TakeOver(Core& core, Directory directory) {
  Reindex(directory);
  core.state.SetDirectory(std::move(directory));
  core.directory_changed = true;
}

// What waits and concerns the change is looked at again. What settings of accounts bar or let in,
// the engine sees for itself.
template <class Concerns>
void RefreshQueue(Core& core, const Concerns& concerns) {
  core.engine.SetDirectory(core.state.directory());
  core.tick_wanted = true;
  for (const auto& [ref, job] : core.state.jobs()) {
    if (job.state == JobState::kQueued && concerns(job)) core.refresh.insert(ref);
  }
}

// Jobs belong to projects: what has some that are not final stays one.
Result<void> CheckJobsStay(const Core& core, const std::vector<Account>& accounts) {
  std::set<AccountId> no_projects;
  for (const Account& account : accounts) {
    const auto known = core.state.directory()->accounts.find(account.id);
    if (known == core.state.directory()->accounts.end()) continue;
    if (known->second.kind == "project" && account.kind != "project") {
      no_projects.insert(account.id);
    }
  }
  if (no_projects.empty()) return {};
  for (const auto& [ref, job] : core.state.jobs()) {
    if (IsFinal(job.state) || !no_projects.contains(job.spec->project)) continue;
    const std::string path = core.PathOf(job.spec->project);
    return FieldProblem(Code::kFailedPrecondition,
                        {"kind",
                         "HAS_OPEN_JOBS",
                         "it has jobs, such as " + ToText(ref) + ", and only a project has any",
                         {{"account", path}, {"job", ToText(ref)}}});
  }
  return {};
}

// Accounts that have another path: reasons name it.
std::set<AccountId> Renamed(const quota::AccountTree& before, const quota::AccountTree& after) {
  std::set<AccountId> renamed;
  for (quota::AccountIndex i = 0; i < before.size(); ++i) {
    const quota::AccountIndex now = after.IndexOf(before.id(i));
    if (now == quota::kNoAccount || after.path(now) != before.path(i)) renamed.insert(before.id(i));
  }
  return renamed;
}

// Copying what the plans are made from is all that is done here, and bounded: the caller makes them
// while this thread goes on.
Result<CommandOutcome> TryOut(const Core& core, Directory directory,
                              std::vector<LedgerEntry> grants) {
  constexpr std::size_t kMostCopied = 100'000;
  const std::size_t rows = core.engine.waiting() + core.engine.holdings().size();
  if (rows > kMostCopied) {
    return FieldProblem(
        Code::kResourceExhausted,
        {"what_if",
         "QUEUE_TOO_LONG",
         std::to_string(rows) + " jobs wait or run: what comes of new settings is worked out for " +
             std::to_string(kMostCopied) + " at most",
         {}});
  }
  Reindex(directory);
  const auto facts = std::make_shared<engine::Facts>(core.engine.CopyFacts());
  const engine::NewSettings after{std::make_shared<const Directory>(std::move(directory)),
                                  std::move(grants)};
  CommandOutcome outcome;
  outcome.what_if = [facts, before = core.state.directory(), after, now = core.now] {
    return engine::TryOut(std::move(*facts), before, after, now);
  };
  return outcome;
}

}  // namespace

Result<CommandOutcome> ExecuteAccounts(Core& core, const PutAccounts& put, const Command& command) {
  const auto rules = RulesOf(core.config, core.state.nodes());
  Result<std::vector<Account>> accounts = PrepareAccounts(*core.state.directory(), put, rules);
  if (!accounts) return accounts.error();
  if (const auto jobs = CheckJobsStay(core, *accounts); !jobs) return jobs.error();
  Directory directory = *core.state.directory();
  CommandOutcome outcome;
  for (const Account& account : *accounts) directory.accounts[account.id] = account;
  const Result<quota::AccountTree> tree = quota::AccountTree::Build(directory.accounts);
  if (!tree) return tree.error();
  const auto grants = quota::GrantsDue(core.state.tree(), *tree, core.engine.budgets(), core.now);
  if (!grants) return grants.error();
  if (put.plan_only && put.what_if) return TryOut(core, std::move(directory), *grants);
  if (put.plan_only) return CommandOutcome{};
  const std::set<AccountId> renamed = Renamed(core.state.tree(), *tree);
  for (const Account& account : *accounts) {
    const auto before = core.state.directory()->accounts.find(account.id);
    if (before != core.state.directory()->accounts.end()) {
      core.places.Note(before->second, account);
    }
    outcome.ids.push_back(account.id.value);
    core.ready.changes.accounts.push_back({account, command.actor, core.now, put.reason});
  }
  TakeOver(core, std::move(directory));
  for (LedgerEntry entry : *grants) {
    entry.settings_version = core.state.directory()->settings_version;
    entry.actor = command.actor_name;
    BookEntry(core, std::move(entry));
  }
  core.budget_end_known = false;
  core.engine.SetDirectory(core.state.directory());
  core.tick_wanted = true;
  if (!renamed.empty()) {
    RefreshQueue(core, [&](const Job& job) { return renamed.contains(job.spec->project); });
  }
  for (const Account& account : *accounts) {
    Event event = Changed(core, Subject::kAccount, core.PathOf(account.id), put.reason, command);
    event.project = account.id;
    core.Say(std::move(event));
  }
  return outcome;
}

namespace {

Event Changed(const Core& core, const Token& token, const std::string& text,
              const Command& command) {
  Event event = Changed(core, Subject::kToken, std::to_string(token.id.value), text, command);
  event.reason.fields["field"] = "token";
  event.reason.fields["label"] = token.label;
  if (token.revoked_ms != 0) event.reason.fields["to"] = "revoked";
  return event;
}

// "lead of universities/kaznu/nlp, auditor".
std::string RolesText(const Core& core, const User& user) {
  std::string text;
  for (const RoleGrant& grant : user.roles) {
    text += (text.empty() ? "" : ", ") + std::string(NameOf(grant.role));
    if (grant.account != kRootAccount) text += " of " + core.PathOf(grant.account);
  }
  return text.empty() ? "none" : text;
}

// Who administers what is on record like any setting: with both ends, the actor and why.
Event Changed(const Core& core, const User& before, const User& user, const std::string& text,
              const Command& command) {
  Event event = Changed(core, Subject::kUser, user.name, text, command);
  if (before.roles == user.roles) return event;
  event.reason.fields["field"] = "roles";
  event.reason.fields["from"] = RolesText(core, before);
  event.reason.fields["to"] = RolesText(core, user);
  return event;
}

// The access of who is disabled ends with every token and does not come back by itself.
void RevokeTokens(Core& core, const std::vector<User>& users, Directory* directory,
                  const std::string& why, const Command& command) {
  for (auto& entry : directory->tokens) {
    Token& token = entry.second;
    if (token.revoked_ms != 0 || !directory->users.at(token.user).disabled) continue;
    const bool changed = std::any_of(users.begin(), users.end(),
                                     [&](const User& user) { return user.id == token.user; });
    if (!changed) continue;
    token.revoked_ms = core.now;
    core.changed_tokens.insert_or_assign(token.id, token);
    core.Say(Changed(core, token, why, command));
  }
}

}  // namespace

Result<CommandOutcome> ExecuteUsers(Core& core, const PutUsers& put, const Command& command) {
  Result<std::vector<User>> users = PrepareUsers(*core.state.directory(), put, core.config.min_uid);
  if (!users) return users.error();
  Directory directory = *core.state.directory();
  CommandOutcome outcome;
  for (const User& user : *users) {
    const auto before = directory.users.find(user.id);
    const bool moves =
        before != directory.users.end() && before->second.unix_account != user.unix_account;
    for (const auto& [ref, attempt] : core.state.attempts()) {
      if (!moves || core.JobOf(ref.job).user != user.id) continue;
      return FieldProblem(Code::kFailedPrecondition,
                          {"unix_account",
                           "HAS_RUNNING_JOBS",
                           user.name + " has jobs under way as " + before->second.unix_account +
                               "; its Unix account can change when they have ended",
                           {}});
    }
  }
  for (const User& user : *users) {
    const auto known = directory.users.find(user.id);
    core.Say(Changed(core, known == directory.users.end() ? User{} : known->second, user,
                     put.reason, command));
    directory.users[user.id] = user;
    outcome.ids.push_back(user.id.value);
    core.changed_users.insert_or_assign(user.id, user);
  }
  RevokeTokens(core, *users, &directory, put.reason, command);
  TakeOver(core, std::move(directory));
  RefreshQueue(core, [&users](const Job& job) {
    return std::any_of(users->begin(), users->end(),
                       [&job](const User& user) { return user.id == job.user; });
  });
  return outcome;
}

Result<CommandOutcome> ExecuteToken(Core& core, const PutToken& put, const Command& command) {
  Result<Token> token = PrepareToken(*core.state.directory(), put);
  if (!token) return token.error();
  if (token->created_ms == 0) token->created_ms = core.now;
  Directory directory = *core.state.directory();
  std::erase_if(directory.tokens, [&](const auto& item) { return item.second.id == token->id; });
  directory.tokens[token->hash] = *token;
  core.changed_tokens.insert_or_assign(token->id, *token);
  core.Say(Changed(core, *token, put.text, command));
  TakeOver(core, std::move(directory));
  return CommandOutcome{.ids = {token->id.value}};
}

Result<CommandOutcome> ExecuteService(Core& core, const SetNodeService& set,
                                      const Command& command) {
  for (std::size_t i = 0; i < set.nodes.size(); ++i) {
    if (core.state.nodes().contains(set.nodes[i])) continue;
    return FieldProblem(Code::kNotFound, {"nodes[" + std::to_string(i) + "]",
                                          "NO_SUCH_NODE",
                                          "there is no node " + set.nodes[i],
                                          {}});
  }
  for (const std::string& name : WithParts(core.state.nodes(), set.nodes)) {
    Node node = core.state.nodes().at(name);
    if (node.drained_by_kezek == set.drain && node.set_aside_until_ms == 0) continue;
    const NodeHealth before = Effective(node, core.now).health;
    node.drained_by_kezek = set.drain;
    node.set_aside_until_ms = 0;
    node.health_reason = set.drain ? set.text : std::string();
    core.Put(node);
    core.engine.SetNode(node);
    core.node_faults.erase(name);
    Event event = Changed(core, Subject::kNode, name, set.text, command);
    event.reason.fields["field"] = "service";
    event.reason.fields["to"] = set.drain ? "draining" : "in service";
    event.from = before == NodeHealth::kUp ? "up" : "";
    event.to = set.drain ? "draining" : "";
    core.Say(std::move(event));
  }
  if (!set.drain) core.reconcile_at_ms = core.now;  // why the cluster itself may have it out
  core.directory_changed = true;
  core.tick_wanted = true;
  return CommandOutcome{};
}

Result<CommandOutcome> ExecuteNote(Core& core, const NoteAct& act, const Command& command) {
  Event event = Changed(core, Subject::kCluster, core.config.cluster_name, act.done, command);
  event.reason.fields["field"] = act.what;
  core.Say(std::move(event));
  return CommandOutcome{};
}

Result<CommandOutcome> ExecuteResume(Core& core, const ResumeScheduling& resume,
                                     const Command& command) {
  const auto refused = [](std::string field, std::string reason, std::string message) {
    return FieldProblem(Code::kFailedPrecondition,
                        {std::move(field), std::move(reason), std::move(message), {}});
  };
  if (core.stop.empty()) return refused("", "NOT_STOPPED", "the scheduler has not stopped itself");
  const bool restored = !core.unknown_epochs.empty() || core.stop.ends_with(kRestored);
  if (restored && !resume.accept_restore) {
    return refused("accept_restore", "RESTORE_NOT_ACCEPTED",
                   core.stop + "; deal with what the cluster runs beyond it, then accept that");
  }
  Event event = Changed(core, Subject::kCluster, core.config.cluster_name, resume.text, command);
  event.reason.fields["field"] = "scheduling";
  event.reason.fields["from"] = core.stop;
  event.reason.fields["to"] = "goes on";
  core.Say(std::move(event));
  core.ready.changes.accepted_epochs = core.unknown_epochs;
  core.state.AcceptEpochs(core.unknown_epochs);
  core.unknown_epochs.clear();
  core.stop.clear();
  core.ready.changes.stop = "";
  core.directory_changed = true;
  core.reconcile_at_ms = core.now;
  core.ActAgain();
  return CommandOutcome{};
}

}  // namespace kezek::control
