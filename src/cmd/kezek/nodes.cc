#include "cmd/kezek/nodes.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <ostream>

#include "cmd/kezek/commands.h"
#include "cmd/kezek/help.h"
#include "cmd/kezek/render.h"
#include "cmd/kezek/usage_error.h"
#include "cmd/kezek/watching.h"
#include "cmd/kezek/windows.h"

namespace kezek::cli {
namespace {

constexpr int kNodesPage = 1000;

constexpr int kNodesWatchSeconds = 5;

struct NodeFlags {
  std::vector<std::string> nodes;
  bool free = false;
  bool reverse = false;
  std::vector<std::string> health;
  std::string gpu_type;
  std::string domain;
  std::string sort;
  WatchFlags watch;
};

const std::vector<std::string>& HealthNames() {
  static const std::vector<std::string> names = {"up", "draining", "drained", "down", "unknown"};
  return names;
}

const std::vector<std::string>& NodeSortKeys() {
  static const std::vector<std::string> keys = {"name", "leaf", "health", "gpus", "free", "jobs"};
  return keys;
}

bool IsBefore(const std::string& key, const v1::Node& a, const v1::Node& b) {
  if (key == "leaf") return a.leaf() < b.leaf();
  if (key == "health") return a.health() < b.health();
  if (key == "gpus") return a.gpus() < b.gpus();
  if (key == "free") return a.free_gpus() < b.free_gpus();
  if (key == "jobs") return a.job_count() < b.job_count();
  return a.name() < b.name();
}

// Of equal ones those stay in order that the server has put first.
void Sort(const NodeFlags& flags, google::protobuf::RepeatedPtrField<v1::Node>& nodes) {
  if (flags.sort.empty() && !flags.reverse) return;
  std::stable_sort(
      nodes.pointer_begin(), nodes.pointer_end(), [&flags](const v1::Node* a, const v1::Node* b) {
        return flags.reverse ? IsBefore(flags.sort, *b, *a) : IsBefore(flags.sort, *a, *b);
      });
}

std::string HealthOf(const Host& host, const v1::Node& node) {
  const std::string name = Words(v1::NodeHealth_Name(node.health()), sizeof("NODE_HEALTH_") - 1);
  const bool up = node.health() == v1::NODE_HEALTH_UP;
  return Styled(host, up ? Style::kGood : Style::kBad, name);
}

std::string JobsOf(const v1::Node& node) {
  std::string text;
  for (const std::string& job : node.jobs()) text += (text.empty() ? "" : " ") + job;
  const int others = node.job_count() - node.jobs_size();
  if (others > 0) text += (text.empty() ? "" : " and ") + std::to_string(others) + " of others";
  return text;
}

Result<int> RunNodes(Session& session, const NodeFlags& flags) {
  if (!flags.nodes.empty()) {
    v1::GetNodesRequest request;
    for (const std::string& node : flags.nodes) request.add_nodes(node);
    Result<v1::GetNodesResponse> answer = Ask<v1::GetNodesResponse>(session, request);
    if (!answer) return answer.error();
    Sort(flags, *answer->mutable_nodes());
    PrintNodes(session, *answer, answer->nodes());
    return kDone;
  }
  v1::ListNodesRequest request;
  for (const std::string& name : flags.health) {
    const auto at = std::find(HealthNames().begin(), HealthNames().end(), name);
    request.add_health(
        static_cast<v1::NodeHealth>(v1::NODE_HEALTH_UP + (at - HealthNames().begin())));
  }
  request.set_free_only(flags.free);
  request.set_gpu_type(flags.gpu_type);
  request.set_domain(flags.domain);
  Result<v1::ListNodesResponse> all = ListAllNodes(session, request);
  if (!all) return all.error();
  Sort(flags, *all->mutable_nodes());
  PrintNodes(session, *all, all->nodes());
  return kDone;
}

}  // namespace

Result<std::string> DefaultGpuType(Session& session) {
  Result<v1::Cluster> cluster = Ask<v1::Cluster>(session, v1::GetClusterRequest());
  if (!cluster) return cluster.error();
  if (cluster->gpu_types().empty()) {
    return Error{Code::kFailedPrecondition, "the cluster has no GPUs: name the type", {}};
  }
  return cluster->gpu_types(0).name();
}

Result<v1::ListNodesResponse> ListAllNodes(Session& session, v1::ListNodesRequest request) {
  v1::ListNodesResponse all;
  request.mutable_page()->set_size(kNodesPage);
  do {
    Result<v1::ListNodesResponse> page = Ask<v1::ListNodesResponse>(session, request);
    if (!page) return page.error();
    request.mutable_page()->set_token(page->page().next_token());
    all.mutable_nodes()->MergeFrom(page->nodes());
  } while (!request.page().token().empty());
  return all;
}

void PrintNodes(Session& session, const google::protobuf::Message& answer,
                const google::protobuf::RepeatedPtrField<v1::Node>& nodes) {
  const Host& host = session.host;
  if (PrintMessage(host, session.format(), answer)) return;
  if (session.format() == Format::kName) {
    for (const v1::Node& node : nodes) *host.out << node.name() << '\n';
    return;
  }
  const bool wide = session.format() == Format::kWide;
  std::vector<std::string> headings = {"NODE", "LEAF", "HEALTH", "TYPE", "GPUS", "FREE"};
  if (wide) headings.insert(headings.end(), {"CPUS", "FREE", "MEMORY", "FREE", "BLOCK", "LABELS"});
  headings.insert(headings.end(), {"JOBS", "NOTE"});
  Table table(headings);
  table.MayCut({"JOBS"});
  table.MayLeaveOut({"TYPE", "LEAF"});
  if (wide) table.KeepWhole();
  const std::map<std::string, std::string> reserved = ReservedNodes(session);
  for (const v1::Node& node : nodes) {
    std::vector<std::string> cells = {node.name(),
                                      node.leaf(),
                                      HealthOf(host, node),
                                      node.gpu_type(),
                                      std::to_string(node.gpus()),
                                      std::to_string(node.free_gpus())};
    if (wide) {
      std::string labels;
      for (const std::string& label : node.labels()) labels += (labels.empty() ? "" : ",") + label;
      cells.insert(cells.end(), {std::to_string(node.cpus()), std::to_string(node.free_cpus()),
                                 Memory(node.memory_mib()), Memory(node.free_memory_mib()),
                                 node.block(), labels});
    }
    cells.push_back(JobsOf(node));
    std::string note = node.health_reason();
    if (!node.dedicated_to().empty())
      note += (note.empty() ? "for " : "; for ") + node.dedicated_to();
    if (const auto ahead = reserved.find(node.name()); ahead != reserved.end()) {
      note += (note.empty() ? "" : "; ") + ahead->second;
    }
    cells.push_back(note);
    table.Add(std::move(cells));
  }
  table.Print(host);
}

void AddNodes(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("nodes", "list nodes and what is free");
  const auto flags = std::make_shared<NodeFlags>();
  command->add_option("NODE", flags->nodes, "only these: n05, n[05-08]");
  command->add_flag("--free", flags->free, "only with free GPUs");
  command->add_option("--health", flags->health, "only so, joined by commas")
      ->type_name(Bars(HealthNames()))
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(OneOf(HealthNames()));
  command->add_option("--gpu-type", flags->gpu_type, "only with this type of GPU")
      ->type_name("TYPE");
  command->add_option("--domain", flags->domain, "only in this leaf or block")->type_name("DOMAIN");
  command->add_option("-s,--sort", flags->sort, "order; by name if not given")
      ->type_name(Bars(NodeSortKeys()))
      ->check(OneOf(NodeSortKeys()));
  command->add_flag("-r,--reverse", flags->reverse, "the other way round");
  flags->watch.AddTo(*command, kNodesWatchSeconds);
  command->footer(
      "Examples:\n"
      "  kezek nodes\n"
      "  kezek nodes --free --sort free --reverse\n"
      "  kezek nodes --health drained,down -o name\n"
      "  kezek nodes n[05-08] --watch");
  command->callback([&session, flags] {
    session.action = [&session, flags] {
      const auto look = [&session, flags](bool) { return RunNodes(session, *flags); };
      return LookOrWatch(session, flags->watch, {look, nullptr});
    };
  });
}

}  // namespace kezek::cli
