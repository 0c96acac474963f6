#include "cmd/kezek/settings_flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>

#include "cmd/kezek/usage_error.h"
#include "script/values.h"

namespace kezek::cli {
namespace {

constexpr std::int64_t kMost = 1'000'000'000;

Error BadSetting(const std::string& flag, const std::string& message) {
  return FieldProblem(Code::kInvalidArgument, FieldError{flag, "FIELD_INVALID", message, {}});
}

// `1.5` as thousandths.
Result<std::int64_t> Milli(const std::string& flag, const std::string& text) {
  const std::size_t point = text.find('.');
  std::string fraction = point == std::string::npos ? "" : text.substr(point + 1);
  const bool too_fine = fraction.size() > 3 || (point != std::string::npos && fraction.empty());
  fraction.resize(3, '0');
  const Result<std::int64_t> whole = script::ParseNumber(text.substr(0, point), 0, kMost);
  const Result<std::int64_t> part = script::ParseNumber(fraction, 0, 999);
  if (!whole || !part || too_fine) {
    return BadSetting(flag,
                      "'" + text + "' is not a number of 0 or more with at most three decimals");
  }
  return *whole * 1000 + *part;
}

// Percent as millionths: `12.5`.
Result<std::int64_t> Millionths(const std::string& flag, const std::string& text) {
  const bool percent = text.ends_with('%');
  Result<std::int64_t> milli = Milli(flag, percent ? text.substr(0, text.size() - 1) : text);
  if (!milli) return milli;
  return *milli * 10;
}

struct ShareFlag {
  const char* flag;
  const std::vector<std::string>* values;
  Result<std::int64_t> (*read)(const std::string& flag, const std::string& text);
  void (*set)(v1::Share&, std::int64_t);
  void (*clear)(v1::Share&);  // null: `none` is no value of it
};

Result<void> ApplyShares(const ShareFlag& share, const std::string& default_type,
                         v1::AccountSettings& settings) {
  const std::string& flag = share.flag;
  const std::vector<std::string>& values = *share.values;
  for (const std::string& value : values) {
    const std::size_t equals = value.find('=');
    const std::string type = equals == std::string::npos ? default_type : value.substr(0, equals);
    if (type.empty()) return BadSetting(flag, "'" + value + "' names no type: expected h200=48");
    const std::string figure = equals == std::string::npos ? value : value.substr(equals + 1);
    v1::Share& slot = (*settings.mutable_shares())[type];
    if (figure == "none" && share.clear != nullptr) {
      share.clear(slot);
      continue;
    }
    const Result<std::int64_t> number = share.read(flag, figure);
    if (!number) return number.error();
    share.set(slot, *number);
  }
  return {};
}

using LimitSetter = void (v1::Limits::*)(std::int64_t);
using LimitClearer = void (v1::Limits::*)();
enum class LimitUnit { kGpus, kJobs, kTime };

Result<void> ApplyLimit(const std::string& flag, const std::string& value, LimitUnit unit,
                        v1::Limits& limits, LimitSetter set, LimitClearer clear) {
  if (value.empty()) return {};
  if (value == "none") {
    (limits.*clear)();
    return {};
  }
  Result<std::int64_t> number = unit == LimitUnit::kGpus   ? Milli(flag, value)
                                : unit == LimitUnit::kTime ? script::ParseDuration(value)
                                                           : script::ParseNumber(value, 0, kMost);
  if (!number && unit == LimitUnit::kGpus) return number.error();
  if (!number) return BadSetting(flag, number.error().message);
  (limits.*set)(*number);
  return {};
}

bool Untyped(const std::vector<std::string>& values) {
  return std::any_of(values.begin(), values.end(),
                     [](const std::string& value) { return value.find('=') == std::string::npos; });
}

}  // namespace

void SettingsFlags::AddTo(CLI::App& command) {
  const auto shares = [&command](const char* name, std::vector<std::string>& value,
                                 const char* about) {
    command.add_option(name, value, about)->type_name("[TYPE=]N")->allow_extra_args(false);
  };
  shares("--weight", weight, "share among its siblings: 2, h200=1.5");
  shares("--guarantee", guarantee, "GPUs it gets back on demand");
  shares("--borrow-max", borrow_max, "GPUs above the guarantee at most, or none: no cap");
  shares("--lend-max", lend_max, "GPUs of the guarantee lent at most, or none: lends all");
  shares("--target", target, "part of the parent's that policy aims at, percent, or none");
  const auto one = [&command](const char* name, std::string& value, const char* type,
                              const char* about) {
    return command.add_option(name, value, about)->type_name(type);
  };
  one("--max-gpus", max_gpus, "N", "counted GPUs running at most, or none");
  one("--max-running", max_running, "N", "jobs running at most, or none");
  one("--max-queued", max_queued, "N", "jobs queued at most, or none");
  one("--max-job-gpus", max_job_gpus, "N", "counted GPUs of a job at most, or none");
  one("--max-time", max_time, "TIME", "time limit of a job at most, or none");
  one("--user-max-gpus", user_max_gpus, "N", "of each user: GPUs running at most");
  one("--user-max-running", user_max_running, "N", "of each user: jobs running at most");
  one("--user-max-queued", user_max_queued, "N", "of each user: jobs queued at most");
  one("--user-max-job-gpus", user_max_job_gpus, "N", "of each user: GPUs of a job at most");
  one("--user-max-time", user_max_time, "TIME", "of each user: time limit of a job at most");
  command
      .add_option("--classes", classes, "classes allowed, joined by commas, or none: the parent's")
      ->type_name("CLASS")
      ->delimiter(',')
      ->allow_extra_args(false);
  one("--default-class", default_class, "CLASS", "class of a job that names none");
  one("--default-time", default_time, "TIME", "time limit of a job that names none");
  one("--rule", rule, "fair|fifo|shortest", "order in a project")
      ->check(OneOf({"fair", "fifo", "shortest"}));
  one("--classification", classification, "NAME", "highest data classification, or none: parent's");
  one("--slurm-account", slurm_account, "NAME", "account in Slurm, or none: the parent's");
  one("--slurm-qos", slurm_qos, "NAME", "QOS in Slurm, or none: the parent's");
  one("--dedicated-nodes", dedicated_nodes, "NODES", "nodes for it alone: n[01-04], or none");
}

bool SettingsFlags::NeedsGpuType() const {
  return Untyped(weight) || Untyped(guarantee) || Untyped(borrow_max) || Untyped(lend_max) ||
         Untyped(target);
}

Result<void> SettingsFlags::ApplyTo(const std::string& default_type,
                                    v1::AccountSettings& settings) const {
  const ShareFlag shares[] = {
      {"--weight", &weight, Milli, [](v1::Share& s, std::int64_t n) { s.set_weight_milli(n); },
       nullptr},
      {"--guarantee", &guarantee, Milli,
       [](v1::Share& s, std::int64_t n) { s.set_guarantee_milli_gpus(n); }, nullptr},
      {"--borrow-max", &borrow_max, Milli,
       [](v1::Share& s, std::int64_t n) { s.set_borrow_max_milli_gpus(n); },
       [](v1::Share& s) { s.clear_borrow_max_milli_gpus(); }},
      {"--lend-max", &lend_max, Milli,
       [](v1::Share& s, std::int64_t n) { s.set_lend_max_milli_gpus(n); },
       [](v1::Share& s) { s.clear_lend_max_milli_gpus(); }},
      {"--target", &target, Millionths, [](v1::Share& s, std::int64_t n) { s.set_target_ppm(n); },
       [](v1::Share& s) { s.clear_target_ppm(); }},
  };
  for (const ShareFlag& share : shares) {
    Result<void> set = ApplyShares(share, default_type, settings);
    if (!set) return set;
  }
  using L = v1::Limits;
  struct LimitFlag {
    const char* flag;
    const std::string* value;
    LimitUnit unit;
    L* (v1::AccountSettings::*of)();
    LimitSetter set;
    LimitClearer clear;
  };
  constexpr auto kAll = &v1::AccountSettings::mutable_account_limits;
  constexpr auto kEach = &v1::AccountSettings::mutable_user_limits;
  const LimitFlag limits[] = {
      {"--max-gpus", &max_gpus, LimitUnit::kGpus, kAll, &L::set_running_milli_gpus,
       &L::clear_running_milli_gpus},
      {"--max-running", &max_running, LimitUnit::kJobs, kAll, &L::set_jobs_running,
       &L::clear_jobs_running},
      {"--max-queued", &max_queued, LimitUnit::kJobs, kAll, &L::set_jobs_queued,
       &L::clear_jobs_queued},
      {"--max-job-gpus", &max_job_gpus, LimitUnit::kGpus, kAll, &L::set_job_milli_gpus,
       &L::clear_job_milli_gpus},
      {"--max-time", &max_time, LimitUnit::kTime, kAll, &L::set_time_limit_ms,
       &L::clear_time_limit_ms},
      {"--user-max-gpus", &user_max_gpus, LimitUnit::kGpus, kEach, &L::set_running_milli_gpus,
       &L::clear_running_milli_gpus},
      {"--user-max-running", &user_max_running, LimitUnit::kJobs, kEach, &L::set_jobs_running,
       &L::clear_jobs_running},
      {"--user-max-queued", &user_max_queued, LimitUnit::kJobs, kEach, &L::set_jobs_queued,
       &L::clear_jobs_queued},
      {"--user-max-job-gpus", &user_max_job_gpus, LimitUnit::kGpus, kEach, &L::set_job_milli_gpus,
       &L::clear_job_milli_gpus},
      {"--user-max-time", &user_max_time, LimitUnit::kTime, kEach, &L::set_time_limit_ms,
       &L::clear_time_limit_ms},
  };
  for (const LimitFlag& limit : limits) {
    if (limit.value->empty()) continue;
    Result<void> set = ApplyLimit(limit.flag, *limit.value, limit.unit, *(settings.*limit.of)(),
                                  limit.set, limit.clear);
    if (!set) return set;
  }
  return ApplyNames(settings);
}

Result<void> SettingsFlags::ApplyNames(v1::AccountSettings& settings) const {
  const bool no_classes = classes == std::vector<std::string>{"none"};
  if (no_classes) settings.clear_job_classes();
  if (!classes.empty() && !no_classes) {
    settings.mutable_job_classes()->Assign(classes.begin(), classes.end());
  }
  const auto name = [](const std::string& value) { return value == "none" ? "" : value; };
  if (!classification.empty()) settings.set_highest_classification(name(classification));
  if (!slurm_qos.empty()) settings.set_slurm_qos(name(slurm_qos));
  if (!default_class.empty()) settings.set_default_class(name(default_class));
  if (!slurm_account.empty()) settings.set_slurm_account(name(slurm_account));
  if (!dedicated_nodes.empty()) {
    settings.clear_dedicated_nodes();
    if (dedicated_nodes != "none") settings.add_dedicated_nodes(dedicated_nodes);
  }
  if (!default_time.empty()) {
    Result<std::int64_t> time = script::ParseDuration(default_time);
    if (!time) return BadSetting("--default-time", time.error().message);
    settings.set_default_time_limit_ms(*time);
  }
  if (rule == "fair") settings.set_rule(v1::PROJECT_RULE_FAIR);
  if (rule == "fifo") settings.set_rule(v1::PROJECT_RULE_FIFO);
  if (rule == "shortest") settings.set_rule(v1::PROJECT_RULE_SHORTEST);
  return {};
}

namespace {

std::string LimitsText(const v1::Limits& limits) {
  std::string text;
  const auto add = [&text](bool has, const std::string& part) {
    if (has) text += (text.empty() ? "" : ", ") + part;
  };
  add(limits.has_running_milli_gpus(), Gpus(limits.running_milli_gpus()) + " GPUs running");
  add(limits.has_jobs_running(), Count(limits.jobs_running(), "job") + " running");
  add(limits.has_jobs_queued(), Count(limits.jobs_queued(), "job") + " queued");
  add(limits.has_job_milli_gpus(), Gpus(limits.job_milli_gpus()) + " GPUs a job");
  add(limits.has_time_limit_ms(), Length(limits.time_limit_ms()) + " a job");
  return text;
}

// `20,000.0 GPU-h of h200, 2026-10-01 00:00:00 to …, then stop`.
std::string BudgetText(const v1::BudgetSpec& budget) {
  constexpr std::int64_t kHourMs = 3'600'000;
  std::string text = GpuHours(budget.milli_gpu_hours() * kHourMs) + " GPU-h";
  if (!budget.gpu_type().empty()) text += " of " + budget.gpu_type();
  text += ", " + ExactMoment(budget.start_ms()) + " to " + ExactMoment(budget.end_ms());
  text += budget.at_exhaustion() == v1::BUDGET_EXHAUSTION_SCAVENGE ? ", then scavenges"
                                                                   : ", then stops";
  if (budget.carry_over_percent() > 0) {
    text += ", carries over " + std::to_string(budget.carry_over_percent()) + " %";
  }
  return text;
}

}  // namespace

void AddSettings(const v1::AccountSettings& settings, Facts& facts) {
  std::vector<std::string> types;
  for (const auto& entry : settings.shares()) types.push_back(entry.first);
  std::sort(types.begin(), types.end());
  for (const std::string& type : types) {
    const v1::Share& share = settings.shares().at(type);
    std::string text = "weight " + Gpus(share.has_weight_milli() ? share.weight_milli() : 1000) +
                       ", guarantee " + Gpus(share.guarantee_milli_gpus()) + " GPUs";
    if (share.has_borrow_max_milli_gpus()) {
      text += ", borrows at most " + Gpus(share.borrow_max_milli_gpus());
    }
    if (share.has_lend_max_milli_gpus()) {
      text += ", lends at most " + Gpus(share.lend_max_milli_gpus());
    }
    if (share.has_target_ppm()) text += ", target " + Percent(share.target_ppm());
    facts.Add(type, text);
  }
  facts.Add("Limits", LimitsText(settings.account_limits()));
  facts.Add("Limits of a user", LimitsText(settings.user_limits()));
  std::string classes;
  for (const std::string& name : settings.job_classes()) {
    classes += (classes.empty() ? "" : ", ") + name;
  }
  facts.Add("Classes", classes);
  facts.Add("Default class", settings.default_class());
  if (settings.default_time_limit_ms() > 0) {
    facts.Add("Default time limit", Length(settings.default_time_limit_ms()));
  }
  if (settings.rule() != v1::PROJECT_RULE_UNSPECIFIED) {
    facts.Add("Order", Words(v1::ProjectRule_Name(settings.rule()), sizeof("PROJECT_RULE_") - 1));
  }
  facts.Add("Highest classification", settings.highest_classification());
  facts.Add("Slurm account", settings.slurm_account());
  facts.Add("Slurm QOS", settings.slurm_qos());
  for (const v1::BudgetSpec& budget : settings.budgets()) {
    facts.Add("Budget " + budget.name(), BudgetText(budget));
  }
  std::string nodes;
  for (const std::string& list : settings.dedicated_nodes()) {
    nodes += (nodes.empty() ? "" : ",") + list;
  }
  facts.Add("Dedicated nodes", nodes);
}

}  // namespace kezek::cli
