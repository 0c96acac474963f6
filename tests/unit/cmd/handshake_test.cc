// Goal: the command line reaches a TLS server it has reason to trust and no other, and says of
// every other what is wrong and what to do about it. Method: gRPC servers without any service, so
// that a call that gets through is UNIMPLEMENTED, with certificates made on the spot; a table of
// contexts and what is said of them.

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <kezek/v1/access.pb.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "cmd/kezek/client.h"
#include "tests/support/certificates.h"

namespace kezek::cli {
namespace {

std::string ReadAll(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class Handshake : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = (std::filesystem::temp_directory_path() / "kezek-tls-XXXXXX").string();
    ASSERT_NE(mkdtemp(folder_.data()), nullptr);
    test::WriteSecretFile(folder_ + "/ca.pem", authority_.pem());
    test::WriteSecretFile(folder_ + "/other.pem", other_.pem());
    host_.sleep = [this](std::int64_t) { ++pauses_; };
  }
  void TearDown() override {
    if (server_) server_->Shutdown();
    std::filesystem::remove_all(folder_);
  }
  void Serve(const std::shared_ptr<grpc::ServerCredentials>& credentials) {
    if (server_) server_->Shutdown();
    server_.reset();
    nothing_ = std::make_unique<grpc::CallbackGenericService>();  // belongs to one server
    port_ = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", credentials, &port_);
    builder.RegisterCallbackGenericService(nothing_.get());
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
  }
  void ServeTls(const test::Subject& subject, bool asks_clients = false) {
    const TlsFiles files = authority_.Issue(folder_, "server", subject);
    grpc::SslServerCredentialsOptions options(
        asks_clients ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                     : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
    options.pem_key_cert_pairs = {{ReadAll(files.key_file), ReadAll(files.certificate_file)}};
    if (asks_clients) options.pem_root_certs = authority_.pem();
    Serve(grpc::SslServerCredentials(options));
  }
  Error Call(Context context, const std::string& host = "localhost") {
    context.endpoint = host + ":" + std::to_string(port_);
    pauses_ = 0;
    Client client(context, host_);
    const auto answer = client.Call<v1::WhoAmIResponse>(v1::WhoAmIRequest());
    return answer ? Error{} : answer.error();
  }
  void Reaches(const Context& context, const std::string& host = "localhost") {
    const Error error = Call(context, host);
    EXPECT_EQ(error.code, Code::kUnimplemented) << error.message;
  }
  // Says why, at once and not after many tries.
  void Refuses(const Context& context, const std::string& words,
               const std::string& host = "localhost") {
    const Error error = Call(context, host);
    EXPECT_EQ(error.code, Code::kUnavailable);
    EXPECT_NE(error.message.find(words), std::string::npos) << error.message;
    EXPECT_EQ(pauses_, 0);
  }
  Context Trusting(const std::string& file) const { return {.ca_file = folder_ + "/" + file}; }

  const test::Subject usual_{.common_name = "server", .names = {"DNS:localhost", "IP:127.0.0.1"}};
  std::string folder_;
  test::Authority authority_{"Alem authority"};
  test::Authority other_{"another authority"};
  std::unique_ptr<grpc::CallbackGenericService> nothing_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
  int pauses_ = 0;
  Host host_;
};

TEST_F(Handshake, ReachesWhomItHasReasonToTrust) {
  ServeTls(usual_);
  Reaches(Trusting("ca.pem"));
  Reaches(Trusting("ca.pem"), "127.0.0.1");
  ServeTls({.names = {"DNS:gpu.example.kz"}});
  Context named = Trusting("ca.pem");
  named.server_name = "gpu.example.kz";
  Reaches(named);
}

TEST_F(Handshake, SaysWhatIsWrongWithTheServersCertificate) {
  ServeTls(usual_);
  Refuses(Trusting("other.pem"), "signed by Alem authority, whom " + folder_ + "/other.pem does");
  Refuses({.tls = "on"}, "signed by Alem authority, whom this host does not know");
  ServeTls({.names = {"DNS:gpu.example.kz", "IP:10.0.0.5"}});
  Refuses(Trusting("ca.pem"), "is for gpu.example.kz, 10.0.0.5, not for localhost");
  Refuses(Trusting("ca.pem"), "not for 127.0.0.1", "127.0.0.1");
  ServeTls({.names = {"DNS:localhost"}, .from_s = -7200, .until_s = -3600});
  Refuses(Trusting("ca.pem"), "its certificate expired on 20");
  ServeTls({.names = {"DNS:localhost"}, .from_s = 3600});
  Refuses(Trusting("ca.pem"), "its certificate holds only from 20");
}

TEST_F(Handshake, SaysThatOneSideSpeaksPlainText) {
  ServeTls(usual_);
  Refuses({}, "it speaks TLS, and this context has tls off");
  Serve(grpc::InsecureServerCredentials());
  Reaches({});
  Refuses(Trusting("ca.pem"), "it does not speak TLS there");
}

TEST_F(Handshake, ShowsACertificateToAServerThatAsks) {
  ServeTls(usual_, true);
  Refuses(Trusting("ca.pem"), "it asks for a client certificate");
  const TlsFiles known = authority_.Issue(folder_, "client", {.common_name = "client"});
  const TlsFiles stranger = other_.Issue(folder_, "stranger", {.common_name = "stranger"});
  Context context = Trusting("ca.pem");
  context.client_certificate = known.certificate_file;
  EXPECT_EQ(Call(context).code, Code::kInvalidArgument) << "no key";
  context.client_key = known.key_file;
  Reaches(context);
  context.client_certificate = stranger.certificate_file;
  context.client_key = stranger.key_file;
  Refuses(context, "it does not accept the client certificate");
}

TEST_F(Handshake, SaysWhichFileCannotBeUsed) {
  ServeTls(usual_);
  const Error missing = Call(Trusting("none.pem"));
  EXPECT_EQ(missing.code, Code::kInvalidArgument);
  EXPECT_NE(missing.message.find("none.pem cannot be read"), std::string::npos) << missing.message;
  test::WriteSecretFile(folder_ + "/text", "no certificate");
  EXPECT_NE(Call(Trusting("text")).message.find("is not PEM"), std::string::npos);
}

TEST(UsesTls, IsOnUnlessTheEndpointIsOnThisHost) {
  EXPECT_FALSE(UsesTls({.endpoint = "127.0.0.1:7443"}));
  EXPECT_FALSE(UsesTls({.endpoint = "[::1]:7443"}));
  EXPECT_TRUE(UsesTls({.endpoint = "gpu.example.kz:7443"}));
  EXPECT_TRUE(UsesTls({.endpoint = "127.0.0.1.example.kz:7443"}));
  EXPECT_TRUE(UsesTls({.endpoint = "127.0.0.1:7443", .ca_file = "ca.pem"}));
  EXPECT_FALSE(UsesTls({.endpoint = "gpu.example.kz:7443", .tls = "off"}));
}

}  // namespace
}  // namespace kezek::cli
