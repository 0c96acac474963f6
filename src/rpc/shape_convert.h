// The size of a job as it was asked for, made whole: nodes, GPUs, tasks, CPUs, memory. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "kezek/job.h"
#include "kezek/node.h"
#include "kezek/result.h"
#include "kezek/v1/job_spec.pb.h"
#include "rpc/field_checks.h"

namespace kezek::rpc {

// The nodes of one GPU type, as far as shapes depend on them.
struct TypeFacts {
  std::int64_t nodes = 0;
  std::int64_t gpus = 0;  // of the largest node
  std::int64_t cpus = 0;
};

// An empty type means nodes of any. All zero if there are none.
TypeFacts FactsOf(const std::map<std::string, Node>& nodes, const std::string& gpu_type);

// Nodes and GPUs on each for a total, the fewest nodes first; none if no even shape exists.
struct EvenShape {
  std::int64_t nodes = 0;
  std::int64_t gpus_per_node = 0;
};
std::optional<EvenShape> SpreadEvenly(std::int64_t gpus, const TypeFacts& facts);

// Fills shape, ntasks, ntasks_per_node and cpus_per_task of `spec`. What stays 0 is the desk's to
// complete, and a memory of -1 is all the node has. `memory_per_cpu_mib` is set if the memory
// follows from CPUs that only the desk knows: then memory is 0 here.
// Errors: FIELD_INVALID, SHAPE_UNEVEN (`below`, `above`), NEVER_FITS_MACHINE (`largest`).
void ReadShape(const v1::Shape& wire, const TypeFacts& facts, FieldChecks* checks, JobSpec* spec,
               std::int64_t* memory_per_cpu_mib);

}  // namespace kezek::rpc
