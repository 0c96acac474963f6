#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <set>
#include <sstream>

#include "cmd/kezek-sim/comparison.h"

namespace kezek::simcmd {
namespace {

using replay::Figures;
using replay::Waits;

constexpr std::size_t kMostGroups = 20;  // in the table; JSON has all

std::string Number(double value, int decimals = 0) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

std::string Percent(double part) { return Number(100.0 * part, 1) + "%"; }

// Small times need their fractions.
std::string Milliseconds(double ms) { return Number(ms, ms < 10 ? 3 : 1); }

using Rows = std::vector<std::vector<std::string>>;

// The first column left, the others right.
std::string Aligned(const Rows& rows) {
  std::vector<std::size_t> widths(rows.front().size(), 0);
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string blanks(widths[i] - row[i].size(), ' ');
      text += i == 0 ? row[i] + blanks : "  " + blanks + row[i];
    }
    text.erase(text.find_last_not_of(' ') + 1);
    text += '\n';
  }
  return text;
}

std::string Heading(const Comparison& comparison) {
  const replay::JobList& list = comparison.list;
  std::ostringstream text;
  text << comparison.trace << ": " << list.jobs.size() << " jobs on " << list.nodes << " nodes of "
       << list.gpus_per_node << " (" << list.capacity_gpus() << " GPUs), load "
       << Number(list.load, 3) << ", " << list.groups.size()
       << (list.split ? " groups kept apart" : " groups on one machine") << ", estimates "
       << comparison.estimates << ", seed " << comparison.seed << "\n";
  for (const auto& [why, rows] : list.left_out) {
    text << "left out: " << rows << " jobs that " << why << "\n";
  }
  for (const std::string& note : list.notes) text << "note: " << note << "\n";
  double waited = 0;
  std::int64_t known = 0;
  for (const replay::Job& job : list.jobs) {
    if (!job.waited_s) continue;
    waited += static_cast<double>(*job.waited_s);
    ++known;
  }
  if (known > 0) {
    text << "on the real cluster " << known << " of them waited "
         << Number(waited / static_cast<double>(known)) << " s on average\n";
  }
  return text.str();
}

Rows Summary(const Comparison& comparison) {
  Rows rows = {{"POLICY", "JOBS", "WAIT", "P50", "P90", "P99", "LONGEST", "COMPLETION", "SLOWDOWN",
                "USED", "WAITING", "COMING", "FRAGMENTED", "PREEMPTED", "LOST", "SHARE-ERROR",
                "JAIN", "TICK-P50", "P99"}};
  for (const Figures& figures : comparison.policies) {
    const Waits& all = figures.all;
    rows.push_back({figures.policy, std::to_string(all.jobs), Number(all.mean_s), Number(all.p50_s),
                    Number(all.p90_s), Number(all.p99_s), Number(all.longest_s),
                    Number(all.mean_completion_s), Number(all.bounded_slowdown, 2),
                    Percent(figures.utilisation), Percent(figures.utilisation_waiting),
                    Percent(figures.utilisation_coming), Percent(figures.fragmentation),
                    std::to_string(figures.preemptions), Number(figures.gpu_hours_lost),
                    Percent(figures.share_error), Number(figures.jain, 4),
                    Milliseconds(figures.tick_ms_p50), Milliseconds(figures.tick_ms_p99)});
  }
  return rows;
}

using Classes = std::vector<std::pair<std::string, Waits>>;

// A line for each class, a column of mean waits for each policy.
Rows MeanWaits(const Comparison& comparison, const std::string& heading,
               const std::function<const Classes&(const Figures&)>& classes) {
  Rows rows = {{heading, "JOBS", "GPU-HOURS"}};
  for (const Figures& figures : comparison.policies) rows[0].push_back(figures.policy);
  Classes lines = classes(comparison.policies.front());
  if (lines.size() > kMostGroups) {
    std::stable_sort(lines.begin(), lines.end(), [](const auto& a, const auto& b) {
      return a.second.gpu_hours > b.second.gpu_hours;
    });
    lines.resize(kMostGroups);
  }
  for (const auto& [name, waits] : lines) {
    rows.push_back({name, std::to_string(waits.jobs), Number(waits.gpu_hours)});
    for (const Figures& figures : comparison.policies) {
      const Classes& all = classes(figures);
      const auto found = std::find_if(all.begin(), all.end(),
                                      [&](const auto& entry) { return entry.first == name; });
      rows.back().push_back(found == all.end() ? "-" : Number(found->second.mean_s));
    }
  }
  return rows;
}

}  // namespace

std::optional<BesideEasy> GroupsBesideEasy(const Comparison& comparison, const Figures& figures) {
  const auto easy = std::find_if(comparison.policies.begin(), comparison.policies.end(),
                                 [](const Figures& other) { return other.policy == "easy"; });
  if (easy == comparison.policies.end() || figures.policy == "easy") return std::nullopt;
  BesideEasy beside;
  for (const auto& [name, waits] : figures.by_group) {
    for (const auto& [other, easy_waits] : easy->by_group) {
      if (other != name) continue;
      if (waits.mean_s < easy_waits.mean_s) ++beside.less;
      if (waits.mean_s > easy_waits.mean_s) ++beside.more;
    }
  }
  return beside;
}

std::string TableText(const Comparison& comparison) {
  std::string text = Heading(comparison) + "\n" + Aligned(Summary(comparison));
  for (const Figures& figures : comparison.policies) {
    if (figures.never_started == 0) continue;
    text += figures.policy + " never started " + std::to_string(figures.never_started) + " jobs\n";
  }
  text += "\nmean wait in seconds\n";
  text += Aligned(
      MeanWaits(comparison, "GPUS", [](const Figures& f) -> const Classes& { return f.by_size; }));
  const std::size_t groups = comparison.policies.front().by_group.size();
  if (groups > 1) {
    text += "\n" + Aligned(MeanWaits(comparison, "GROUP", [](const Figures& f) -> const Classes& {
              return f.by_group;
            }));
    if (groups > kMostGroups) {
      text += "the " + std::to_string(kMostGroups) + " with the most GPU time of " +
              std::to_string(groups) + "\n";
    }
    for (const Figures& figures : comparison.policies) {
      const auto beside = GroupsBesideEasy(comparison, figures);
      if (!beside) continue;
      text += figures.policy + ": " + std::to_string(beside->less) + " of " +
              std::to_string(groups) + " groups wait less than under easy, " +
              std::to_string(beside->more) + " more\n";
    }
  }
  text += "\n";
  for (const Figures& figures : comparison.policies) {
    if (figures.parameters.empty()) continue;
    text += figures.policy + ":";
    for (const auto& [name, value] : figures.parameters) text += " " + name + "=" + value + ",";
    text.back() = '\n';
  }
  return text;
}

}  // namespace kezek::simcmd
