#include "postgres/site_checks.h"

#include <algorithm>
#include <exception>
#include <functional>
#include <map>
#include <pqxx/pqxx>
#include <utility>

#include "postgres/connection.h"
#include "postgres/migrations.h"

namespace kezek::postgres {
namespace {

constexpr int kOldestVersion = 150'000;
constexpr DurationMs kDatabaseSkewWarning = 2 * kSecondMs;
constexpr DurationMs kDatabaseSkewProblem = 60 * kSecondMs;
constexpr DurationMs kArchiveLate = kDayMs;

using Findings = std::vector<Finding>;
using Work = pqxx::transaction_base;

// The tables that only grow.
const std::string kGuarded =
    "(values ('events'), ('ledger'), ('epochs'), ('account_settings'),"
    " ('foreign_runs'))";

Findings OneFinding(CheckState state, std::string found, std::string mend = "") {
  return {{state, std::move(found), std::move(mend)}};
}

// With a time-out for making the connection; in either form of libpq's.
std::string Bounded(const std::string& conninfo) {
  if (!conninfo.starts_with("postgres")) return conninfo + " connect_timeout=5";
  const char* joint = conninfo.find('?') == std::string::npos ? "?" : "&";
  return conninfo + joint + "connect_timeout=5";
}

// A read-only look, bounded in time.
Findings With(const std::string& conninfo, const std::function<Findings(Work&)>& look) {
  try {
    const auto connection = Connect(Bounded(conninfo), "kezekd doctor");
    pqxx::read_transaction work(*connection);
    work.exec0("set local statement_timeout = '8s'");
    return look(work);
  } catch (const std::exception& error) {
    // What libpq says of a connection names hosts and users, never a password.
    return OneFinding(CheckState::kNotLookedAt, ErrorOf(error).message);
  }
}

std::string Setting(Work& work, const char* name) {
  return work.exec_params1("select coalesce(current_setting($1, true), '')", name)[0]
      .as<std::string>();
}

Findings LookAtServer(const std::string& conninfo) {
  try {
    const auto connection = Connect(Bounded(conninfo), "kezekd doctor");
    pqxx::read_transaction work(*connection);
    const int number = std::stoi(Setting(work, "server_version_num"));
    const std::string version = Setting(work, "server_version");
    if (number < kOldestVersion) {
      return OneFinding(CheckState::kProblem, "PostgreSQL " + version + " is too old",
                        "upgrade to PostgreSQL 15 or later");
    }
    const bool recovers = work.exec1("select pg_is_in_recovery()")[0].as<bool>();
    if (recovers) {
      return OneFinding(CheckState::kProblem, "the database is a standby's, and takes no writes",
                        "let database.url name the primary, or promote it: pg_ctl promote");
    }
    return OneFinding(CheckState::kOk, "PostgreSQL " + version + " answers");
  } catch (const std::exception& error) {
    return OneFinding(CheckState::kProblem, "no connection: " + ErrorOf(error).message,
                      "start PostgreSQL, or correct database.url; its log tells who was refused");
  }
}

std::string AlterSystem(const std::string& name, const std::string& value) {
  return "psql -c 'alter system set " + name + " = " + value + "' -c 'select pg_reload_conf()'";
}

// The command that takes a setting back where it is made: of the role, the database, or the server.
std::string Unset(Work& work, const std::string& name, const std::string& value) {
  const auto row = work.exec_params1(
      "select source, current_user, current_database() from pg_settings where name = $1", name);
  const auto source = row[0].as<std::string>();
  const auto role = row[1].as<std::string>();
  const auto database = row[2].as<std::string>();
  if (source == "user") return "psql -c 'alter role " + role + " reset " + name + "'";
  if (source == "database") return "psql -c 'alter database " + database + " reset " + name + "'";
  if (source == "database user") {
    return "psql -c 'alter role " + role + " in database " + database + " reset " + name + "'";
  }
  return AlterSystem(name, value);
}

Findings LookAtSettings(Work& work, int connections) {
  Findings findings;
  for (const char* name : {"fsync", "full_page_writes"}) {
    if (Setting(work, name) == "on") continue;
    findings.push_back({CheckState::kProblem,
                        std::string(name) + " is off: a power cut can destroy the database",
                        AlterSystem(name, "on")});
  }
  const std::string commit = Setting(work, "synchronous_commit");
  if (commit == "off" || commit == "local") {
    const bool off = commit == "off";
    findings.push_back({off ? CheckState::kProblem : CheckState::kWarning,
                        "synchronous_commit is " + commit +
                            (off ? ": a crash loses jobs that were acknowledged"
                                 : ": standbys may lack what was acknowledged"),
                        Unset(work, "synchronous_commit", "on")});
  }
  const int most = std::stoi(Setting(work, "max_connections")) -
                   std::stoi(Setting(work, "superuser_reserved_connections"));
  if (most < connections) {
    findings.push_back({CheckState::kProblem,
                        "max_connections leaves " + std::to_string(most) + ", and kezekd wants " +
                            std::to_string(connections),
                        AlterSystem("max_connections", std::to_string(2 * connections + 10)) +
                            "\nthen restart PostgreSQL"});
  }
  if (findings.empty()) {
    findings.push_back({CheckState::kOk, "what is committed is on disk; connections suffice", ""});
  }
  return findings;
}

// A statement for the database's owner or superuser.
std::string InDatabase(Work& work, const std::string& statement) {
  const auto database = work.exec1("select current_database()")[0].as<std::string>();
  return "psql -d " + database + " -c '" + statement + "'";
}

// Rights that the daemon's role has beyond what it needs, each as a finding.
void AddTooMany(Work& work, Findings* findings) {
  const auto role = work.exec1(
      "select rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls, rolname"
      " from pg_roles where rolname = current_user");
  const std::string name = role[5].as<std::string>();
  const std::pair<int, const char*> rights[] = {
      {0, "superuser"}, {1, "createdb"}, {2, "createrole"}, {3, "replication"}, {4, "bypassrls"}};
  for (const auto& [column, right] : rights) {
    if (!role[column].as<bool>()) continue;
    findings->push_back({CheckState::kProblem, "role " + name + " has " + right,
                         "psql -c 'alter role " + name + " no" + right + "'"});
  }
  if (role[0].as<bool>()) return;  // whoever may do all may do the rest
  for (const auto& row :
       work.exec("select t.name, c.relowner = r.oid or pg_has_role(r.oid, c.relowner, 'member')"
                 " from " +
                 kGuarded +
                 " t (name)"
                 " join pg_class c on c.oid = t.name::regclass"
                 " join pg_roles r on r.rolname = current_user")) {
    if (!row[1].as<bool>()) continue;
    findings->push_back(
        {CheckState::kProblem,
         "role " + name + " owns " + row[0].as<std::string>() + ", and could take away its guard",
         "kezekd runs as kezek_app\n" +
             InDatabase(
                 work, "alter table kezek." + row[0].as<std::string>() + " owner to kezek_owner")});
  }
  for (const auto& row : work.exec("select t.name, p.name from " + kGuarded +
                                   " t (name),"
                                   " (values ('UPDATE'), ('DELETE'), ('TRUNCATE')) p (name)"
                                   " where has_table_privilege(current_user, t.name, p.name)")) {
    const auto table = row[0].as<std::string>();
    const auto right = row[1].as<std::string>();
    findings->push_back(
        {CheckState::kProblem,
         "role " + name + " may " + right + " " + table + ", which only grows",
         InDatabase(work, "revoke " + right + " on kezek." + table + " from " + name)});
  }
}

void AddTooFew(Work& work, Findings* findings) {
  for (const auto& row : work.exec(
           "select t.name, p.name from (values ('jobs'), ('attempts'), ('events'), ('ledger'))"
           " t (name), (values ('SELECT'), ('INSERT')) p (name)"
           " where not has_table_privilege(current_user, t.name, p.name)")) {
    findings->push_back(
        {CheckState::kProblem,
         "kezekd's role may not " + row[1].as<std::string>() + " " + row[0].as<std::string>(),
         InDatabase(work, "grant " + row[1].as<std::string>() + " on kezek." +
                              row[0].as<std::string>() + " to kezek_app")});
  }
}

Findings LookAtRole(Work& work) {
  Findings findings;
  AddTooMany(work, &findings);
  AddTooFew(work, &findings);
  if (findings.empty()) {
    findings.push_back({CheckState::kOk, "the role may do what it must, and no more", ""});
  }
  return findings;
}

// The triggers that keep events and ledger from being changed by anybody.
Findings LookAtGuards(Work& work) {
  Findings findings;
  for (const auto& row : work.exec(
           "select t.name, g.name, coalesce(tg.tgenabled, 'X') from " + kGuarded +
           " t (name) cross join (values ('only_grows'), ('only_grows_whole')) g (name)"
           " left join pg_trigger tg on tg.tgrelid = t.name::regclass and tg.tgname = g.name")) {
    const auto state = row[2].as<std::string>();
    if (state == "O" || state == "A") continue;
    const auto table = row[0].as<std::string>();
    const auto trigger = row[1].as<std::string>();
    findings.push_back(
        {CheckState::kProblem,
         "table " + table + " can be changed: its guard " + trigger +
             (state == "X" ? " is gone" : " is off"),
         "find out who did it, and what was changed since\n" +
             InDatabase(work, "alter table kezek." + table + " enable trigger " + trigger)});
  }
  if (findings.empty()) {
    findings.push_back({CheckState::kOk, "events and ledger only grow", ""});
  }
  return findings;
}

Findings LookAtSchema(const std::string& conninfo) {
  const auto checked = CheckSchema(Bounded(conninfo));
  const int newest = Migrations().back().version;
  if (checked) {
    return OneFinding(CheckState::kOk, "schema version " + std::to_string(newest));
  }
  if (checked.error().code == Code::kUnavailable) {
    return OneFinding(CheckState::kNotLookedAt, checked.error().message);
  }
  return OneFinding(CheckState::kProblem, checked.error().message,
                    "start kezekd of the version that the database is for, or let it migrate: "
                    "database.migrate_url");
}

Findings LookAtDatabaseClock(Work& work, Clock& clock) {
  const TimeMs before = clock.Now();
  const auto told =
      work.exec1("select (extract(epoch from clock_timestamp()) * 1000)::bigint")[0].as<TimeMs>();
  const TimeMs after = clock.Now();
  const DurationMs skew = std::max({DurationMs{0}, before - told, told - after});
  if (skew <= kDatabaseSkewWarning) {
    return OneFinding(CheckState::kOk, "the database's clock is this host's, to 2 s");
  }
  return OneFinding(skew > kDatabaseSkewProblem ? CheckState::kProblem : CheckState::kWarning,
                    "the database's clock is " + std::to_string(skew / kSecondMs) + " s " +
                        (told > after ? "ahead" : "behind"),
                    "let both hosts follow the same time: chronyc tracking, timedatectl");
}

Findings LookAtBackups(Work& work, Clock& clock) {
  if (Setting(work, "archive_mode") == "off") {
    return OneFinding(CheckState::kNotLookedAt,
                      "no archive of WAL; copies made otherwise cannot be seen from here",
                      "docs/operating.md says how to back the database up");
  }
  const auto row = work.exec1(
      "select coalesce((extract(epoch from last_archived_time) * 1000)::bigint, 0),"
      " coalesce(last_failed_time > coalesce(last_archived_time, '-infinity'), false),"
      " coalesce(last_failed_wal, '') from pg_stat_archiver");
  const auto last = row[0].as<TimeMs>();
  if (row[1].as<bool>()) {
    return OneFinding(CheckState::kProblem,
                      "archiving WAL fails, last of " + row[2].as<std::string>(),
                      "PostgreSQL's log tells what archive_command says");
  }
  if (last == 0) return OneFinding(CheckState::kWarning, "no WAL has been archived yet");
  const DurationMs ago = clock.Now() - last;
  const std::string age = std::to_string(std::max<DurationMs>(0, ago) / kMinuteMs) + " min ago";
  if (ago > kArchiveLate) {
    return OneFinding(CheckState::kWarning, "the last WAL was archived " + age,
                      "set archive_timeout, so that little is lost with the server");
  }
  return OneFinding(CheckState::kOk, "the last WAL was archived " + age);
}

}  // namespace

std::vector<SiteCheck> DatabaseChecks(const std::string& conninfo, int connections, Clock& clock) {
  std::vector<SiteCheck> checks;
  const auto add = [&](const char* name, std::function<Findings(Work&)> look) {
    checks.push_back(
        {name, [conninfo, look = std::move(look)](const auto&) { return With(conninfo, look); }});
  };
  checks.push_back({"database-server", [conninfo](const auto&) { return LookAtServer(conninfo); }});
  add("database-settings", [connections](Work& work) { return LookAtSettings(work, connections); });
  add("database-role", &LookAtRole);
  add("database-guards", &LookAtGuards);
  checks.push_back({"database-schema", [conninfo](const auto&) { return LookAtSchema(conninfo); }});
  add("database-clock", [&clock](Work& work) { return LookAtDatabaseClock(work, clock); });
  add("database-backup", [&clock](Work& work) { return LookAtBackups(work, clock); });
  return checks;
}

}  // namespace kezek::postgres
