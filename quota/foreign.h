// What a job that is not Kezek's has kept from others, and the ledger entries that are due for it.
//
// Counted as a job of Kezek's is, from what the cluster's books tell: GPUs, CPUs and memory in all,
// which are taken to be spread evenly over its nodes; never more than a node has. A job that had a
// node for itself has all its CPUs in the books, and counts whole. Nodes that are not known, and
// those without GPUs, count nothing; of a host that is several nodes, the one of its name counts.
//
// Charged from start to end in whole seconds, at the rate of its GPU type and with factor 1. Usage
// in pieces, as an attempt that has ended has it; one entry in the charge book; no budget is
// touched, for a job that is not held cannot be held off.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "kezek/cluster_books.h"
#include "kezek/event.h"
#include "kezek/foreign.h"
#include "kezek/node.h"
#include "kezek/resources.h"
#include "quota/charge.h"

namespace kezek::quota {

// Of one GPU type.
struct ForeignPart {
  std::vector<std::string> nodes;
  MilliGpus counted_milli = 0;
  bool operator==(const ForeignPart&) const = default;
};

// By GPU type; nothing that counts nothing.
std::map<std::string, ForeignPart> CountForeign(const BookedRun& run,
                                                const std::map<std::string, Node>& nodes);

// The last one is the charge.
std::vector<LedgerEntry> ForeignEntries(const ForeignCharge& charge, TimeMs now,
                                        const ChargeRules& rules = {});

}  // namespace kezek::quota
