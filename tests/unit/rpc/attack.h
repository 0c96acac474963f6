// What the tests of attacks share: calls of any rpc with any bytes, and jobs whose texts are
// marked.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/unit/rpc/served.h"

namespace kezek::rpc {

class FixedAccounts final : public UnixAccounts {
 public:
  std::map<std::string, std::int64_t> uids;
  Result<std::int64_t> FindUid(const std::string& name) override;
};

// What came back: the first answer of a stream, or the answer; and how it ended.
struct Outcome {
  grpc::Status status;
  std::string bytes;  // of all answers
};

// A server on fakes, and raw calls of any rpc as any user.
class Attack : public Served {
 protected:
  void Adjust(ServerConfig*, ServerPorts* ports) override { ports->unix_accounts = &accounts_; }
  void SetUp() override;

  // One call of any rpc. A stream is left after its first answer, or once it ends.
  Outcome Call(const std::string& user, const std::string& method, const std::string& request);
  Outcome Call(const std::string& user, const std::string& method,
               const google::protobuf::Message& request);
  static bool Await(grpc::CompletionQueue& queue);
  static bool IsStream(const std::string& method);

  // Empty, but for a stream that would wait for events: it is asked for those of the far future,
  // which it refuses.
  static std::string RequestThatEnds(std::string_view method);

  // A job of aizhan's in kaznu's nlp whose texts all bear the mark.
  std::int64_t MarkedJob();
  // Nothing of kaznu's may be in it. The attacker's own words come back in errors, so requests of
  // the attacker do not bear the marks that are looked for.
  static void ExpectNothingOfKaznu(const std::string& what, const Outcome& outcome);

  FixedAccounts accounts_;
  std::unique_ptr<grpc::GenericStub> generic_;
};

}  // namespace kezek::rpc
