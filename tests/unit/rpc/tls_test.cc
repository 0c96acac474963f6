// Goal: the API is served under TLS only to those who check it with the right authority and name,
// asks clients for a certificate where it is told to, never answers plain text then, and takes new
// files without a restart.
// Method: a server on fakes with certificates made on the spot, and gRPC clients that trust one
// thing or another; a call without a token is answered only once the handshake is done.

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

#include "kezek/v1/access.grpc.pb.h"
#include "rpc/server.h"
#include "tests/support/certificates.h"
#include "tests/unit/rpc/fakes.h"

namespace kezek::rpc {
namespace {

const test::Subject kServer{.common_name = "server", .names = {"DNS:localhost", "IP:127.0.0.1"}};

std::string ReadAll(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class Tls : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = (std::filesystem::temp_directory_path() / "kezek-tls-XXXXXX").string();
    ASSERT_NE(mkdtemp(folder_.data()), nullptr);
    files_ = authority_.Issue(folder_, "server", kServer);
  }
  void TearDown() override {
    if (server_) server_->Stop(0);
    std::filesystem::remove_all(folder_);
  }
  void Serve() {
    auto started = Server::Start(
        {.listen = "127.0.0.1:0", .tls = files_, .tls_reread_s = 1, .cluster = "test"},
        {.desk = &desk_, .submit = &store_, .read = &store_, .clock = &clock_});
    ASSERT_TRUE(started) << started.error().message;
    server_ = std::move(*started);
  }
  // UNAUTHENTICATED once the server has been reached, UNAVAILABLE if it was not.
  grpc::StatusCode Call(const std::shared_ptr<grpc::ChannelCredentials>& credentials,
                        const std::string& host = "localhost") {
    grpc::ChannelArguments own;  // a connection of its own for each call
    own.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const auto stub = v1::AccessService::NewStub(
        grpc::CreateCustomChannel(host + ":" + std::to_string(server_->port()), credentials, own));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    v1::WhoAmIResponse response;
    return stub->WhoAmI(&context, {}, &response).error_code();
  }
  static std::shared_ptr<grpc::ChannelCredentials> Trusting(const test::Authority& authority,
                                                            const TlsFiles& own = {}) {
    return grpc::SslCredentials(
        {.pem_root_certs = authority.pem(),
         .pem_private_key = own.empty() ? "" : ReadAll(own.key_file),
         .pem_cert_chain = own.empty() ? "" : ReadAll(own.certificate_file)});
  }

  std::string folder_;
  test::Authority authority_{"authority"};
  test::Authority other_{"another authority"};
  TlsFiles files_;
  FakeClock clock_;
  FakeStore store_;
  FakeDesk desk_{&store_};
  std::unique_ptr<Server> server_;
};

TEST_F(Tls, ServesThoseWhoTrustItsAuthorityAndNobodyInPlainText) {
  Serve();
  EXPECT_EQ(Call(Trusting(authority_)), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Call(Trusting(authority_), "127.0.0.1"), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Call(Trusting(other_)), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Call(grpc::InsecureChannelCredentials()), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(Tls, AClientRefusesAnotherNameAndAnOldCertificate) {
  files_ = authority_.Issue(folder_, "server", {.names = {"DNS:other.example.kz"}});
  Serve();
  EXPECT_EQ(Call(Trusting(authority_)), grpc::StatusCode::UNAVAILABLE);
  server_->Stop(0);
  files_ = authority_.Issue(folder_, "server",
                            {.names = {"DNS:localhost"}, .from_s = -7200, .until_s = -3600});
  Serve();
  EXPECT_EQ(Call(Trusting(authority_)), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(Tls, AsksClientsForACertificate) {
  test::WriteSecretFile(folder_ + "/clients.crt", authority_.pem());
  files_.client_ca_file = folder_ + "/clients.crt";
  Serve();
  const TlsFiles known = authority_.Issue(folder_, "client", {.common_name = "client"});
  const TlsFiles stranger = other_.Issue(folder_, "stranger", {.common_name = "stranger"});
  EXPECT_EQ(Call(Trusting(authority_, known)), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Call(Trusting(authority_)), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Call(Trusting(authority_, stranger)), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(Tls, TakesNewFilesWithoutARestart) {
  Serve();
  ASSERT_EQ(Call(Trusting(authority_)), grpc::StatusCode::UNAUTHENTICATED);
  other_.Issue(folder_, "server", kServer);
  auto seen = grpc::StatusCode::UNAVAILABLE;
  for (int tries = 0; tries < 300 && seen == grpc::StatusCode::UNAVAILABLE; ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    seen = Call(Trusting(other_));
  }
  EXPECT_EQ(seen, grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Call(Trusting(authority_)), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace kezek::rpc
