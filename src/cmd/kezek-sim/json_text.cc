#include <nlohmann/json.hpp>

#include "cmd/kezek-sim/comparison.h"

namespace kezek::simcmd {
namespace {

using Json = nlohmann::ordered_json;
using replay::Figures;
using replay::Waits;

void PutWaits(const Waits& waits, Json& json) {
  json["jobs"] = waits.jobs;
  json["mean_wait_s"] = waits.mean_s;
  json["p50_wait_s"] = waits.p50_s;
  json["p90_wait_s"] = waits.p90_s;
  json["p99_wait_s"] = waits.p99_s;
  json["longest_wait_s"] = waits.longest_s;
  json["mean_completion_s"] = waits.mean_completion_s;
  json["bounded_slowdown"] = waits.bounded_slowdown;
  json["gpu_hours"] = waits.gpu_hours;
}

Json ClassesOf(const char* name, const std::vector<std::pair<std::string, Waits>>& classes) {
  Json list = Json::array();
  for (const auto& [value, waits] : classes) {
    Json entry;
    entry[name] = value;
    PutWaits(waits, entry);
    list.push_back(std::move(entry));
  }
  return list;
}

Json PolicyOf(const Figures& figures) {
  Json json;
  json["policy"] = figures.policy;
  PutWaits(figures.all, json);
  json["never_started"] = figures.never_started;
  json["utilisation"] = figures.utilisation;
  json["utilisation_while_waiting"] = figures.utilisation_waiting;
  json["utilisation_until_last_submission"] = figures.utilisation_coming;
  json["fragmentation_gpu_hours"] = figures.fragmentation_gpu_hours;
  json["fragmentation"] = figures.fragmentation;
  json["preemptions"] = figures.preemptions;
  json["gpu_hours_lost"] = figures.gpu_hours_lost;
  json["share_error"] = figures.share_error;
  json["jain"] = figures.jain;
  json["ticks"] = figures.ticks;
  json["tick_ms_p50"] = figures.tick_ms_p50;
  json["tick_ms_p99"] = figures.tick_ms_p99;
  json["tick_ms_max"] = figures.tick_ms_max;
  json["by_size"] = ClassesOf("gpus", figures.by_size);
  json["by_group"] = ClassesOf("group", figures.by_group);
  json["parameters"] = Json::object();
  for (const auto& [name, value] : figures.parameters) json["parameters"][name] = value;
  return json;
}

}  // namespace

std::string JsonText(const Comparison& comparison) {
  const replay::JobList& list = comparison.list;
  Json json;
  json["trace"] = comparison.trace;
  json["jobs"] = list.jobs.size();
  json["capacity_gpus"] = list.capacity_gpus();
  json["nodes"] = list.nodes;
  json["gpus_per_node"] = list.gpus_per_node;
  json["load"] = list.load;
  json["split"] = list.split;
  json["estimates"] = comparison.estimates;
  json["seed"] = comparison.seed;
  json["groups"] = Json::array();
  for (std::size_t i = 0; i < list.groups.size(); ++i) {
    Json group = {{"group", list.groups[i].name}, {"weight_milli", list.groups[i].weight_milli}};
    if (list.split) group["nodes"] = list.parts[i].nodes;
    json["groups"].push_back(std::move(group));
  }
  json["left_out"] = Json::array();
  for (const auto& [why, rows] : list.left_out) {
    json["left_out"].push_back({{"why", why}, {"jobs", rows}});
  }
  json["notes"] = list.notes;
  json["policies"] = Json::array();
  for (const Figures& figures : comparison.policies) {
    json["policies"].push_back(PolicyOf(figures));
    const auto beside = GroupsBesideEasy(comparison, figures);
    if (!beside) continue;
    json["policies"].back()["groups_that_wait_less_than_under_easy"] = beside->less;
    json["policies"].back()["groups_that_wait_more_than_under_easy"] = beside->more;
  }
  return json.dump(2) + "\n";
}

}  // namespace kezek::simcmd
