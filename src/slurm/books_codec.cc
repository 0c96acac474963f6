#include "slurm/books_codec.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "slurm/codec.h"

namespace kezek::slurm {
namespace {

constexpr const char* kOrganization = "kezek";

// The list of this name, whatever the case of its letters: v0.0.38 has QOS. Null: it is not there.
const Json* FindList(const Json& body, std::string_view name) {
  for (const auto& [key, value] : body.items()) {
    if (SmallLetters(key) == name && value.is_array()) return &value;
  }
  return nullptr;
}

Result<Json> ReadList(long status, std::string_view body, const char* name) {
  auto parsed = ParseAnswer(body);
  if (parsed && parsed->error && parsed->error->number == kErrorNothingFound) return Json::array();
  const Json* list = parsed && !parsed->error ? FindList(parsed->body, name) : nullptr;
  if (list == nullptr || status != 200) return Unusable(status, body, parsed);
  return *list;
}

// Of the whole job. Memory is told in MiB.
void ReadAllocated(const Json& job, BookedRun* run) {
  for (const auto& item : ListAt(ObjectAt(job, "tres"), "allocated")) {
    if (!item.is_object()) continue;
    const std::string type = TextAt(item, "type");
    const std::int64_t count = std::max<std::int64_t>(IntegerAt(item, "count"), 0);
    if (type == "gres" && TextAt(item, "name") == "gpu") run->gpus = count;
    if (type == "cpu") run->cpus = count;
    if (type == "mem") run->memory_mib = count;
  }
}

// Of a record whose job has not ended.
bool IsOpen(const std::string& state) {
  return state == "PENDING" || state == "RUNNING" || state == "SUSPENDED";
}

std::optional<BookedRun> ReadRun(const Json& job) {
  if (!job.is_object()) return std::nullopt;
  const auto attempt = ParseClusterName(TextAt(job, "name"));
  const std::int64_t id = IntegerAt(job, "job_id");
  if (id <= 0 || IsMadeUp(job)) return std::nullopt;
  BookedRun run;
  run.cluster_job_id = id;
  if (attempt) run.attempt = *attempt;
  const auto comment = job.find("comment");
  run.tag = comment != job.end() && comment->is_object() ? TextAt(*comment, "job")
                                                         : TextAt(job, "comment");
  // The one it was, also when it could not be found out again.
  run.unix_account = TextAt(job, "user");
  if (run.unix_account.empty()) run.unix_account = TextAt(ObjectAt(job, "association"), "user");
  run.account = SmallLetters(TextAt(job, "account"));
  run.qos = SmallLetters(TextAt(job, "qos"));
  const auto states = WordsAt(ObjectAt(job, "state"), "current");
  const bool taken_back = IsTakenBack(ObjectAt(job, "state"));
  const std::string state = states.empty() || taken_back ? "" : states.front();
  const Json& time = ObjectAt(job, "time");
  const std::string nodes = TextAt(job, "nodes");
  const bool placed = !nodes.empty() && nodes != "None assigned";
  if (state != "PENDING" && placed) {
    run.start_ms = IntegerAt(time, "start") * kSecondMs;
    ReadAllocated(job, &run);
    run.granted = EvenPlacement(nodes, static_cast<std::int32_t>(run.gpus));
  }
  if (!IsOpen(state)) run.end_ms = IntegerAt(time, "end") * kSecondMs;
  return run;
}

std::string Dump(const Json& body) {
  return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string SmallLetters(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

Result<std::vector<std::string>> ParseNames(long status, std::string_view body, const char* list) {
  const auto read = ReadList(status, body, list);
  if (!read) return read.error();
  std::vector<std::string> names;
  for (const auto& entry : *read) {
    if (entry.is_object() && !TextAt(entry, "name").empty()) {
      names.push_back(TextAt(entry, "name"));
    }
  }
  return names;
}

Result<BookedMembers> ParseMembers(long status, std::string_view body, const std::string& cluster) {
  const auto list = ReadList(status, body, "associations");
  if (!list) return list.error();
  BookedMembers members;
  for (const auto& entry : *list) {
    if (!entry.is_object() || TextAt(entry, "cluster") != cluster) continue;
    if (!TextAt(entry, "partition").empty()) continue;  // of that partition alone
    const std::string account = SmallLetters(TextAt(entry, "account"));
    if (account.empty()) continue;
    std::set<std::string>& qos = members[{account, TextAt(entry, "user")}];
    for (const auto& name : ListAt(entry, "qos")) {
      if (name.is_string()) qos.insert(SmallLetters(name.get<std::string>()));
    }
  }
  return members;
}

Result<std::vector<BookedRun>> ParseRuns(long status, std::string_view body,
                                         const std::string& cluster) {
  std::vector<BookedRun> runs;
  const auto parsed = ParseAnswer(body, "jobs", [&](const Json& entry) {
    if (!entry.is_object()) return;
    const std::string its_cluster = TextAt(entry, "cluster");
    if (!cluster.empty() && !its_cluster.empty() && its_cluster != cluster) return;
    if (auto run = ReadRun(entry)) runs.push_back(*std::move(run));
  });
  if (parsed && parsed->error && parsed->error->number == kErrorNothingFound) {
    return std::vector<BookedRun>();
  }
  const bool usable =
      parsed && !parsed->error && status == 200 && FindList(parsed->body, "jobs") != nullptr;
  if (!usable) return Unusable(status, body, parsed);
  return runs;
}

Result<void> ParseMade(long status, std::string_view body) {
  const auto parsed = ParseAnswer(body);
  if (!parsed || parsed->error || status != 200) return Unusable(status, body, parsed);
  return {};
}

std::string AccountBody(const std::string& account, const std::string& description) {
  Json one = {{"name", account}, {"description", description}, {"organization", kOrganization}};
  return Dump({{"accounts", Json::array({one})}});
}

std::string AccountAssociationBody(const std::string& cluster, const std::string& account,
                                   const std::string& description) {
  Json condition = Json::object();
  condition["accounts"] = Json::array({account});
  condition["clusters"] = Json::array({cluster});
  return Dump({{"association_condition", condition},
               {"account", {{"description", description}, {"organization", kOrganization}}}});
}

std::string UserBody(const std::string& user, const std::string& account) {
  Json one = {{"name", user}, {"default", {{"account", account}}}};
  return Dump({{"users", Json::array({one})}});
}

std::string AssociationBody(const std::string& cluster, const std::string& user,
                            const std::string& account) {
  Json one = {{"account", account}, {"cluster", cluster}, {"user", user}};
  return Dump({{"associations", Json::array({one})}});
}

std::string UserAssociationBody(const std::string& cluster, const std::string& user,
                                const std::string& account, bool new_user) {
  Json condition = Json::object();
  condition["accounts"] = Json::array({account});
  condition["users"] = Json::array({user});
  condition["clusters"] = Json::array({cluster});
  Json defaults = Json::object();
  if (new_user) defaults["defaultaccount"] = account;
  return Dump({{"association_condition", condition}, {"user", defaults}});
}

}  // namespace kezek::slurm
