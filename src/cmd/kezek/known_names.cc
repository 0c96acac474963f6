#include "cmd/kezek/known_names.h"

#include <kezek/v1/access.pb.h>
#include <kezek/v1/cluster.pb.h>
#include <kezek/v1/job_service.pb.h>
#include <kezek/v1/quota.pb.h>

#include <map>
#include <set>

#include "cmd/kezek/queue_filter.h"
#include "cmd/kezek/render.h"

namespace kezek::cli {
namespace {

constexpr int kNamesMost = 200;
constexpr Client::Patience kPatience{.deadline_ms = 700, .pauses_ms = 0};

std::vector<Candidate> Jobs(Client& client) {
  std::vector<Candidate> names;
  v1::ListJobsRequest request;
  request.mutable_filter()->set_include_final(true);
  request.mutable_page()->set_size(kNamesMost);
  const Result<v1::ListJobsResponse> jobs = client.Call<v1::ListJobsResponse>(request);
  if (!jobs) return names;
  for (const v1::Job& job : jobs->jobs()) {
    names.push_back({job.job(), job.spec().name() + ", " + StateName(job)});
  }
  return names;
}

// By the last part of their path where that is enough.
std::vector<Candidate> Projects(Client& client) {
  std::vector<Candidate> names;
  const Result<v1::WhoAmIResponse> who = client.Call<v1::WhoAmIResponse>(v1::WhoAmIRequest());
  if (!who) return names;
  std::map<std::string, int> count;
  const auto last = [](const std::string& path) { return path.substr(path.rfind('/') + 1); };
  for (const std::string& path : who->projects()) ++count[last(path)];
  for (const std::string& path : who->projects()) {
    if (count[last(path)] == 1) names.push_back({last(path), path});
  }
  for (const std::string& path : who->projects()) names.push_back({path, ""});
  return names;
}

std::vector<Candidate> Accounts(Client& client) {
  std::vector<Candidate> names;
  v1::ListAccountsRequest request;
  request.mutable_page()->set_size(kNamesMost);
  const Result<v1::ListAccountsResponse> accounts = client.Call<v1::ListAccountsResponse>(request);
  if (!accounts) return names;
  for (const v1::Account& account : accounts->accounts()) {
    if (!account.path().empty()) names.push_back({account.path(), account.title()});
  }
  return names;
}

std::vector<Candidate> NodesOrDomains(Client& client, bool domains) {
  std::vector<Candidate> names;
  v1::ListNodesRequest request;
  request.mutable_page()->set_size(1000);
  const Result<v1::ListNodesResponse> nodes = client.Call<v1::ListNodesResponse>(request);
  if (!nodes) return names;
  std::set<std::string> all;
  for (const v1::Node& node : nodes->nodes()) {
    if (!domains) {
      names.push_back({node.name(), node.leaf() + ", " + std::to_string(node.free_gpus()) + " of " +
                                        Count(node.gpus(), "GPU") + " free"});
      continue;
    }
    for (const std::string& name : {node.leaf(), node.block()}) {
      if (!name.empty() && all.insert(name).second) names.push_back({name, ""});
    }
  }
  return names;
}

std::vector<Candidate> Users(Client& client) {
  std::vector<Candidate> names;
  v1::ListUsersRequest request;
  request.mutable_page()->set_size(kNamesMost);
  const Result<v1::ListUsersResponse> users = client.Call<v1::ListUsersResponse>(request);
  if (!users) return names;
  for (const v1::User& user : users->users()) names.push_back({user.name(), user.display_name()});
  return names;
}

std::vector<Candidate> Tokens(Client& client) {
  std::vector<Candidate> names;
  const Result<v1::ListTokensResponse> tokens =
      client.Call<v1::ListTokensResponse>(v1::ListTokensRequest());
  if (!tokens) return names;
  for (const v1::Token& token : tokens->tokens()) names.push_back({token.id(), token.label()});
  return names;
}

std::vector<Candidate> ClassesOrTypes(Client& client, bool types) {
  std::vector<Candidate> names;
  const Result<v1::Cluster> cluster = client.Call<v1::Cluster>(v1::GetClusterRequest());
  if (!cluster) return names;
  if (types) {
    for (const v1::GpuType& type : cluster->gpu_types()) names.push_back({type.name(), ""});
  } else {
    for (const v1::JobClass& one : cluster->job_classes()) names.push_back({one.name(), ""});
  }
  return names;
}

std::vector<Candidate> Reservations(Client& client) {
  std::vector<Candidate> names;
  const auto all = client.Call<v1::ListReservationsResponse>(v1::ListReservationsRequest());
  if (!all) return names;
  for (const v1::AdminReservation& one : all->reservations()) {
    names.push_back({one.name(), one.reason()});
  }
  return names;
}

std::vector<Candidate> Contexts(const Session& session) {
  std::vector<Candidate> names;
  const Result<Configuration> configuration =
      LoadConfiguration(ConfigurationPath(session.host, session.flags));
  if (!configuration) return names;
  for (const auto& [name, context] : configuration->contexts) {
    names.push_back({name, context.endpoint});
  }
  return names;
}

}  // namespace

std::vector<Candidate> KnownNames(Session& session, const std::string& value) {
  std::vector<Candidate> names;
  if (value == "STATE") {
    for (const std::string& state : StateNames()) names.push_back({state, ""});
    return names;
  }
  if (value == "CONTEXT") return Contexts(session);
  const std::set<std::string> of_server = {"JOB",    "PROJECT", "ACCOUNT",    "NODE",
                                           "NODES",  "USER",    "CLASS",      "TYPE",
                                           "DOMAIN", "TOKEN",   "RESERVATION"};
  if (!of_server.contains(value)) return names;
  const Result<Context> context = ResolveContext(session.host, session.flags);
  if (!context) return names;
  Client client(*context, session.host, kPatience);
  if (value == "JOB") return Jobs(client);
  if (value == "PROJECT") return Projects(client);
  if (value == "ACCOUNT") return Accounts(client);
  if (value == "NODE" || value == "NODES") return NodesOrDomains(client, false);
  if (value == "DOMAIN") return NodesOrDomains(client, true);
  if (value == "USER") return Users(client);
  if (value == "TOKEN") return Tokens(client);
  if (value == "RESERVATION") return Reservations(client);
  return ClassesOrTypes(client, value == "TYPE");
}

}  // namespace kezek::cli
