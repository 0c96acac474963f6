#include <kezek/v1/cluster.pb.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <ostream>

#include "cmd/kezek/commands.h"
#include "cmd/kezek/nodes.h"
#include "cmd/kezek/render.h"
#include "cmd/kezek/way_out.h"
#include "cmd/kezek/windows.h"

namespace kezek::cli {
namespace {

struct AdminNodeFlags {
  std::vector<std::string> nodes;
  std::string reason;
  bool kezek_only = false;
};

Result<int> PrintChangedNodes(Session& session, const Result<v1::NodesChanged>& answer) {
  if (!answer) return WithFlags(answer.error(), {{"nodes", ""}, {"reason", "--reason"}});
  PrintNodes(session, *answer, answer->nodes());
  if (session.format() == Format::kJson || session.format() == Format::kYaml) return kDone;
  for (const std::string& why : answer->refused()) PrintWarning(session.host, why);
  for (const std::string& command : answer->commands()) {
    PrintWarning(session.host, "Slurm must be told by hand: " + command);
  }
  return kDone;
}

Result<int> RunDrain(Session& session, const AdminNodeFlags& flags) {
  v1::DrainNodesRequest request;
  for (const std::string& node : flags.nodes) request.add_nodes(node);
  request.set_reason(flags.reason);
  request.set_kezek_only(flags.kezek_only);
  return PrintChangedNodes(session, Ask<v1::NodesChanged>(session, request));
}

Result<int> RunResumeNodes(Session& session, const AdminNodeFlags& flags) {
  v1::ResumeNodesRequest request;
  for (const std::string& node : flags.nodes) request.add_nodes(node);
  request.set_reason(flags.reason);
  request.set_kezek_only(flags.kezek_only);
  return PrintChangedNodes(session, Ask<v1::NodesChanged>(session, request));
}

Result<int> RunListNodes(Session& session) {
  Result<v1::ListNodesResponse> all = ListAllNodes(session, v1::ListNodesRequest());
  if (!all) return all.error();
  PrintNodes(session, *all, all->nodes());
  return kDone;
}

void PrintFacts(const Host& host, const v1::Node& node, const std::string& reserved) {
  Facts facts;
  facts.Add("Node", node.name());
  facts.Add("Health", Words(v1::NodeHealth_Name(node.health()), sizeof("NODE_HEALTH_") - 1));
  facts.Add("Why", node.health_reason());
  facts.Add("Taken out by", node.drained_by_kezek() ? "Kezek" : "");
  facts.Add("Tried again", ExactMoment(node.set_aside_until_ms()));
  facts.Add("Leaf", node.leaf());
  facts.Add("Block", node.block());
  facts.Add("GPUs", std::to_string(node.gpus()) + " " + node.gpu_type() + ", " +
                        std::to_string(node.free_gpus()) + " free");
  if (node.foreign_gpus() > 0) {
    facts.Add("Not Kezek's", std::to_string(node.foreign_gpus()) + " GPUs in use by other jobs");
  }
  facts.Add("CPUs",
            std::to_string(node.cpus()) + ", " + std::to_string(node.free_cpus()) + " free");
  facts.Add("Memory", Memory(node.memory_mib()) + ", " + Memory(node.free_memory_mib()) + " free");
  facts.Add("Jobs", node.job_count() > 0 ? std::to_string(node.job_count()) : "");
  facts.Add("Ends by", ExactMoment(node.ends_by_ms()));
  facts.Add("Dedicated to", node.dedicated_to());
  facts.Add("Reserved", reserved);
  facts.Print(host);
}

Result<int> RunShowNode(Session& session, const AdminNodeFlags& flags) {
  v1::GetNodesRequest request;
  for (const std::string& node : flags.nodes) request.add_nodes(node);
  Result<v1::GetNodesResponse> answer = Ask<v1::GetNodesResponse>(session, request);
  if (!answer) return WithFlags(answer.error(), {{"nodes", ""}});
  if (session.format() != Format::kTable) {
    PrintNodes(session, *answer, answer->nodes());
    return kDone;
  }
  bool first = true;
  std::map<std::string, std::string> reserved = ReservedNodes(session);
  for (const v1::Node& node : answer->nodes()) {
    if (!first) *session.host.out << '\n';
    first = false;
    PrintFacts(session.host, node, reserved[node.name()]);
  }
  return kDone;
}

}  // namespace

void AddAdminNode(CLI::App& admin, Session& session) {
  CLI::App* node = admin.add_subcommand("node", "nodes: list, show, drain, resume");
  node->require_subcommand(1);
  const auto flags = std::make_shared<AdminNodeFlags>();
  const auto add_nodes = [&flags](CLI::App* command) {
    command->add_option("NODE", flags->nodes, "nodes: n05, n[05-08]")->required();
  };

  CLI::App* list = node->add_subcommand("list", "list all nodes");
  list->footer("Examples:\n  kezek admin node list -o wide");
  list->callback([&session] { session.action = [&session] { return RunListNodes(session); }; });

  CLI::App* show = node->add_subcommand("show", "show nodes in full");
  add_nodes(show);
  show->footer("Examples:\n  kezek admin node show n05");
  show->callback([&session, flags] {
    session.action = [&session, flags] { return RunShowNode(session, *flags); };
  });

  CLI::App* drain = node->add_subcommand("drain", "start nothing new on nodes");
  add_nodes(drain);
  drain->add_option("--reason", flags->reason, "why, for the record")
      ->type_name("TEXT")
      ->required();
  drain->add_flag("--kezek-only", flags->kezek_only,
                  "say nothing to Slurm: sbatch still uses them");
  drain->footer(
      "What runs there goes on. Slurm is told, too; where it cannot be by REST (22.05), the "
      "command\n"
      "for it is printed.\n"
      "Examples:\n"
      "  kezek admin node drain n11 --reason 'fan 3 fails'");
  drain->callback([&session, flags] {
    session.action = [&session, flags] { return RunDrain(session, *flags); };
  });

  CLI::App* resume = node->add_subcommand("resume", "put nodes back");
  add_nodes(resume);
  resume->add_option("--reason", flags->reason, "why, for the record")->type_name("TEXT");
  resume->add_flag("--kezek-only", flags->kezek_only, "say nothing to Slurm");
  resume->footer(
      "In Slurm, too, whoever has drained them there, or with the command for it.\n"
      "Examples:\n"
      "  kezek admin node resume n11");
  resume->callback([&session, flags] {
    session.action = [&session, flags] { return RunResumeNodes(session, *flags); };
  });
}

}  // namespace kezek::cli
