// Goal: a call or stream that the server refused before it did anything is made again as the server
// says: after a rest when it is called too often, with a new sign-in when the token that munge
// brought holds no longer; and neither goes on for ever. Method: a gRPC server that answers as a
// test tells it to; pauses that are only counted; a cache in a folder of its own.

#include "cmd/kezek/client.h"

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <kezek/v1/access.pb.h>
#include <kezek/v1/job_service.pb.h>
#include <kezek/v1/status.pb.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "cmd/kezek/session.h"

namespace kezek::cli {
namespace {

struct Answer {
  grpc::Status status;
  std::string bytes;  // of one message, if the status is OK
};
// By method and by authorization.
using Answers = std::function<Answer(const std::string&, const std::string&)>;

class OneAnswer final : public grpc::ServerGenericBidiReactor {
 public:
  explicit OneAnswer(Answer answer) : answer_(std::move(answer)) { StartRead(&request_); }
  void OnReadDone(bool) override {
    if (!answer_.status.ok()) return Finish(answer_.status);
    const grpc::Slice slice(answer_.bytes);
    reply_ = grpc::ByteBuffer(&slice, 1);
    StartWriteAndFinish(&reply_, {}, answer_.status);
  }
  void OnDone() override { delete this; }

 private:
  const Answer answer_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer reply_;
};

class TaughtService final : public grpc::CallbackGenericService {
 public:
  Answers answers;

 private:
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    const auto& metadata = context->client_metadata();
    const auto found = metadata.find("authorization");
    const std::string token =
        found == metadata.end() ? "" : std::string(found->second.data(), found->second.size());
    const std::lock_guard lock(mutex_);
    return new OneAnswer(answers(context->method(), token));
  }
  std::mutex mutex_;
};

grpc::Status Refusal(grpc::StatusCode code, const std::string& reason,
                     const std::map<std::string, std::string>& fields = {}) {
  v1::ErrorDetail detail;
  detail.set_reason(reason);
  detail.mutable_fields()->insert(fields.begin(), fields.end());
  v1::Status status;
  status.set_code(code);
  status.add_details()->PackFrom(detail);
  return {code, reason, status.SerializeAsString()};
}

class ClientTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = (std::filesystem::temp_directory_path() / "kezek-client-XXXXXX").string();
    ASSERT_NE(mkdtemp(folder_.data()), nullptr);
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterCallbackGenericService(&service_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    endpoint_ = "127.0.0.1:" + std::to_string(port);
    host_.environment = {{"HOME", folder_}, {"KEZEK_ENDPOINT", endpoint_}};
    host_.now_ms = [] { return 1'000'000; };
    host_.sleep = [this](std::int64_t ms) { pauses_.push_back(ms); };
    host_.munge = [](const std::string& payload) { return "credential for " + payload; };
  }
  void TearDown() override {
    server_->Shutdown();
    std::filesystem::remove_all(folder_);
  }

  // The token that an earlier command has kept.
  std::string KeptPath() const { return folder_ + "/.cache/kezek/sign-in/" + endpoint_; }
  void Keep(const std::string& secret) const {
    std::filesystem::create_directories(std::filesystem::path(KeptPath()).parent_path());
    std::ofstream(KeptPath()) << secret << " 9000000000\n";
  }
  // Gives `secret` to whoever signs in, and takes no token but `good`.
  void Teach(const std::string& secret, const std::string& good) {
    service_.answers = [this, secret, good](const std::string& method, const std::string& token) {
      if (!method.ends_with("/Login")) {
        if (token == "Bearer " + good) return Answer{grpc::Status::OK, ""};
        return Answer{Refusal(grpc::StatusCode::UNAUTHENTICATED, "TOKEN_EXPIRED"), ""};
      }
      ++logins_;
      if (secret.empty()) {
        return Answer{Refusal(grpc::StatusCode::PERMISSION_DENIED, "USER_DISABLED"), ""};
      }
      v1::LoginResponse login;
      login.set_challenge("kezek-sign-in/1 x");
      login.set_secret(secret);
      login.mutable_token()->set_expires_ms(9'000'000'000);
      return Answer{grpc::Status::OK, login.SerializeAsString()};
    };
  }
  Result<v1::WhoAmIResponse> Ask() {
    Session session(host_);
    return cli::Ask<v1::WhoAmIResponse>(session, v1::WhoAmIRequest());
  }

  TaughtService service_;
  std::unique_ptr<grpc::Server> server_;
  std::string folder_;
  std::string endpoint_;
  Host host_;
  std::vector<std::int64_t> pauses_;
  int logins_ = 0;
};

TEST_F(ClientTest, AStreamRestsAsLongAsTheServerAsks) {
  int calls = 0;
  service_.answers = [&calls](const std::string&, const std::string&) {
    if (++calls > 2) return Answer{grpc::Status::OK, ""};
    return Answer{Refusal(grpc::StatusCode::RESOURCE_EXHAUSTED, "RATE_LIMITED",
                          {{"retry_after_ms", std::to_string(700 * calls)}}),
                  ""};
  };
  Client client({.endpoint = endpoint_}, host_);
  v1::WatchResponse response;
  int messages = 0;
  const auto streamed = client.Stream(v1::WatchRequest(), response, [&messages] {
    ++messages;
    return true;
  });
  EXPECT_TRUE(streamed) << streamed.error().message;
  EXPECT_EQ(messages, 1);
  EXPECT_EQ(pauses_, (std::vector<std::int64_t>{700, 1400}));
}

TEST_F(ClientTest, AStreamThatIsNeverLetInGivesUp) {
  service_.answers = [](const std::string&, const std::string&) {
    return Answer{Refusal(grpc::StatusCode::RESOURCE_EXHAUSTED, "RATE_LIMITED",
                          {{"retry_after_ms", "25000"}}),
                  ""};
  };
  Client client({.endpoint = endpoint_}, host_);
  v1::WatchResponse response;
  const auto streamed = client.Stream(v1::WatchRequest(), response, [] { return true; });
  EXPECT_EQ(streamed.error().code, Code::kResourceExhausted);
  EXPECT_EQ(pauses_.size(), 2U) << "a minute in all";
}

TEST_F(ClientTest, AKeptTokenThatHoldsNoLongerIsReplaced) {
  Keep("old");
  Teach("new", "new");
  EXPECT_TRUE(Ask());
  EXPECT_EQ(logins_, 2) << "the challenge, and its credential";
  EXPECT_TRUE(Ask());
  EXPECT_EQ(logins_, 2) << "the new one is kept";
}

TEST_F(ClientTest, SignsInAgainOnlyOnce) {
  Keep("old");
  Teach("new", "none");
  EXPECT_EQ(Ask().error().code, Code::kUnauthenticated);
  EXPECT_EQ(logins_, 2);
}

TEST_F(ClientTest, ARefusedSignInSaysWhyAndForgetsTheToken) {
  Keep("old");
  Teach("", "none");
  EXPECT_EQ(Ask().error().code, Code::kPermissionDenied);
  EXPECT_FALSE(std::filesystem::exists(KeptPath()));
}

// A server that ends gives up the calls that it has not answered.
TEST_F(ClientTest, ACallThatTheServerGaveUpIsMadeAgain) {
  int calls = 0;
  service_.answers = [&calls](const std::string&, const std::string&) {
    const bool ends = ++calls == 1;
    return Answer{ends ? grpc::Status(grpc::StatusCode::CANCELLED, "CANCELLED") : grpc::Status::OK,
                  ""};
  };
  host_.environment["KEZEK_TOKEN"] = "mine";
  EXPECT_TRUE(Ask().has_value());
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(pauses_.size(), 1U);
}

TEST_F(ClientTest, ATokenOfTheUsersOwnIsLeftAlone) {
  Keep("old");
  Teach("new", "new");
  host_.environment["KEZEK_TOKEN"] = "mine";
  EXPECT_EQ(Ask().error().code, Code::kUnauthenticated);
  EXPECT_EQ(logins_, 0);
  EXPECT_TRUE(std::filesystem::exists(KeptPath()));
}

}  // namespace
}  // namespace kezek::cli
