#include "slurm/books.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "slurm/api_version.h"
#include "slurm/books_codec.h"
#include "slurm/codec.h"
#include "slurm/credential.h"
#include "slurm/http.h"

namespace kezek::slurm {
namespace {

// slurmrestd may run on another host: times are asked for with so much more on either side.
constexpr DurationMs kClockMargin = 10 * kSecondMs;
constexpr std::string_view kFirstRelease = "v0.0.38";

// "now-90seconds", which needs no time zone: v0.0.38 takes no other times but local ones.
std::string Ago(TimeMs time_ms, TimeMs now) {
  const DurationMs ago = std::max<DurationMs>(now - time_ms, 0);
  return "now-" + std::to_string(ago / kSecondMs) + "seconds";
}

}  // namespace

struct SlurmBooks::State {
  State(BooksOptions with, Clock& system_clock)
      : options(std::move(with)),
        clock(system_clock),
        credential({options.token_file, options.jwt_key_file, options.user}, system_clock),
        client({.url = options.url, .meter = options.meter}, credential) {}

  Result<std::string> Api();
  Result<HttpOutcome> Do(const std::string& method, const std::string& tail, std::string body,
                         std::string about);
  Result<HttpOutcome> Get(const std::string& tail) { return Do("GET", tail, "", ""); }
  Result<void> Post(const std::string& tail, std::string body, std::string about);
  Result<std::string> Cluster();
  Result<void> Associate(const std::string& unix_account, const std::string& account, bool is_new);
  Result<void> ReadInto(const std::string& tail, const char* list, std::set<std::string>* names);

  BooksOptions options;
  Clock& clock;
  Credential credential;
  HttpClient client;
  std::mutex mutex;
  std::string api;      // empty: not known yet
  std::string cluster;  // empty: not known yet
};

Result<std::string> SlurmBooks::State::Api() {
  if (!api.empty()) return api;
  auto found = FindApi(client, options.user, options.request_timeout_ms);
  if (!found) return found;
  api = *found;
  return api;
}

Result<HttpOutcome> SlurmBooks::State::Do(const std::string& method, const std::string& tail,
                                          std::string body, std::string about) {
  const auto version = Api();
  if (!version) {
    return version.error();
  }
  HttpRequest request;
  request.method = method;
  request.path = "/slurmdb/" + *version + tail;
  request.body = std::move(body);
  request.user = options.user;
  request.about = std::move(about);
  request.timeout_ms = options.request_timeout_ms;
  request.once = method != "GET";
  HttpOutcome outcome = client.Do(request);
  if (outcome.kind != HttpOutcome::Kind::kAnswered) {
    api.clear();  // another release may be there when it is back
    return NoAnswer(outcome);
  }
  if (outcome.status == 404 && !ParseAnswer(outcome.body)) {
    api.clear();
    // Another release may be there since it was chosen; nothing was done then.
    const auto now = Api();
    if (now && *now != *version) return Do(method, tail, request.body, request.about);
    return FieldProblem(Code::kFailedPrecondition,
                        {"",
                         "NO_BOOKS",
                         "slurmrestd does not serve slurmdbd's records: it wants the plugin "
                         "openapi/dbv0.0.38 (22.05) or openapi/slurmdbd",
                         {}});
  }
  return outcome;
}

Result<void> SlurmBooks::State::Post(const std::string& tail, std::string body, std::string about) {
  const auto outcome = Do("POST", tail, std::move(body), std::move(about));
  if (!outcome) return outcome.error();
  return ParseMade(outcome->status, outcome->body);
}

Result<std::string> SlurmBooks::State::Cluster() {
  if (!cluster.empty()) return cluster;
  const auto outcome = Get("/clusters");
  if (!outcome) return outcome.error();
  const auto names = ParseNames(outcome->status, outcome->body, "clusters");
  if (!names) return names.error();
  const bool known = std::find(names->begin(), names->end(), options.cluster) != names->end();
  if (names->size() != 1 && !known) {
    std::string all;
    for (const std::string& name : *names) all += (all.empty() ? "" : ", ") + name;
    return FieldProblem(
        Code::kFailedPrecondition,
        {"",
         "NO_BOOKS",
         names->empty() ? "slurmdbd knows no cluster"
                        : "slurmdbd knows the clusters " + all +
                              ", and none has this cluster's name, '" + options.cluster + "'",
         {}});
  }
  cluster = known ? options.cluster : names->front();
  return cluster;
}

Result<void> SlurmBooks::State::ReadInto(const std::string& tail, const char* list,
                                         std::set<std::string>* names) {
  const auto outcome = Get(tail);
  if (!outcome) return outcome.error();
  const auto read = ParseNames(outcome->status, outcome->body, list);
  if (!read) return read.error();
  names->insert(read->begin(), read->end());
  return {};
}

SlurmBooks::SlurmBooks(BooksOptions options, Clock& clock)
    : state_(std::make_unique<State>(std::move(options), clock)) {}

SlurmBooks::~SlurmBooks() = default;

Result<ClusterAccounts> SlurmBooks::ReadAccounts() {
  const std::scoped_lock lock(state_->mutex);
  ClusterAccounts books;
  const auto cluster = state_->Cluster();
  if (!cluster) return cluster.error();
  books.cluster = *cluster;
  std::set<std::string> accounts;
  if (auto read = state_->ReadInto("/accounts", "accounts", &accounts); !read) return read.error();
  for (const std::string& name : accounts) books.accounts.insert(SmallLetters(name));
  if (auto read = state_->ReadInto("/users", "users", &books.users); !read) return read.error();
  std::set<std::string> qos;
  if (auto read = state_->ReadInto("/qos", "qos", &qos); !read) return read.error();
  for (const std::string& name : qos) books.qos.insert(SmallLetters(name));
  const auto outcome = state_->Get("/associations");
  if (!outcome) return outcome.error();
  auto members = ParseMembers(outcome->status, outcome->body, *cluster);
  if (!members) return members.error();
  books.members = std::move(*members);
  return books;
}

// v0.0.38 makes an account with its association below root on every cluster. Later versions have a
// call for both, and take the first one as well.
Result<void> SlurmBooks::AddAccount(const std::string& account, const std::string& description) {
  const std::scoped_lock lock(state_->mutex);
  const auto cluster = state_->Cluster();
  if (!cluster) return cluster.error();
  const std::string about = "account " + account;
  if (state_->api == kFirstRelease) {
    return state_->Post("/accounts", AccountBody(account, description), about);
  }
  return state_->Post("/accounts_association",
                      AccountAssociationBody(*cluster, account, description), about);
}

Result<void> SlurmBooks::State::Associate(const std::string& unix_account,
                                          const std::string& account, bool is_new) {
  const auto its_cluster = Cluster();
  if (!its_cluster) return its_cluster.error();
  const std::string about = "user " + unix_account + " in account " + account;
  if (api != kFirstRelease) {
    return Post("/users_association",
                UserAssociationBody(*its_cluster, unix_account, account, is_new), about);
  }
  if (is_new) {  // of no use without the association, which comes next
    auto made = Post("/users", UserBody(unix_account, account), about);
    if (!made) return made;
  }
  return Post("/associations", AssociationBody(*its_cluster, unix_account, account), about);
}

Result<void> SlurmBooks::AddUser(const std::string& unix_account, const std::string& account) {
  const std::scoped_lock lock(state_->mutex);
  return state_->Associate(unix_account, account, true);
}

Result<void> SlurmBooks::AddMember(const std::string& unix_account, const std::string& account) {
  const std::scoped_lock lock(state_->mutex);
  return state_->Associate(unix_account, account, false);
}

Result<std::vector<BookedRun>> SlurmBooks::EndedRuns(TimeMs since_ms, TimeMs until_ms) {
  const std::scoped_lock lock(state_->mutex);
  const auto cluster = state_->Cluster();
  if (!cluster) return cluster.error();
  const TimeMs now = state_->clock.Now();
  const auto outcome = state_->Get("/jobs?start_time=" + Ago(since_ms - kClockMargin, now) +
                                   "&end_time=" + Ago(std::min(until_ms + kClockMargin, now), now));
  if (!outcome) return outcome.error();
  auto runs = ParseRuns(outcome->status, outcome->body, *cluster);
  if (!runs) return runs.error();
  std::erase_if(
      *runs, [&](const BookedRun& run) { return run.end_ms < since_ms || run.end_ms >= until_ms; });
  std::sort(runs->begin(), runs->end(), [](const BookedRun& a, const BookedRun& b) {
    return std::pair(a.end_ms, a.cluster_job_id) < std::pair(b.end_ms, b.cluster_job_id);
  });
  return runs;
}

Result<std::vector<BookedRun>> SlurmBooks::RunsOf(std::int64_t cluster_job_id) {
  const std::scoped_lock lock(state_->mutex);
  const auto outcome = state_->Get("/job/" + std::to_string(cluster_job_id));
  if (!outcome) return outcome.error();
  auto runs = ParseRuns(outcome->status, outcome->body, "");
  if (!runs) return runs.error();
  std::erase_if(*runs, [](const BookedRun& run) { return run.attempt.number == 0; });
  return runs;
}

}  // namespace kezek::slurm
