// What /metrics exposes, as one table: the exposition and docs/metrics.md are both made from it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kezek::metrics {

enum class Kind : std::uint8_t { kCounter, kGauge, kHistogram };

struct FamilyInfo {
  std::string_view name;
  Kind kind = Kind::kGauge;
  std::string_view unit;    // for people
  std::string_view labels;  // names, in the order in which values are given: "account, gpu_type"
  std::string_view bound;   // how many series there can be, of a histogram how many histograms:
                            // factors such as "classes" or "17 codes" with " × " between them
  std::string_view help;
  std::span<const double> buckets = {};  // upper bounds of a histogram, ascending
};

// In the order in which they are shown.
std::span<const FamilyInfo> Families();

// The one of this name, which must be there.
const FamilyInfo& FamilyNamed(std::string_view name);

// Its label names, one by one.
std::vector<std::string> LabelsOf(const FamilyInfo& family);

// The tables of docs/metrics.md: how many series there can be in all (a histogram is its buckets
// and three more), all families, and the buckets of the histograms.
std::string FamiliesAsMarkdown();

}  // namespace kezek::metrics
