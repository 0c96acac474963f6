#include "rpc/shape_convert.h"

#include <algorithm>

#include "kezek/bounds.h"

namespace kezek::rpc {
namespace {

constexpr std::int64_t kCountMax = 10'000'000;
constexpr std::int64_t kMemoryMax = std::int64_t{1} << 40;  // MiB

// What is known so far; 0 is "not known". GPUs may be known to be none.
struct Size {
  std::int64_t nodes = 0;
  std::optional<std::int64_t> gpus_per_node;
  std::optional<std::int64_t> gpus;
  std::int64_t ntasks = 0;
  std::int64_t ntasks_per_node = 0;
  std::int64_t gpus_per_task = 0;
  std::int64_t cpus_per_task = 0;
};

void CheckRanges(const v1::Shape& wire, FieldChecks* checks) {
  checks->Line("shape.gpu_type", wire.gpu_type(), 63);
  if (wire.has_nodes()) checks->Range("shape.nodes", wire.nodes(), 1, kNodesMost);
  if (wire.has_gpus_per_node()) checks->Range("shape.gpus_per_node", wire.gpus_per_node(), 0, 1024);
  if (wire.has_gpus()) checks->Range("shape.gpus", wire.gpus(), 0, kCountMax);
  if (wire.has_ntasks()) checks->Range("shape.ntasks", wire.ntasks(), 1, kCountMax);
  if (wire.has_ntasks_per_node()) {
    checks->Range("shape.ntasks_per_node", wire.ntasks_per_node(), 1, 65'536);
  }
  if (wire.has_cpus_per_task()) {
    checks->Range("shape.cpus_per_task", wire.cpus_per_task(), 1, 65'536);
  }
  if (wire.has_gpus_per_task()) checks->Range("shape.gpus_per_task", wire.gpus_per_task(), 1, 1024);
  if (wire.has_cpus_per_gpu()) checks->Range("shape.cpus_per_gpu", wire.cpus_per_gpu(), 1, 65'536);
  if (wire.has_cpus_per_node()) {
    checks->Range("shape.cpus_per_node", wire.cpus_per_node(), 1, 65'536);
  }
  if (wire.has_memory_per_node_mib()) {
    checks->Range("shape.memory_per_node_mib", wire.memory_per_node_mib(), 0, kMemoryMax);
  }
  if (wire.has_memory_per_cpu_mib()) {
    checks->Range("shape.memory_per_cpu_mib", wire.memory_per_cpu_mib(), 1, kMemoryMax);
  }
  if (wire.has_memory_per_gpu_mib()) {
    checks->Range("shape.memory_per_gpu_mib", wire.memory_per_gpu_mib(), 1, kMemoryMax);
  }
  const int cpus =
      int{wire.has_cpus_per_task()} + int{wire.has_cpus_per_gpu()} + int{wire.has_cpus_per_node()};
  checks->Require(cpus <= 1, "shape.cpus_per_node",
                  "give only one of cpus_per_task, cpus_per_gpu and cpus_per_node");
  const int memory = int{wire.has_memory_per_node_mib()} + int{wire.has_memory_per_cpu_mib()} +
                     int{wire.has_memory_per_gpu_mib()};
  checks->Require(memory <= 1, "shape.memory_per_node_mib",
                  "give only one of memory_per_node_mib, memory_per_cpu_mib and "
                  "memory_per_gpu_mib");
}

// Tasks from GPUs, or GPUs from tasks, where `gpus_per_task` ties them.
void TieTasksToGpus(FieldChecks* checks, Size* size) {
  if (size->gpus_per_task == 0) return;
  if (!size->gpus && size->gpus_per_node && size->nodes > 0) {
    size->gpus = *size->gpus_per_node * size->nodes;
  }
  if (size->ntasks == 0 && size->ntasks_per_node > 0 && size->nodes > 0) {
    size->ntasks = size->ntasks_per_node * size->nodes;
  }
  if (size->gpus && size->ntasks == 0) {
    if (*size->gpus == 0 || *size->gpus % size->gpus_per_task != 0) {
      return checks->Fail("shape.gpus_per_task", std::to_string(*size->gpus) +
                                                     " GPUs are not a whole number of tasks of " +
                                                     std::to_string(size->gpus_per_task));
    }
    size->ntasks = *size->gpus / size->gpus_per_task;
  }
  if (size->ntasks == 0) size->ntasks = std::max<std::int64_t>(size->nodes, 1);
  const std::int64_t gpus = size->ntasks * size->gpus_per_task;
  if (size->gpus && *size->gpus != gpus) {
    return checks->Fail("shape.gpus_per_task", std::to_string(size->ntasks) + " tasks of " +
                                                   std::to_string(size->gpus_per_task) +
                                                   " GPUs are not the " +
                                                   std::to_string(*size->gpus) + " GPUs asked for");
  }
  size->gpus = gpus;
}

Error Uneven(std::int64_t gpus, std::int64_t below, std::int64_t above, const std::string& where) {
  std::string nearest = below > 0 ? std::to_string(below) : "";
  if (above > 0) nearest += (nearest.empty() ? "" : " and ") + std::to_string(above);
  return FieldProblem(Code::kInvalidArgument,
                      {"spec.shape.gpus",
                       "SHAPE_UNEVEN",
                       std::to_string(gpus) + " GPUs cannot be spread evenly over " + where +
                           "; the nearest that can: " + nearest,
                       {{"asked", std::to_string(gpus)},
                        {"below", below > 0 ? std::to_string(below) : ""},
                        {"above", above > 0 ? std::to_string(above) : ""}}});
}

// A total without a number of nodes.
void SpreadTotal(const TypeFacts& facts, FieldChecks* checks, Size* size) {
  const std::int64_t gpus = *size->gpus;
  const std::int64_t most = facts.nodes * facts.gpus;
  if (gpus > most) {
    return checks->Fail(
        FieldProblem(Code::kFailedPrecondition,
                     {"spec.shape.gpus",
                      "NEVER_FITS_MACHINE",
                      std::to_string(gpus) + " GPUs of this type are not there: the machine has " +
                          std::to_string(most),
                      {{"field", "gpus"}, {"largest", std::to_string(most)}}}));
  }
  if (const auto even = SpreadEvenly(gpus, facts)) {
    size->nodes = even->nodes;
    size->gpus_per_node = even->gpus_per_node;
    return;
  }
  std::int64_t below = gpus - 1;
  while (below > 0 && !SpreadEvenly(below, facts)) --below;
  std::int64_t above = gpus + 1;
  while (above < most && !SpreadEvenly(above, facts)) ++above;
  checks->Fail(
      Uneven(gpus, below, above,
             std::to_string(facts.nodes) + " nodes of " + std::to_string(facts.gpus) + " GPUs"));
}

// Nodes without a word about them: from tasks, else one.
std::int64_t NodesFromTasks(const Size& size, const TypeFacts& facts) {
  if (size.ntasks == 0) return 1;
  if (size.ntasks_per_node > 0) {
    return (size.ntasks + size.ntasks_per_node - 1) / size.ntasks_per_node;
  }
  const std::int64_t cpus = std::max<std::int64_t>(size.cpus_per_task, 1);
  const std::int64_t per_node = facts.cpus / cpus;
  return per_node <= 0 ? 1 : (size.ntasks + per_node - 1) / per_node;
}

void FixNodes(const TypeFacts& facts, FieldChecks* checks, Size* size) {
  if (size->gpus_per_node) {
    const std::int64_t each = *size->gpus_per_node;
    if (size->nodes == 0 && size->gpus && each > 0) {
      if (*size->gpus == 0 || *size->gpus % each != 0) {
        const std::int64_t below = *size->gpus / each * each;
        return checks->Fail(Uneven(*size->gpus, below, below + each,
                                   "nodes with " + std::to_string(each) + " each"));
      }
      size->nodes = *size->gpus / each;
    }
    if (size->nodes == 0) size->nodes = NodesFromTasks(*size, {});
    checks->Require(
        !size->gpus || *size->gpus == size->nodes * each, "shape.gpus",
        "does not agree with nodes and gpus_per_node: " + std::to_string(size->nodes * each));
    return;
  }
  const bool tasks_fix_nodes = size->ntasks > 0 && size->ntasks_per_node > 0;
  if (size->nodes == 0 && (tasks_fix_nodes || !size->gpus || *size->gpus == 0)) {
    size->nodes = NodesFromTasks(*size, facts);
  }
  if (!size->gpus) {
    size->gpus_per_node = 0;
  } else if (size->nodes == 0) {
    SpreadTotal(facts, checks, size);
  } else if (*size->gpus % size->nodes != 0) {
    const std::int64_t below = *size->gpus / size->nodes * size->nodes;
    checks->Fail(
        Uneven(*size->gpus, below, below + size->nodes, std::to_string(size->nodes) + " nodes"));
  } else {
    size->gpus_per_node = *size->gpus / size->nodes;
  }
}

void FixTasks(FieldChecks* checks, Size* size) {
  if (size->ntasks == 0) {
    size->ntasks = size->nodes * std::max<std::int64_t>(size->ntasks_per_node, 1);
  }
  if (size->ntasks_per_node == 0) {
    size->ntasks_per_node = (size->ntasks + size->nodes - 1) / size->nodes;
  }
  checks->Require(size->ntasks >= size->nodes, "shape.ntasks",
                  std::to_string(size->ntasks) + " tasks cannot use " +
                      std::to_string(size->nodes) + " nodes: ask for fewer nodes");
  checks->Require(size->ntasks <= size->nodes * size->ntasks_per_node, "shape.ntasks_per_node",
                  std::to_string(size->ntasks) + " tasks need more than " +
                      std::to_string(size->ntasks_per_node) + " on each of " +
                      std::to_string(size->nodes) + " nodes");
}

std::int64_t CpusPerNode(const v1::Shape& wire, const Size& size, FieldChecks* checks) {
  if (wire.has_cpus_per_node()) return wire.cpus_per_node();
  if (wire.has_cpus_per_gpu()) {
    checks->Require(*size.gpus_per_node > 0, "shape.cpus_per_gpu", "the job asks for no GPUs");
    return wire.cpus_per_gpu() * *size.gpus_per_node;
  }
  return wire.has_cpus_per_task() ? size.cpus_per_task * size.ntasks_per_node : 0;
}

}  // namespace

TypeFacts FactsOf(const std::map<std::string, Node>& nodes, const std::string& gpu_type) {
  TypeFacts facts;
  for (const auto& [name, node] : nodes) {
    if (!gpu_type.empty() && node.gpu_type != gpu_type) continue;
    ++facts.nodes;
    facts.gpus = std::max<std::int64_t>(facts.gpus, node.gpus);
    facts.cpus = std::max<std::int64_t>(facts.cpus, node.cpus);
  }
  return facts;
}

std::optional<EvenShape> SpreadEvenly(std::int64_t gpus, const TypeFacts& facts) {
  for (std::int64_t each = std::min(facts.gpus, gpus); each > 0; --each) {
    if (gpus % each == 0 && gpus / each <= facts.nodes) return EvenShape{gpus / each, each};
  }
  return std::nullopt;
}

void ReadShape(const v1::Shape& wire, const TypeFacts& facts, FieldChecks* checks, JobSpec* spec,
               std::int64_t* memory_per_cpu_mib) {
  *memory_per_cpu_mib = 0;
  CheckRanges(wire, checks);
  if (!checks->ok()) return;
  Size size{.nodes = wire.nodes(),
            .ntasks = wire.ntasks(),
            .ntasks_per_node = wire.ntasks_per_node(),
            .gpus_per_task = wire.gpus_per_task(),
            .cpus_per_task = wire.cpus_per_task()};
  if (wire.has_gpus_per_node()) size.gpus_per_node = wire.gpus_per_node();
  if (wire.has_gpus()) size.gpus = wire.gpus();
  TieTasksToGpus(checks, &size);
  if (checks->ok()) FixNodes(facts, checks, &size);
  if (!checks->ok()) return;
  FixTasks(checks, &size);
  const std::int64_t cpus = CpusPerNode(wire, size, checks);
  std::int64_t memory = 0;
  if (wire.has_memory_per_node_mib()) {
    memory = wire.memory_per_node_mib() == 0 ? -1 : wire.memory_per_node_mib();
  } else if (wire.has_memory_per_gpu_mib()) {
    checks->Require(*size.gpus_per_node > 0, "shape.memory_per_gpu_mib",
                    "the job asks for no GPUs");
    memory = wire.memory_per_gpu_mib() * *size.gpus_per_node;
  } else if (wire.has_memory_per_cpu_mib()) {
    memory = wire.memory_per_cpu_mib() * cpus;
    if (cpus == 0) *memory_per_cpu_mib = wire.memory_per_cpu_mib();
  }
  checks->Range("shape.nodes", size.nodes, 1, kNodesMost);
  checks->Range("shape.gpus_per_node", *size.gpus_per_node, 0, 1024);
  checks->Range("shape.ntasks", size.ntasks, 1, kCountMax);
  checks->Range("shape.cpus_per_node", cpus, 0, kCountMax);
  checks->Range("shape.memory_per_node_mib", memory, -1, kMemoryMax);
  if (!checks->ok()) return;
  spec->shape = {.nodes = static_cast<std::int32_t>(size.nodes),
                 .gpus_per_node = static_cast<std::int32_t>(*size.gpus_per_node),
                 .gpu_type = wire.gpu_type(),
                 .cpus_per_node = static_cast<std::int32_t>(cpus),
                 .memory_mib_per_node = memory,
                 .exclusive = wire.exclusive()};
  spec->ntasks = static_cast<std::int32_t>(size.ntasks);
  spec->ntasks_per_node = static_cast<std::int32_t>(size.ntasks_per_node);
  spec->cpus_per_task = static_cast<std::int32_t>(size.cpus_per_task);
}

}  // namespace kezek::rpc
