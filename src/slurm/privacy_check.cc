// slurmdbd has a PrivateData of its own, in slurmdbd.conf, and no request that tells it. So it is
// asked, as a user would, for what is not that user's.
#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "slurm/check_asker.h"

namespace kezek::slurm {
namespace {

constexpr const char* kPrivateData =
    "in slurmdbd.conf: PrivateData=accounts,events,jobs,reservations,usage,users\n"
    "systemctl restart slurmdbd";

// Of a list, the values of a field. None: that is not told. An answer without any is an empty list,
// as is a refusal.
std::optional<std::set<std::string>> Values(const HttpOutcome& outcome, const char* list,
                                            const char* field) {
  constexpr std::int64_t kAccessDenied = 2002;
  std::set<std::string> values;
  const auto parsed = ParseAnswer(outcome.body, list, [&](const Json& entry) {
    if (entry.is_object()) values.insert(TextAt(entry, field));
  });
  if (!parsed) return std::nullopt;
  if (!parsed->error && parsed->body.contains(list)) return values;
  if (!parsed->error) return std::nullopt;
  const bool none =
      parsed->error->number == kErrorNothingFound || parsed->error->number == kAccessDenied;
  return none ? std::optional(std::set<std::string>()) : std::nullopt;
}

bool IsAdmin(const HttpOutcome& outcome, const std::string& user) {
  bool admin = false;
  ParseAnswer(outcome.body, "users", [&](const Json& entry) {
    if (!entry.is_object() || TextAt(entry, "name") != user) return;
    for (const std::string& level : WordsAt(entry, "administrator_level")) {
      admin = admin || (level != "None" && level != "Not Set");
    }
  });
  return admin;
}

std::set<std::string> Without(std::set<std::string> names, const std::string& user) {
  names.erase(user);
  names.erase("");
  return names;
}

std::string Told(const std::string& user, const std::string& what,
                 const std::set<std::string>& others) {
  const std::string more = others.size() > 1 ? " and others" : "";
  return "slurmdbd tells " + user + " " + what + *others.begin() + more;
}

}  // namespace

Findings LookAtPrivacy(const CheckOptions& options, Clock& clock,
                       const std::shared_ptr<const View>& view) {
  Asker asker(options, clock);
  const auto api = asker.Api();
  if (!api) return NotSeen(api.error());
  std::string user = options.somebody ? options.somebody(view) : "";
  if (user.empty() || user == options.user) user = "nobody";
  const std::string path = "/slurmdb/" + *api;
  // An hour: where it is told, it is told of all.
  const std::string hour = path + "/jobs?start_time=now-3600seconds";
  const auto users = asker.Get(path + "/users", user);
  if (!users) return NotSeen(users.error());
  const auto jobs = asker.Get(hour, user);
  if (!jobs) return NotSeen(jobs.error());
  const auto all = asker.Get(hour);
  if (!all) return NotSeen(all.error());
  const auto named = Values(*users, "users", "name");
  const auto owners = Values(*jobs, "jobs", "user");
  const auto all_owners = Values(*all, "jobs", "user");
  const std::string by_hand = "look by hand: grep PrivateData slurmdbd.conf";
  if (!named || !owners || !all_owners) {
    return One(CheckState::kNotLookedAt, "slurmdbd does not answer in the name of " + user,
               by_hand);
  }
  if (IsAdmin(*users, user)) {
    return One(CheckState::kNotLookedAt,
               user + " is an administrator of slurmdbd, and may see everything", by_hand);
  }
  Findings findings;
  if (const auto others = Without(*named, user); !others.empty()) {
    findings.push_back({CheckState::kWarning, Told(user, "of the user ", others), kPrivateData});
  }
  if (const auto others = Without(*owners, user); !others.empty()) {
    findings.push_back({CheckState::kWarning, Told(user, "of jobs of ", others), kPrivateData});
  }
  if (!findings.empty()) return findings;
  // Who is nobody to slurmdbd is told of no jobs, whatever its jobs' privacy.
  if (!named->contains(user) || Without(*all_owners, user).empty()) {
    return One(CheckState::kNotLookedAt,
               "slurmdbd tells " + user + " of no other user; whether of their jobs, shows when " +
                   "others run some",
               by_hand);
  }
  return One(CheckState::kOk,
             "slurmdbd tells " + user + " of no other user, and no jobs of theirs");
}

}  // namespace kezek::slurm
