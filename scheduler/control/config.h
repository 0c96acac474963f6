// What the controller is told once, at its start.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kezek/account.h"
#include "kezek/node.h"
#include "kezek/time.h"
#include "kezek/user.h"
#include "quota/charge.h"
#include "scheduler/engine/engine.h"

namespace kezek::control {

struct ControlConfig {
  engine::EngineConfig engine;
  quota::ChargeRules charge;
  std::map<std::string, ClassRules> classes;       // by name
  std::map<std::string, std::int64_t> rate_milli;  // by GPU type; missing: 1000
  std::string default_gpu_type = "h200";
  std::string default_class = "normal";
  std::vector<std::string> classifications;       // of data, lowest first
  std::string alone_from;                         // of these: from here on jobs share no node
  std::int64_t min_uid = kDefaultMinUid;          // of users' Unix accounts
  std::vector<Node> nodes;                        // configured; empty: what the cluster reports
  std::string output_root;                        // absolute; <root>/<job>/<attempt>/stdout
  std::string cluster_name;                       // for KEZEK_CLUSTER and reports
  std::string foreign_account;                    // pays for what is not Kezek's; empty: nobody
  std::string container_launch;                   // of jobs with an image: Launch's
  DurationMs gather_ms = 100;                     // events this close to a tick share the next
  DurationMs heartbeat_ms = 5 * kSecondMs;        // a tick at least this often
  DurationMs launch_timeout_ms = 60 * kSecondMs;  // from the release to running
  DurationMs lost_answer_ms = 30 * kSecondMs;     // after a restart, before looking by name
  DurationMs retry_ms = 5 * kSecondMs;            // of releases, cancels and looks
  DurationMs backoff_ms = 10 * kSecondMs;         // after a failed launch; doubles
  DurationMs backoff_max_ms = 10 * kMinuteMs;
  std::int32_t set_aside_after = 3;            // launches that fail in a row on a node; 0: never
  DurationMs set_aside_ms = 10 * kMinuteMs;    // doubles while they go on to fail
  DurationMs reconcile_ms = 5 * kMinuteMs;     // full listings of the cluster's jobs
  DurationMs history_commit_ms = kMinuteMs;    // of how accounts stand, at least; a crash loses it
  DurationMs history_hours_ms = 400 * kDayMs;  // by the hour so long, then by the day
  // Keyed hash of a text, as hex. Pure: the same text gives the same hash in every process with
  // the installation's key. Tags of attempts are made and checked with it.
  std::function<std::string(std::string_view)> keyed_hash;
};

}  // namespace kezek::control
