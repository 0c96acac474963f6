// Gauges made from what is known now. Pure.
#pragma once

#include <prometheus/metric_family.h>

#include <string>
#include <string_view>
#include <vector>

#include "kezek/desk.h"
#include "kezek/meter.h"

namespace kezek::metrics {

// A family of the table, with values put in one by one; labels in the table's order.
class GaugeFamily {
 public:
  explicit GaugeFamily(std::string_view name);
  void Add(const std::vector<std::string>& labels, double value);
  void AddTo(std::vector<prometheus::MetricFamily>& all);  // unless it is empty

 private:
  std::vector<std::string> names_;
  prometheus::MetricFamily family_;
};

// Accounts, budgets, nodes, GPUs, the last tick, whether Slurm answers, the epoch.
void AddViewFamilies(const View& view, std::vector<prometheus::MetricFamily>& all);
void AddQueueFamilies(const QueueTally& tally, std::vector<prometheus::MetricFamily>& all);
// A gauge without labels.
void AddGauge(std::string_view name, double value, std::vector<prometheus::MetricFamily>& all);

}  // namespace kezek::metrics
