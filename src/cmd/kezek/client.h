// Calls to the server. One connection; each call has a deadline; what may be repeated safely is
// tried again while the server is away. A server that has refused before it did anything is obeyed
// and asked again: it is left alone for as long as it wants, who it says leads is asked instead
// (once for each try), and one who is not signed in signs in (once).
#pragma once

#include <google/protobuf/message.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "cmd/kezek/context.h"
#include "cmd/kezek/host.h"
#include "kezek/result.h"

namespace kezek::cli {

// Whether a call that found nobody may be made again: reads, and writes that say the same twice
// (a submission with its key, a cancellation). What would be done twice may not.
enum class Repeat { kYes, kNo };

class Client {
 public:
  // How long a call may take, and how long nobody may answer before it is given up.
  struct Patience {
    std::int64_t deadline_ms = 30'000;
    std::int64_t pauses_ms = 6'000;
  };

  // `host` must outlive the client. Does not connect yet.
  Client(const Context& context, const Host& host, Patience patience);
  Client(const Context& context, const Host& host) : Client(context, host, Patience{}) {}
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Where the token that `sign_in` gives comes from when the one of the context holds no longer.
  void SignInWith(std::function<Result<std::string>()> sign_in) { sign_in_ = std::move(sign_in); }

  // Calls from now on may take so long: those that wait for more than the server.
  void AllowTime(std::int64_t deadline_ms) { patience_.deadline_ms = deadline_ms; }

  // Makes the one rpc that takes this request. The error has the server's code, message and
  // details; UNAVAILABLE with the endpoint in the message if there is no server.
  template <class Response>
  Result<Response> Call(const google::protobuf::Message& request, Repeat repeat = Repeat::kYes) {
    Response response;
    const Result<void> called = CallInto(request, response, repeat);
    if (!called) return called.error();
    return response;
  }

  // Makes the one rpc that takes this request and streams `response`s. Each goes to `on_message`,
  // which returns false to end the stream; after `limit_ms`, unless that is 0, it ends, too. Not
  // repeated once it has begun: the caller knows where to go on.
  Result<void> Stream(const google::protobuf::Message& request, google::protobuf::Message& response,
                      const std::function<bool()>& on_message, std::int64_t limit_ms = 0);

 private:
  class Connection;
  // What has been done about refusals of one call.
  struct Efforts {
    std::int64_t rested_ms = 0;
    bool followed = false;
  };
  void ConnectTo(const std::string& endpoint);
  bool Follow(const Error& error);
  bool MakeUpFor(Error& error, Efforts& efforts);
  Result<void> CallInto(const google::protobuf::Message& request,
                        google::protobuf::Message& response, Repeat repeat);

  Context context_;
  const Host* host_;
  Patience patience_;
  std::function<Result<std::string>()> sign_in_;  // null: cannot, or has been done
  std::unique_ptr<Connection> connection_;
};

}  // namespace kezek::cli
