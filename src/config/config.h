// The configuration of kezekd: one YAML file, read strictly. docs/operating.md shows every key.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "kezek/account.h"
#include "kezek/node.h"
#include "kezek/result.h"
#include "kezek/time.h"
#include "kezek/tls.h"
#include "kezek/user.h"

namespace kezek::config {

struct DatabaseConfig {
  std::string url;          // of kezek_app: runs
  std::string migrate_url;  // of kezek_owner: migrates at the start; empty: do not migrate
  std::int32_t readers = 8;
};

struct SlurmConfig {
  std::string url;             // "http://127.0.0.1:6820" or "unix:/run/slurmrestd.sock"
  std::string token_file;      // a JWT, read again when the file changes; or
  std::string jwt_key_file;    // the HS256 key that ten-minute tokens are signed with
  std::string user = "slurm";  // whose token it is: SlurmUser or root
  std::string partition;       // empty: Slurm's default
  std::int32_t connections = 8;
  DurationMs request_timeout_ms = 10 * kSecondMs;
  DurationMs message_timeout_ms = 10 * kSecondMs;  // Slurm's own MessageTimeout
  DurationMs launch_timeout_ms = kMinuteMs;
  DurationMs accounting_patience_ms = 10 * kMinuteMs;  // before a job that is lost is given up
  std::string foreign_account;  // its path; pays for jobs that are not Kezek's; empty: nobody does
  DurationMs foreign_every_ms = 5 * kMinuteMs;  // slurmdbd is asked for these jobs
};

struct SchedulingConfig {
  std::int32_t look = 2000;
  std::int32_t look_project = 200;
  std::int32_t reservations = 8;           // alive at a time, in each pool of nodes
  DurationMs reserve_after_ms = 0;         // who has waited for less gets none
  std::int32_t reserve_width_percent = 0;  // of a pool's nodes: who asks for fewer gets none
  bool reclaim = true;
  DurationMs topology_wait_ms = 10 * kMinuteMs;
  DurationMs half_life_ms = 7 * kDayMs;
  DurationMs history_hours_ms = 400 * kDayMs;  // by the hour so long, then by the day
  DurationMs age_max_ms = kDayMs;
  DurationMs kill_margin_ms = 2 * kMinuteMs;  // at least Slurm's KillWait
  DurationMs hold_beyond_ms = kDayMs;         // of a budget's period, past its end
  DurationMs refund_max_ms = kHourMs;
  std::int32_t set_aside_after = 3;          // launches that fail in a row on a node; 0: never
  DurationMs set_aside_ms = 10 * kMinuteMs;  // doubles while they go on to fail
  DurationMs gather_ms = 100;                // events within this of a tick share the next
  DurationMs heartbeat_ms = 5 * kSecondMs;
};

struct LimitsConfig {
  std::int64_t script_kib = 4096;
  std::int64_t environment_kib = 256;
  std::int64_t request_kib = 16 * 1024;
  DurationMs token_lifetime_ms = 90 * kDayMs;  // default and longest
  std::int64_t calls_per_second = 100;         // of one user; 0: no limit
  std::int64_t calls_burst = 1000;             // at once after a pause
  std::int64_t leavers_percent = 20;           // of the members, in one sync with a directory
};

// Sign-in by munge credentials.
struct MungeConfig {
  bool on = false;
  std::string socket;                           // of munged; empty: its default
  DurationMs token_lifetime_ms = 12 * kHourMs;  // default and longest
};

struct HttpConfig {
  std::string listen = "127.0.0.1:7480";  // empty: nothing is served over HTTP
  bool metrics_token = true;              // GET /metrics wants a token
  std::int32_t connections = 256;
  DurationMs idle_timeout_ms = kMinuteMs;
};

struct Config {
  std::string cluster;
  std::string grpc_listen = "127.0.0.1:7443";
  HttpConfig http;
  std::string grpc_advertise;            // where clients reach it; empty: grpc_listen
  TlsFiles tls;                          // of every address; empty: plain text
  bool plain_text_off_loopback = false;  // the file says so in as many words
  DatabaseConfig database;
  SlurmConfig slurm;
  SchedulingConfig scheduling;
  LimitsConfig limits;
  MungeConfig munge;
  std::map<std::string, ClassRules> classes;
  std::vector<std::string> classifications;  // of data, lowest first; empty: there are none
  std::string alone_from;        // of these: jobs from this one on share no node; empty: all may
  std::string container_launch;  // runs {command} in {image}; empty: Slurm does
  std::map<std::string, std::int64_t> rate_milli;  // by GPU type; the types there are
  std::string default_gpu_type;
  std::string topology_file;
  std::string output_root;
  DurationMs output_keep_ms = 90 * kDayMs;  // after a job's end, then it is removed; 0: for ever
  std::string environment_key_file;  // keys that environments are encrypted with, newest last
  std::string tag_key_file;          // 32 bytes or more that sign the tags of attempts
  std::int64_t min_uid = kDefaultMinUid;
  std::string log_level = "info";
  bool log_json = false;
};

// INVALID_ARGUMENT names every problem with its line; NOT_FOUND: the file cannot be read.
Result<Config> LoadConfig(const std::string& path);
Result<Config> ParseConfig(const std::string& text, const std::string& file_name);

// The nodes of topology.yaml: the configured machine. `node` says what each has (gpu_type, gpus,
// cpus, memory_mib, clearance), `leaves` where they are (name, block, nodes, labels); a leaf may
// say otherwise of its own. `levels` names what is above blocks, the smallest first: keys of
// leaves, too. Nodes are lists such as "n[01-08]". Health is kUnknown until the cluster reports it.
// Nodes are cleared for what `clearance` says alone, until ClearNodes.
Result<std::vector<Node>> LoadTopology(const std::string& path);
Result<std::vector<Node>> ParseTopology(const std::string& text, const std::string& file_name);

// All nodes are cleared for the lowest classification, and for all up to their clearance.
// INVALID_ARGUMENT: a clearance is none of these.
Result<void> ClearNodes(const std::vector<std::string>& classifications, std::vector<Node>* nodes);

// INVALID_ARGUMENT names the class and the node: lanes are of known nodes, each of one class.
Result<void> CheckLanes(const std::map<std::string, ClassRules>& classes,
                        const std::vector<Node>& nodes);

// What `plain_text_off_loopback` must say for plain text to be allowed there.
inline constexpr const char* kPlainTextWords = "yes, everyone on the network can read tokens";

// realtime, normal, debug and scavenger as they are where the file names no classes.
std::map<std::string, ClassRules> DefaultClasses();

}  // namespace kezek::config
