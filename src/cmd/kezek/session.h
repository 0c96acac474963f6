// One run of the command line: what it was told, and the server it talks to.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "cmd/kezek/client.h"
#include "cmd/kezek/context.h"
#include "cmd/kezek/host.h"
#include "cmd/kezek/output.h"
#include "kezek/result.h"

namespace CLI {
class App;
}

namespace kezek::cli {

// What the program ends with. `wait` and `submit --wait` end with the job's own code instead, and
// add kOfWaiting to Kezek's.
enum ExitCode : int {
  kDone = 0,
  kFailed = 1,
  kUsage = 2,
  kRefused = 3,
  kNotFound = 4,
  kNotAllowed = 5,
  kUnreachable = 6,
  kOfWaiting = 120,
};

ExitCode ExitCodeOf(Code code);

struct Session {
  Host host;
  ContextFlags flags;
  std::string format_name = "table";
  // What the parser chose to do; gives the exit code.
  std::function<Result<int>()> action;
  // Failures are Kezek's own beside a job's exit code.
  bool waits_for_job = false;

  explicit Session(Host process) : host(std::move(process)) {}

  Format format() const { return FormatNamed(format_name); }
  // The client of the chosen context, made at the first call.
  Result<Client*> Connect();
  // The chosen context; only after Connect has succeeded.
  const Context& context() const { return context_; }

 private:
  Context context_;
  std::unique_ptr<Client> client_;
};

// Calls and passes a failure on: `Response` is the rpc's answer.
template <class Response>
Result<Response> Ask(Session& session, const google::protobuf::Message& request,
                     Repeat repeat = Repeat::kYes) {
  Result<Client*> client = session.Connect();
  if (!client) return client.error();
  return (*client)->template Call<Response>(request, repeat);
}

// As Ask, for what may take some time: the server waits for the site's other parts.
template <class Response>
Result<Response> AskPatiently(Session& session, const google::protobuf::Message& request) {
  constexpr std::int64_t kPatienceMs = 900'000;
  Result<Client*> client = session.Connect();
  if (!client) return client.error();
  (*client)->AllowTime(kPatienceMs);
  return (*client)->template Call<Response>(request, Repeat::kNo);
}

// Prints `error: …`, what is wrong with each field and the way out.
void PrintError(const Host& host, const Error& error);
// Prints `warning: …`.
void PrintWarning(const Host& host, const std::string& text);

}  // namespace kezek::cli
