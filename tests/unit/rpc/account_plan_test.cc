// Goal: changes of accounts come to what they say and no more: exporting and applying changes
// nothing, a revert brings back exactly what was, the history says every field, and who administers
// an institution rules below it and nowhere else. Method: the tree of the tests, and random trees
// whose changes are planned and carried out by a desk of one line; no server. KEZEK_SEEDS says how
// many trees (200), KEZEK_SEED takes one.

#include "rpc/account_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "rpc/account_convert.h"
#include "rpc/account_past.h"
#include "tests/property/seeds.h"
#include "tests/unit/rpc/rpc_world.h"

namespace kezek::rpc {
namespace {

Caller As(const World& world, const std::string& user) {
  auto caller =
      Authorise("/kezek.v1.QuotaService/ApplyAccounts", world.Bearer(user), world.MakeView(), 1);
  KEZEK_CHECK(caller.has_value(), user + " may not apply");
  return std::move(*caller);
}

void Reindex(Directory* directory) {
  directory->account_by_path.clear();
  directory->settings_version = 0;
  for (const auto& [id, account] : directory->accounts) {
    directory->account_by_path[PathOf(*directory, id)] = id;
    directory->settings_version = std::max(directory->settings_version, account.version);
  }
}

// Carries a command out, as the desk would, and keeps the history.
void Carry(World* world, const PutAccounts& put, std::vector<AccountVersion>* history) {
  Directory& directory = world->directory;
  const std::int64_t version = directory.settings_version + 1;
  for (const auto& item : put.accounts) {
    Account account = item.account;
    if (!account.id) account.id = AccountId{directory.accounts.rbegin()->first.value + 1};
    if (!item.parent_path.empty()) {
      account.parent = directory.account_by_path.at(item.parent_path);
    }
    account.version = version;
    directory.accounts[account.id] = account;
    directory.account_by_path[PathOf(directory, account.id)] = account.id;
    history->push_back({account, World::kRoot, version * 100, put.reason});
  }
  Reindex(&directory);
}

std::vector<AccountVersion> Beginning(const World& world) {
  std::vector<AccountVersion> history;
  for (const auto& [id, account] : world.directory.accounts) {
    history.push_back({account, {}, 100, "the beginning"});
  }
  return history;
}

// What `kezek admin export` and `apply` make of the tree as it is.
v1::ApplyAccountsRequest Exported(const Directory& directory) {
  v1::ApplyAccountsRequest request;
  for (const auto& [id, account] : directory.accounts) {
    const v1::Account wire = ToWire(directory, account);
    v1::AccountChange& change = *request.add_changes();
    change.set_path(wire.path());
    change.set_kind(wire.kind());
    change.set_title(wire.title());
    *change.mutable_attributes() = wire.attributes();
    *change.mutable_settings() = wire.settings();
    change.set_closed(wire.closed());
  }
  request.set_reason("as it is");
  return request;
}

std::string Outcome(const World& world, const std::string& user,
                    const v1::ApplyAccountsRequest& request) {
  const auto plan = PlanAccounts(As(world, user), request);
  if (plan) return "ok";
  const FieldError& detail = plan.error().details.at(0);
  return detail.field + " " + detail.reason;
}

v1::AccountChange Change(const std::string& path, const std::string& move_to = "") {
  v1::AccountChange change;
  change.set_path(path);
  change.set_kind("project");
  change.set_title("changed");
  change.set_move_to(move_to);
  return change;
}

TEST(InstitutionAdmins, RuleBelowTheirInstitutionAndNowhereElse) {
  const World world;
  struct Row {
    const char* path;
    const char* move_to;
    const char* outcome;
  };
  const std::vector<Row> rows = {
      {"universities/kaznu/nlp", "", "ok"},
      {"universities/kaznu/fresh", "", "ok"},
      {"universities/kaznu/nlp", "universities/kaznu/speech", "ok"},
      {"universities/kaznu", "", " NOT_ADMINISTRATOR"},  // what was given to them
      {"universities", "", " NOT_ADMINISTRATOR"},
      {"universities/other", "", " NOT_ADMINISTRATOR"},  // a sibling, whether or not there is one
      {"firms/acme/bot", "", " NOT_ADMINISTRATOR"},
      {"firms/acme/none", "", " NOT_ADMINISTRATOR"},
      {"", "", " NOT_ADMINISTRATOR"},
      {"universities/kaznu/nlp", "universities/nlp", " NOT_ADMINISTRATOR"},
      {"universities/kaznu/nlp", "firms/acme/nlp", " NOT_ADMINISTRATOR"},
      {"firms/acme/bot", "universities/kaznu/bot", " NOT_ADMINISTRATOR"},
  };
  for (const Row& row : rows) {
    v1::ApplyAccountsRequest request;
    *request.add_changes() = Change(row.path, row.move_to);
    EXPECT_EQ(Outcome(world, "chief@kaznu", request), row.outcome)
        << row.path << " → " << row.move_to;
  }
}

// The export has the accounts above the institution, and itself.
TEST(InstitutionAdmins, ApplyTheirOwnExport) {
  World world;
  world.directory.accounts.at(World::kKaznu).settings.shares["h200"].guarantee_milli = 4'000;
  v1::ApplyAccountsRequest request = Exported(world.directory);
  auto& changes = *request.mutable_changes();
  changes.erase(std::remove_if(changes.begin(), changes.end(),
                               [](const v1::AccountChange& change) {
                                 return change.path().starts_with("firms");
                               }),
                changes.end());
  EXPECT_EQ(Outcome(world, "chief@kaznu", request), "ok");
  for (v1::AccountChange& change : changes) {
    if (change.path() == "universities/kaznu/nlp") change.set_title("new");
  }
  const auto plan = PlanAccounts(As(world, "chief@kaznu"), request);
  ASSERT_TRUE(plan.has_value()) << plan.error().message;
  ASSERT_EQ(plan->command.accounts.size(), 1U) << "and changes what is theirs";
  for (v1::AccountChange& change : changes) {
    if (change.path() == "universities/kaznu") {
      (*change.mutable_settings()->mutable_shares())["h200"].set_guarantee_milli_gpus(5'000);
    }
  }
  const auto own = PlanAccounts(As(world, "chief@kaznu"), request);
  ASSERT_FALSE(own.has_value());
  EXPECT_EQ(own.error().details.at(0).message,
            "the settings of 'universities/kaznu' itself, its weight, guarantee, limits and "
            "budgets, are set by those who administer the account above it; yours are those of "
            "what is below");
  *request.add_changes() = Exported(world.directory).changes(5);
  ASSERT_TRUE(request.changes().rbegin()->path().starts_with("firms"));
  EXPECT_NE(Outcome(world, "chief@kaznu", request), "ok") << "what one does not see is no export";
}

TEST(InstitutionAdmins, DoNotChooseTheNamesInSlurm) {
  World world;
  world.directory.accounts.at(World::kNlp).settings.slurm_account = "kaznu";
  v1::ApplyAccountsRequest request;
  *request.add_changes() = Change("universities/kaznu/nlp");
  v1::AccountSettings& settings = *request.mutable_changes(0)->mutable_settings();
  settings.set_slurm_account("kaznu");
  EXPECT_EQ(Outcome(world, "chief@kaznu", request), "ok") << "as it is";
  settings.set_slurm_account("ministry");
  EXPECT_EQ(Outcome(world, "chief@kaznu", request),
            "changes[0].settings.slurm_account NOT_ADMINISTRATOR");
  EXPECT_EQ(Outcome(world, "root@kezek", request), "ok");
  settings.set_slurm_account("kaznu");
  settings.set_slurm_qos("high");
  EXPECT_EQ(Outcome(world, "chief@kaznu", request),
            "changes[0].settings.slurm_qos NOT_ADMINISTRATOR");
}

TEST(InstitutionAdmins, CloseWhatTheirFileDoesNotNameAndNoOthers) {
  const World world;
  v1::ApplyAccountsRequest request;
  *request.add_changes() = Change("universities/kaznu/nlp");
  request.set_complete_below("universities/kaznu");
  const auto plan = PlanAccounts(As(world, "chief@kaznu"), request);
  ASSERT_TRUE(plan.has_value());
  ASSERT_EQ(plan->command.accounts.size(), 2U);
  EXPECT_EQ(plan->command.accounts[1].account.id, World::kCv);
  EXPECT_TRUE(plan->command.accounts[1].account.closed);
  request.set_complete_below("universities");
  EXPECT_EQ(Outcome(world, "chief@kaznu", request), " NOT_ADMINISTRATOR");
  request.set_complete_below("universities/kaznu/none");
  EXPECT_EQ(Outcome(world, "chief@kaznu", request), "complete_below ACCOUNT_NOT_FOUND");
}

TEST(AccountPlan, SaysEveryFieldThatChanges) {
  const World world;
  v1::ApplyAccountsRequest request;
  v1::AccountChange& change = *request.add_changes();
  change.set_path("universities/kaznu/nlp");
  change.set_move_to("firms/speech");
  (*change.mutable_attributes())["country"] = "KZ";
  v1::Share& share = (*change.mutable_settings()->mutable_shares())["h200"];
  share.set_guarantee_milli_gpus(48'000);
  change.mutable_settings()->add_job_classes("debug");
  const auto plan = PlanAccounts(As(world, "root@kezek"), request);
  ASSERT_TRUE(plan.has_value()) << plan.error().message;
  std::vector<std::string> said;
  for (const auto& field : plan->changes) {
    said.push_back(field.account() + " " + field.field() + " " + field.before() + " " +
                   field.after());
  }
  EXPECT_EQ(said, (std::vector<std::string>{
                      "firms/speech path \"universities/kaznu/nlp\" \"firms/speech\"",
                      "firms/speech attributes[country]  \"KZ\"",
                      "firms/speech settings.shares[h200].weight_milli  1000",
                      "firms/speech settings.shares[h200].guarantee_milli_gpus 0 48000",
                      "firms/speech settings.job_classes  [\"debug\"]"}));
  EXPECT_EQ(plan->command.accounts.at(0).account.id, World::kNlp) << "with its history";
}

TEST(AccountPlan, MovesToWhatTheSameRequestMakes) {
  World world;
  v1::ApplyAccountsRequest request;
  *request.add_changes() = Change("universities/kaznu/nlp", "research/ai/nlp");
  *request.add_changes() = Change("research/ai");
  request.mutable_changes(1)->set_kind("institution");
  *request.add_changes() = Change("research");
  request.mutable_changes(2)->set_kind("sector");
  const auto plan = PlanAccounts(As(world, "root@kezek"), request);
  ASSERT_TRUE(plan.has_value()) << plan.error().message;
  auto history = Beginning(world);
  Carry(&world, plan->command, &history);
  EXPECT_EQ(PathOf(world.directory, World::kNlp), "research/ai/nlp");
  const auto outcome = [&](const v1::AccountChange& change) {
    v1::ApplyAccountsRequest one;
    *one.add_changes() = change;
    return Outcome(world, "root@kezek", one);
  };
  EXPECT_EQ(outcome(Change("firms/none", "firms/x")), "changes[0].path ACCOUNT_NOT_FOUND");
  EXPECT_EQ(outcome(Change("firms/acme/bot", "none/x")), "changes[0].move_to ACCOUNT_NOT_FOUND");
  EXPECT_EQ(outcome(Change("", "firms/x")), "changes[0].move_to FIELD_INVALID");
}

TEST(AccountPlan, NothingIsMovedBelowItself) {
  World world;
  world.directory.accounts.at(World::kNlp).settings.dedicated_nodes = {"n01"};
  const auto outcome = [&](const std::vector<v1::AccountChange>& changes) {
    v1::ApplyAccountsRequest request;
    for (const v1::AccountChange& change : changes) *request.add_changes() = change;
    return Outcome(world, "chief@kaznu", request);
  };
  const std::string nlp = "universities/kaznu/nlp";
  const std::string cv = "universities/kaznu/cv";
  EXPECT_EQ(outcome({Change(nlp, nlp + "/x")}), "changes[0].path CYCLE");
  EXPECT_EQ(outcome({Change(cv), Change(nlp, nlp + "/x/y"), Change(nlp + "/x")}),
            "changes[2].path CYCLE");
  EXPECT_EQ(outcome({Change(nlp, cv + "/nlp"), Change(cv, nlp + "/cv")}),
            "changes[1].path NO_SUCH_ACCOUNT")
      << "cv is no longer there when the other hangs below it";
  EXPECT_EQ(outcome({Change(nlp, cv + "/nlp")}), "ok");
}

TEST(AccountPlan, AnAccountThatOthersChangedIsNotChangedAgain) {
  World world;
  world.directory.accounts.at(World::kNlp).version = 7;
  v1::ApplyAccountsRequest request;
  request.add_changes()->set_path("universities/kaznu/nlp");
  request.set_base_version(6);
  EXPECT_EQ(Outcome(world, "root@kezek", request), "ok") << "it is as the request has it";
  *request.mutable_changes(0) = Change("universities/kaznu/nlp");
  EXPECT_EQ(Outcome(world, "root@kezek", request), "base_version VERSION_CHANGED");
  request.set_base_version(7);
  EXPECT_EQ(Outcome(world, "root@kezek", request), "ok");
}

// A random change of what there is, by somebody who administers the cluster.
v1::ApplyAccountsRequest RandomChanges(std::mt19937_64& random, const Directory& directory) {
  v1::ApplyAccountsRequest request;
  request.set_reason("change " + std::to_string(random() % 1000));
  for (const auto& [path, id] : directory.account_by_path) {
    if (id == kRootAccount || random() % 3 != 0) continue;
    v1::AccountChange& change = *request.add_changes();
    change.set_path(path);
    if (random() % 2 == 0) change.set_title("title " + std::to_string(random() % 5));
    if (random() % 2 == 0) change.set_closed(random() % 2 == 0);
    if (random() % 2 == 0) (*change.mutable_attributes())["country"] = random() % 2 ? "KZ" : "";
    v1::AccountSettings& settings = *change.mutable_settings();
    v1::Share& share = (*settings.mutable_shares())["h200"];
    share.set_weight_milli(static_cast<std::int64_t>(random() % 5) * 500 + 1);
    if (random() % 2 == 0) share.set_target_ppm(static_cast<std::int64_t>(random() % 1'000'000));
    if (random() % 2 == 0) settings.mutable_user_limits()->set_jobs_queued(5);
    if (random() % 2 == 0) settings.add_job_classes("debug");
    if (directory.accounts.at(id).kind == "project" && random() % 3 == 0) {
      change.set_move_to("firms/acme/m" + std::to_string(random() % 1'000'000'000));
    }
  }
  return request;
}

TEST(AccountPlan, WhatIsExportedChangesNothingAndWhatWasComesBack) {
  property::ForEachSeed([](std::uint64_t seed) {
    std::mt19937_64 random(seed);
    World world;
    auto history = Beginning(world);
    std::map<std::int64_t, std::map<AccountId, Account>> states;
    for (int step = 0; step < 5; ++step) {
      auto plan = PlanAccounts(As(world, "root@kezek"), RandomChanges(random, world.directory));
      ASSERT_TRUE(plan.has_value()) << "seed " << seed << ": " << plan.error().message;
      if (plan->command.accounts.empty()) continue;
      Carry(&world, plan->command, &history);
      states[world.directory.settings_version] = world.directory.accounts;
      plan = PlanAccounts(As(world, "root@kezek"), Exported(world.directory));
      ASSERT_TRUE(plan.has_value()) << "seed " << seed << ": " << plan.error().message;
      EXPECT_TRUE(plan->changes.empty())
          << "seed " << seed << ": " << plan->changes[0].ShortDebugString();
    }
    for (const auto& [version, state] : states) {
      const auto past = AccountsAt(history, version, "to_version");
      ASSERT_TRUE(past.has_value());
      EXPECT_TRUE(*past == state) << "seed " << seed;
      v1::RevertAccountsRequest request;
      request.set_reason("back");
      const auto plan = PlanRevert(As(world, "root@kezek"), kRootAccount, *past, request);
      ASSERT_TRUE(plan.has_value()) << "seed " << seed << ": " << plan.error().message;
      Carry(&world, plan->command, &history);
      for (const auto& [id, account] : world.directory.accounts) {
        Account now = account;
        now.version = state.at(id).version;
        EXPECT_TRUE(now == state.at(id)) << "seed " << seed << ", account " << id.value;
      }
    }
  });
}

TEST(Revert, ClosesWhatWasMadeSinceAndIsWithinWhatOneRules) {
  World world;
  auto history = Beginning(world);
  v1::ApplyAccountsRequest request;
  *request.add_changes() = Change("universities/kaznu/fresh");
  *request.add_changes() = Change("firms/acme/bot");
  auto plan = PlanAccounts(As(world, "root@kezek"), request);
  ASSERT_TRUE(plan.has_value());
  Carry(&world, plan->command, &history);
  const auto past = AccountsAt(history, 1, "to_version");
  ASSERT_TRUE(past.has_value());
  plan = PlanRevert(As(world, "chief@kaznu"), World::kKaznu, *past, {});
  ASSERT_TRUE(plan.has_value()) << plan.error().message;
  ASSERT_EQ(plan->changes.size(), 1U);
  EXPECT_EQ(plan->changes[0].account(), "universities/kaznu/fresh");
  EXPECT_EQ(plan->changes[0].field(), "closed");
  EXPECT_EQ(PlanRevert(As(world, "chief@kaznu"), kRootAccount, *past, {}).error().details[0].reason,
            "NOT_ADMINISTRATOR");
  EXPECT_EQ(AccountsAt(history, 3, "to_version").error().details[0].reason, "VERSION_NOT_FOUND");
  EXPECT_EQ(AccountsAt(history, 0, "to_version").error().details[0].reason, "VERSION_NOT_FOUND");
}

TEST(InRequest, WhatPassesAParentIsAtItsChildsChangeOrItsOwn) {
  const Error refused = FieldProblem(
      Code::kInvalidArgument,
      {"settings.shares[h200].guarantee_milli_gpus",
       "ABOVE_PARENT",
       "come to 5",
       {{"account", "universities/kaznu/nlp"}, {"parent_account", "universities/kaznu"}}});
  v1::ApplyAccountsRequest request;
  const auto of = [&request, &refused] {
    const FieldError detail = InRequest(request, refused).details.at(0);
    return detail.field + ": " + detail.message;
  };
  EXPECT_EQ(of(), "changes: account 'universities/kaznu/nlp': come to 5");
  request.add_changes()->set_path("universities/kaznu");
  EXPECT_EQ(of(),
            "changes[0].settings.shares[h200].guarantee_milli_gpus: account 'universities/kaznu': "
            "come to 5")
      << "the parent was cut";
  request.add_changes()->set_path("universities/kaznu/nlp");
  EXPECT_EQ(of(),
            "changes[1].settings.shares[h200].guarantee_milli_gpus: account "
            "'universities/kaznu/nlp': come to 5");
}

TEST(History, ShowsEachOnlyWhatTheyReach) {
  World world;
  auto history = Beginning(world);
  v1::ApplyAccountsRequest request;
  request.set_reason("order 5");
  *request.add_changes() = Change("universities/kaznu/nlp", "universities/kaznu/speech");
  *request.add_changes() = Change("firms/acme/bot");
  const auto plan = PlanAccounts(As(world, "root@kezek"), request);
  ASSERT_TRUE(plan.has_value());
  Carry(&world, plan->command, &history);
  const auto all = ChangesOf(As(world, "root@kezek"), history, kRootAccount, {});
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].version(), 2);
  EXPECT_EQ(all[0].actor(), "root@kezek");
  EXPECT_EQ(all[0].reason(), "order 5");
  EXPECT_EQ(all[0].changes_size(), 3);
  EXPECT_EQ(all[1].actor(), "kezek");
  const auto theirs = ChangesOf(As(world, "chief@kaznu"), history, kRootAccount, {});
  ASSERT_EQ(theirs.size(), 2U);
  ASSERT_EQ(theirs[0].changes_size(), 2);
  EXPECT_EQ(theirs[0].changes(0).field(), "path");
  EXPECT_EQ(theirs[0].changes(0).before(), "\"universities/kaznu/nlp\"");
  v1::TimeRange early;
  early.set_until_ms(200);
  EXPECT_EQ(ChangesOf(As(world, "root@kezek"), history, kRootAccount, early).size(), 1U);
  EXPECT_TRUE(ChangesOf(As(world, "root@kezek"), history, World::kCv, {}).at(0).version() == 1);
}

TEST(History, HasRolesWhereTheyWereChanged) {
  v1::SettingsChange old;
  old.set_version(1);
  old.set_time_ms(100);
  v1::SettingsChange late = old;
  late.set_version(2);
  late.set_time_ms(300);
  std::vector<v1::SettingsChange> changes = {late, old};
  Event given;
  given.time_ms = 200;
  given.subject = Subject::kUser;
  given.name = "chief@kaznu";
  given.actor = "root@kezek";
  given.reason = {ReasonCode::kUpdated,
                  {{"field", "roles"}, {"from", "none"}, {"to", "auditor"}, {"text", "order 6"}}};
  AddRoleChanges({given}, &changes);
  ASSERT_EQ(changes.size(), 3U);
  EXPECT_EQ(changes[0].version(), 2);
  EXPECT_EQ(changes[2].version(), 1);
  EXPECT_EQ(changes[1].version(), 0) << "no version of the settings";
  EXPECT_EQ(changes[1].actor(), "root@kezek");
  EXPECT_EQ(changes[1].reason(), "order 6");
  EXPECT_EQ(changes[1].changes(0).field(), "roles[chief@kaznu]");
  EXPECT_EQ(changes[1].changes(0).before(), "\"none\"");
  EXPECT_EQ(changes[1].changes(0).after(), "\"auditor\"");
}

}  // namespace
}  // namespace kezek::rpc
