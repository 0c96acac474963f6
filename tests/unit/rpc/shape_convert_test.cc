// Goal: what a user asks for in any of Slurm's ways becomes one even shape, or a refusal that
// names the field and, for totals, the nearest that would do.
// Method: tables on a machine of 8 nodes with 8 GPUs and 16 CPUs each.

#include "rpc/shape_convert.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>

namespace kezek::rpc {
namespace {

constexpr TypeFacts kMachine{.nodes = 8, .gpus = 8, .cpus = 16};

struct Read {
  JobSpec spec;
  std::int64_t per_cpu = 0;
  FieldChecks checks{"spec."};
};

Read ReadText(const std::string& text) {
  v1::Shape shape;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &shape)) << text;
  Read read;
  ReadShape(shape, kMachine, &read.checks, &read.spec, &read.per_cpu);
  return read;
}

struct Good {
  const char* asked;
  int nodes, gpus, ntasks, per_node, per_task, cpus;
  std::int64_t memory;
};

const Good kGood[] = {
    {"", 1, 0, 1, 1, 0, 0, 0},
    {"gpus: 1", 1, 1, 1, 1, 0, 0, 0},
    {"gpus: 8", 1, 8, 1, 1, 0, 0, 0},
    {"gpus: 12", 2, 6, 2, 1, 0, 0, 0},
    {"gpus: 16", 2, 8, 2, 1, 0, 0, 0},
    {"gpus: 9", 3, 3, 3, 1, 0, 0, 0},
    {"gpus: 64", 8, 8, 8, 1, 0, 0, 0},
    {"gpus: 0", 1, 0, 1, 1, 0, 0, 0},
    {"nodes: 4 gpus_per_node: 8", 4, 8, 4, 1, 0, 0, 0},
    {"nodes: 4 gpus: 8", 4, 2, 4, 1, 0, 0, 0},
    {"nodes: 2 gpus_per_node: 4 gpus: 8", 2, 4, 2, 1, 0, 0, 0},
    {"gpus_per_node: 4 gpus: 8", 2, 4, 2, 1, 0, 0, 0},
    {"gpus_per_node: 4", 1, 4, 1, 1, 0, 0, 0},
    {"gpus_per_node: 0", 1, 0, 1, 1, 0, 0, 0},
    {"nodes: 2 ntasks_per_node: 8 gpus_per_node: 8", 2, 8, 16, 8, 0, 0, 0},
    {"ntasks: 16 ntasks_per_node: 8 gpus_per_node: 8", 2, 8, 16, 8, 0, 0, 0},
    {"ntasks: 16 ntasks_per_node: 8 gpus: 16", 2, 8, 16, 8, 0, 0, 0},
    {"ntasks: 16 gpus_per_task: 1", 2, 8, 16, 8, 0, 0, 0},
    {"ntasks: 2 gpus_per_task: 4", 1, 8, 2, 2, 0, 0, 0},
    {"gpus: 8 gpus_per_task: 2", 1, 8, 4, 4, 0, 0, 0},
    {"nodes: 2 ntasks_per_node: 2 gpus_per_task: 2", 2, 4, 4, 2, 0, 0, 0},
    {"nodes: 2 gpus_per_task: 1", 2, 1, 2, 1, 0, 0, 0},
    {"ntasks: 4 cpus_per_task: 8", 2, 0, 4, 2, 8, 16, 0},
    {"ntasks: 3 cpus_per_task: 8 nodes: 2", 2, 0, 3, 2, 8, 16, 0},
    {"gpus: 4 cpus_per_gpu: 2", 1, 4, 1, 1, 0, 8, 0},
    {"gpus: 4 cpus_per_node: 5", 1, 4, 1, 1, 0, 5, 0},
    {"gpus: 4 memory_per_node_mib: 1000", 1, 4, 1, 1, 0, 0, 1000},
    {"gpus: 4 memory_per_node_mib: 0", 1, 4, 1, 1, 0, 0, -1},
    {"gpus: 4 memory_per_gpu_mib: 1000", 1, 4, 1, 1, 0, 0, 4000},
    {"gpus: 4 cpus_per_node: 5 memory_per_cpu_mib: 10", 1, 4, 1, 1, 0, 5, 50},
};

TEST(Shape, IsCompletedAsSlurmMeansIt) {
  for (const auto& want : kGood) {
    SCOPED_TRACE(want.asked);
    const Read read = ReadText(want.asked);
    ASSERT_TRUE(read.checks.ok()) << read.checks.error().message;
    EXPECT_EQ(read.spec.shape.nodes, want.nodes);
    EXPECT_EQ(read.spec.shape.gpus_per_node, want.gpus);
    EXPECT_EQ(read.spec.ntasks, want.ntasks);
    EXPECT_EQ(read.spec.ntasks_per_node, want.per_node);
    EXPECT_EQ(read.spec.cpus_per_task, want.per_task);
    EXPECT_EQ(read.spec.shape.cpus_per_node, want.cpus);
    EXPECT_EQ(read.spec.shape.memory_mib_per_node, want.memory);
  }
}

TEST(Shape, MemoryOfUnknownCpusWaitsForThem) {
  const Read read = ReadText("gpus: 4 memory_per_cpu_mib: 100");
  ASSERT_TRUE(read.checks.ok());
  EXPECT_EQ(read.per_cpu, 100);
  EXPECT_EQ(read.spec.shape.memory_mib_per_node, 0);
}

struct Bad {
  const char* asked;
  const char* field;
  const char* reason;
};

const Bad kBad[] = {
    {"nodes: 0", "spec.shape.nodes", "FIELD_INVALID"},
    {"nodes: -1", "spec.shape.nodes", "FIELD_INVALID"},
    {"nodes: 2000000", "spec.shape.nodes", "FIELD_INVALID"},
    {"gpus: -1", "spec.shape.gpus", "FIELD_INVALID"},
    {"gpus_per_node: -1", "spec.shape.gpus_per_node", "FIELD_INVALID"},
    {"gpus_per_node: 2000", "spec.shape.gpus_per_node", "FIELD_INVALID"},
    {"ntasks: 0", "spec.shape.ntasks", "FIELD_INVALID"},
    {"ntasks: -5", "spec.shape.ntasks", "FIELD_INVALID"},
    {"ntasks_per_node: 0", "spec.shape.ntasks_per_node", "FIELD_INVALID"},
    {"cpus_per_task: 0", "spec.shape.cpus_per_task", "FIELD_INVALID"},
    {"gpus_per_task: 0", "spec.shape.gpus_per_task", "FIELD_INVALID"},
    {"gpus: 4 cpus_per_gpu: 0", "spec.shape.cpus_per_gpu", "FIELD_INVALID"},
    {"cpus_per_gpu: 4", "spec.shape.cpus_per_gpu", "FIELD_INVALID"},
    {"cpus_per_node: -1", "spec.shape.cpus_per_node", "FIELD_INVALID"},
    {"memory_per_node_mib: -1", "spec.shape.memory_per_node_mib", "FIELD_INVALID"},
    {"memory_per_cpu_mib: 0", "spec.shape.memory_per_cpu_mib", "FIELD_INVALID"},
    {"gpus: 1 memory_per_gpu_mib: 0", "spec.shape.memory_per_gpu_mib", "FIELD_INVALID"},
    {"memory_per_gpu_mib: 5", "spec.shape.memory_per_gpu_mib", "FIELD_INVALID"},
    {"cpus_per_task: 1 cpus_per_node: 1", "spec.shape.cpus_per_node", "FIELD_INVALID"},
    {"memory_per_node_mib: 1 memory_per_cpu_mib: 1", "spec.shape.memory_per_node_mib",
     "FIELD_INVALID"},
    {"nodes: 2 gpus_per_node: 4 gpus: 9", "spec.shape.gpus", "FIELD_INVALID"},
    {"gpus: 8 gpus_per_task: 3", "spec.shape.gpus_per_task", "FIELD_INVALID"},
    {"gpus: 8 ntasks: 3 gpus_per_task: 2", "spec.shape.gpus_per_task", "FIELD_INVALID"},
    {"nodes: 4 ntasks: 2", "spec.shape.ntasks", "FIELD_INVALID"},
    {"nodes: 1 ntasks: 9 ntasks_per_node: 2", "spec.shape.ntasks_per_node", "FIELD_INVALID"},
    {"gpus: 13", "spec.shape.gpus", "SHAPE_UNEVEN"},
    {"gpus: 63", "spec.shape.gpus", "SHAPE_UNEVEN"},
    {"nodes: 3 gpus: 8", "spec.shape.gpus", "SHAPE_UNEVEN"},
    {"gpus_per_node: 5 gpus: 8", "spec.shape.gpus", "SHAPE_UNEVEN"},
    {"gpus: 65", "spec.shape.gpus", "NEVER_FITS_MACHINE"},
    {"ntasks: 65 gpus_per_task: 1", "spec.shape.gpus", "NEVER_FITS_MACHINE"},
};

TEST(Shape, RefusalsNameTheField) {
  for (const auto& want : kBad) {
    SCOPED_TRACE(want.asked);
    const Read read = ReadText(want.asked);
    ASSERT_FALSE(read.checks.ok());
    const FieldError& detail = read.checks.error().details.at(0);
    EXPECT_EQ(detail.field, want.field) << detail.message;
    EXPECT_EQ(detail.reason, want.reason) << detail.message;
  }
}

TEST(Shape, AnUnevenTotalSaysTheNearest) {
  const auto values = [](const std::string& text) {
    return ReadText(text).checks.error().details.at(0).values;
  };
  EXPECT_EQ(values("gpus: 13").at("below"), "12");
  EXPECT_EQ(values("gpus: 13").at("above"), "14");
  EXPECT_EQ(values("nodes: 3 gpus: 8").at("below"), "6");
  EXPECT_EQ(values("nodes: 3 gpus: 8").at("above"), "9");
  EXPECT_EQ(values("nodes: 3 gpus: 2").at("below"), "");
}

// The model: try every number of nodes from one on.
TEST(Shape, SpreadsOverTheFewestNodes) {
  for (std::int64_t nodes = 1; nodes <= 9; ++nodes) {
    for (std::int64_t each = 1; each <= 9; ++each) {
      for (std::int64_t gpus = 1; gpus <= nodes * each + 2; ++gpus) {
        std::int64_t fewest = 0;
        for (std::int64_t n = nodes; n >= 1; --n) {
          if (gpus % n == 0 && gpus / n <= each) fewest = n;
        }
        const auto shape = SpreadEvenly(gpus, {.nodes = nodes, .gpus = each});
        ASSERT_EQ(shape ? shape->nodes : 0, fewest) << gpus << " on " << nodes << "x" << each;
        if (shape) {
          ASSERT_EQ(shape->nodes * shape->gpus_per_node, gpus);
        }
      }
    }
  }
}

}  // namespace
}  // namespace kezek::rpc
