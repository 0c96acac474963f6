// A fake: a gRPC server of the whole API in this process that knows nothing and gives canned
// answers, for tests of the command line. What kezekd answers is tested elsewhere.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace kezek::golden {

// The moment at which all canned answers are given: 2026-11-21 12:30 at UTC+5.
inline constexpr std::int64_t kNowMs = 1'795'246'200'000;

class FakeServer {
 public:
  FakeServer();
  ~FakeServer();
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  // 127.0.0.1:PORT.
  std::string endpoint() const;

  // The last submission, in protobuf's text form.
  std::string LastSubmission() const;

  // How many submissions came in all, repeated ones included, and with how many different keys.
  std::string SubmissionCount() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace kezek::golden
