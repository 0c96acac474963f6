// Which jobs `kezek queue` lists, from its flags to a request.
#pragma once

#include <kezek/v1/job_service.pb.h>

#include <cstdint>
#include <string>
#include <vector>

#include "kezek/result.h"

namespace CLI {
class App;
}

namespace kezek::cli {

struct QueueFlags {
  bool all = false;
  bool ended = false;
  bool elements = false;
  bool reverse = false;
  std::vector<std::string> jobs;
  std::vector<std::string> accounts;
  std::vector<std::string> users;
  std::vector<std::string> states;
  std::vector<std::string> classes;
  std::vector<std::string> names;
  std::vector<std::string> nodes;
  std::vector<std::string> reasons;
  std::string since;
  std::string until;
  std::string sort;
  int limit = 1000;

  void AddTo(CLI::App& command);
};

// A page's size is the caller's. Fails with INVALID_ARGUMENT, naming the flag.
Result<v1::ListJobsRequest> RequestFor(const QueueFlags& flags, std::int64_t now_ms);

// Whether a job is one of those asked for as far as the server does not look: `held` is no state
// of the server.
bool IsWanted(const QueueFlags& flags, const v1::Job& job);

// What --state takes.
const std::vector<std::string>& StateNames();

}  // namespace kezek::cli
