#include "cmd/kezek/nodes.h"

#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "cmd/kezek/commands.h"
#include "cmd/kezek/render.h"

namespace kezek::cli {
namespace {

constexpr int kPage = 1000;

struct NodeFlags {
  std::vector<std::string> nodes;
  bool free = false;
  std::string gpu_type;
  std::string domain;
};

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
    PrintNodes(session, *answer, answer->nodes());
    return kDone;
  }
  v1::ListNodesRequest request;
  request.set_free_only(flags.free);
  request.set_gpu_type(flags.gpu_type);
  request.set_domain(flags.domain);
  Result<v1::ListNodesResponse> all = ListAllNodes(session, request);
  if (!all) return all.error();
  PrintNodes(session, *all, all->nodes());
  return kDone;
}

}  // namespace

Result<v1::ListNodesResponse> ListAllNodes(Session& session, v1::ListNodesRequest request) {
  v1::ListNodesResponse all;
  request.mutable_page()->set_size(kPage);
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
    cells.push_back(note);
    table.Add(std::move(cells));
  }
  table.Print(host);
}

void AddNodes(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("nodes", "list nodes and what is free");
  const auto flags = std::make_shared<NodeFlags>();
  command->add_option("nodes", flags->nodes, "only these: n05, n[05-08]");
  command->add_flag("--free", flags->free, "only with free GPUs");
  command->add_option("--gpu-type", flags->gpu_type, "only with this type of GPU");
  command->add_option("--domain", flags->domain, "only in this leaf or block");
  command->footer("Examples:\n  kezek nodes\n  kezek nodes --free -o name\n  kezek nodes n[05-08]");
  command->callback([&session, flags] {
    session.action = [&session, flags] { return RunNodes(session, *flags); };
  });
}

}  // namespace kezek::cli
