#include "cmd/kezekd/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "kezek/reason_text.h"

namespace kezek::kezekd {
namespace {

void LogEvent(const Event& event) {
  const std::string name = event.subject == Subject::kJob ? ToText(event.job) : event.name;
  const bool warning = event.reason.code == ReasonCode::kWarning ||
                       event.reason.code == ReasonCode::kPlacementDiffers ||
                       event.reason.code == ReasonCode::kSetAside ||
                       event.reason.code == ReasonCode::kLostByCluster;
  spdlog::log(warning ? spdlog::level::warn : spdlog::level::debug,
              "event subject={} attempt={} from={} to={} reason={} actor={} text='{}'", name,
              event.attempt, event.from, event.to, WireName(event.reason.code), event.actor,
              Sentence(event.reason));
}

}  // namespace

Result<void> StartLog(const config::Config& config) {
  const auto level = spdlog::level::from_str(config.log_level);
  if (level == spdlog::level::off && config.log_level != "off") {
    return Error{Code::kInvalidArgument,
                 "log.level: '" + config.log_level + "' is none of trace, debug, info, warn, error",
                 {}};
  }
  auto logger = spdlog::stderr_logger_mt("kezekd");
  spdlog::set_default_logger(logger);
  spdlog::set_level(level);
  spdlog::set_pattern(config.log_json
                          ? R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l","message":"%v"})"
                          : "%Y-%m-%dT%H:%M:%S.%e%z %l %v");
  spdlog::flush_on(spdlog::level::info);
  return {};
}

void LogRound(const control::RoundReport& report) {
  for (const auto& event : report.events) LogEvent(event);
  for (const auto& alarm : report.alarms) spdlog::error("alarm text='{}'", alarm);
  for (const auto& note : report.notes) spdlog::info("controller note='{}'", note);
  if (!report.stopped.empty()) spdlog::error("controller stopped reason='{}'", report.stopped);
  if (!report.reloaded.empty()) spdlog::warn("controller reloaded reason='{}'", report.reloaded);
  if (report.ticked && report.starts > 0) {
    spdlog::info("tick number={} starts={} waiting={} alive={}", report.tick, report.starts,
                 report.waiting, report.alive);
  }
}

}  // namespace kezek::kezekd
