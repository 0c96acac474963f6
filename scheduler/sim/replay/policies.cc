#include "scheduler/sim/replay/policies.h"

#include "scheduler/sim/replay/list_policy.h"
#include "scheduler/sim/replay/order.h"

namespace kezek::replay {

const std::vector<NamedPolicy>& Policies() {
  static const std::vector<NamedPolicy> kPolicies = {
      {"fifo", "by submission; nothing passes the first that finds no room"},
      {"easy", "by submission; the first blocked job has a reservation, later ones fill in"},
      {"sjf-oracle", "smallest GPUs x true run time first; nothing passes the first blocked"},
      {"sjf-predicted", "the same by the estimates that --estimates gives"},
      {"qssf", "the same by run times learned from what has ended; whatever fits starts"},
      {"fair+easy", "least used group for its weight first, with EASY backfill"},
      {"multifactor", "like Slurm's: fair tree, age and size, with EASY backfill"},
      {"kezek", "Kezek's own engine"},
  };
  return kPolicies;
}

std::unique_ptr<Policy> MakePolicy(std::string_view name, const JobList& list,
                                   const KezekRules& rules, const MultifactorRules& multifactor) {
  using enum WhenBlocked;
  if (name == "fifo") return MakeListPolicy(list, OrderBySubmission(list), kStop);
  if (name == "easy") return MakeListPolicy(list, OrderBySubmission(list), kBackfill);
  if (name == "sjf-oracle") return MakeListPolicy(list, OrderByTrueSize(list), kStop);
  if (name == "sjf-predicted") return MakeListPolicy(list, OrderByEstimatedSize(list), kStop);
  if (name == "qssf") return MakeListPolicy(list, OrderByPredictedSize(list), kPassOver);
  if (name == "fair+easy") return MakeListPolicy(list, OrderByFairShare(list), kBackfill);
  if (name == "multifactor") {
    return MakeListPolicy(list, OrderByMultifactor(list, multifactor), kBackfill);
  }
  if (name == "kezek") return MakeKezekPolicy(list, rules);
  return nullptr;
}

}  // namespace kezek::replay
