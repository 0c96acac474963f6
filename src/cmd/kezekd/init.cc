#include "cmd/kezekd/init.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "cmd/kezekd/system_clock.h"
#include "postgres/migrations.h"
#include "postgres/postgres_store.h"
#include "rpc/tokens.h"
#include "rpc/user_rules.h"

namespace kezek::kezekd {
namespace {

Result<void> WriteSecret(const std::string& path, const std::string& secret) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) {
    return Error{Code::kFailedPrecondition,
                 "--token-file: cannot make " + path + ": " + std::strerror(errno),
                 {}};
  }
  const std::string line = secret + "\n";
  const bool written = write(file, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  const bool durable = written && fsync(file) == 0;
  close(file);
  if (!durable) return Error{Code::kInternal, "--token-file: cannot write " + path, {}};
  return {};
}

bool IsAdmin(const User& user) {
  return !user.disabled && std::any_of(user.roles.begin(), user.roles.end(),
                                       [](const auto& g) { return g.role == Role::kClusterAdmin; });
}

template <class Rows>
std::int64_t NextId(const Rows& rows) {
  std::int64_t last = 0;
  for (const auto& row : rows) last = std::max(last, row.id.value);
  return last + 1;
}

Event Made(Subject subject, const std::string& name, TimeMs now) {
  Event event;
  event.time_ms = now;
  event.subject = subject;
  event.name = name;
  event.to = "created";
  event.reason.code = ReasonCode::kUpdated;
  event.reason.fields = {{"field", "first admin"}, {"to", name}};
  event.actor = "kezek";
  return event;
}

}  // namespace

Result<std::string> Init(const config::Config& config, const std::string& admin,
                         const std::string& token_file) {
  const auto name = rpc::CheckUserName(admin);
  if (!name) return name.error();
  SystemClock clock;
  const std::string& owner =
      config.database.migrate_url.empty() ? config.database.url : config.database.migrate_url;
  const auto migrated = postgres::Migrate(owner, clock);
  if (!migrated) return migrated.error();
  postgres::StoreOptions options;
  options.conninfo = config.database.url;
  postgres::PostgresStore store(options, clock, {});
  const auto snapshot = store.Lead();
  if (!snapshot) return snapshot.error();
  const auto known = std::find_if(snapshot->users.begin(), snapshot->users.end(),
                                  [&](const User& user) { return user.name == admin; });
  const bool is_admin = known != snapshot->users.end() && IsAdmin(*known);
  for (const User& user : snapshot->users) {
    if (!IsAdmin(user)) continue;
    if (!is_admin) {
      return Error{Code::kFailedPrecondition,
                   "--admin: there is a cluster admin already: " + user.name + "; --admin " +
                       user.name + " makes a new token for this one",
                   {}};
    }
    if (access(token_file.c_str(), F_OK) == 0) {
      return "nothing to do: " + admin + " is a cluster admin, and " + token_file + " is there";
    }
  }
  if (!is_admin && known != snapshot->users.end()) {
    return Error{
        Code::kFailedPrecondition, "--admin: " + admin + " is a user without that role", {}};
  }
  const auto secret = rpc::MakeSecret();
  if (!secret) return secret.error();
  const auto written = WriteSecret(token_file, *secret);
  if (!written) return written.error();

  const TimeMs now = clock.Now();
  Changes changes;
  User user{.id = UserId{NextId(snapshot->users)}, .name = admin, .display_name = "first admin"};
  user.roles = {{Role::kClusterAdmin, kRootAccount}};
  if (is_admin) user.id = known->id;
  Token token{.id = TokenId{NextId(snapshot->tokens)},
              .user = user.id,
              .label = "kezekd init",
              .hash = rpc::HashToken(*secret),
              .created_ms = now,
              .expires_ms = now + config.limits.token_lifetime_ms};
  if (!is_admin) changes.users.push_back(std::move(user));
  changes.tokens.push_back(std::move(token));
  changes.events.push_back(is_admin ? Made(Subject::kToken, std::to_string(token.id.value), now)
                                    : Made(Subject::kUser, admin, now));
  const auto committed = store.Commit(changes);
  if (!committed) {
    unlink(token_file.c_str());
    return committed.error();
  }
  return is_admin ? "made a new token for " + admin + ", in " + token_file
                  : "made cluster admin " + admin + ", token in " + token_file;
}

}  // namespace kezek::kezekd
