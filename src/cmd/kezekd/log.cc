#include "cmd/kezekd/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <string_view>
#include <utility>

#include "kezek/reason_text.h"
#include "kezek/text.h"

namespace kezek::kezekd {
namespace {

// `%*` in a pattern: the message as OneLine has it.
class MessageFlag final : public spdlog::custom_flag_formatter {
 public:
  explicit MessageFlag(bool json) : json_(json) {}
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    const std::string line = OneLine({message.payload.data(), message.payload.size()}, json_);
    out.append(line.data(), line.data() + line.size());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<MessageFlag>(json_);
  }

 private:
  bool json_;
};

void LogEvent(const Event& event) {
  const std::string name = event.subject == Subject::kJob ? ToText(event.job) : event.name;
  const bool warning = event.reason.code == ReasonCode::kWarning ||
                       event.reason.code == ReasonCode::kPlacementDiffers ||
                       event.reason.code == ReasonCode::kSetAside ||
                       event.reason.code == ReasonCode::kGuaranteesScaled ||
                       event.reason.code == ReasonCode::kBudgetWarning ||
                       event.reason.code == ReasonCode::kLostByCluster;
  spdlog::log(warning ? spdlog::level::warn : spdlog::level::debug,
              "event subject={} attempt={} from={} to={} reason={} actor={} text='{}'", name,
              event.attempt, event.from, event.to, WireName(event.reason.code), event.actor,
              Sentence(event.reason));
}

}  // namespace

std::string OneLine(std::string_view message, bool json) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string line;
  for (const char c : json ? MakeUtf8(message) : std::string(message)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) {
      line += json ? "\\u00" : "\\x";
      line += kHex[byte >> 4U];
      line += kHex[byte & 15U];
      continue;
    }
    if (json && (c == '"' || c == '\\')) line += '\\';
    line += c;
  }
  return line;
}

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
  auto formatter = std::make_unique<spdlog::pattern_formatter>();
  formatter->add_flag<MessageFlag>('*', config.log_json);
  formatter->set_pattern(config.log_json
                             ? R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l","message":"%*"})"
                             : "%Y-%m-%dT%H:%M:%S.%e%z %l %*");
  spdlog::set_formatter(std::move(formatter));
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
