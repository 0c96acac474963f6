#include "rpc/server.h"

#include <absl/synchronization/mutex.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <chrono>
#include <utility>

#include "rpc/access_service.h"
#include "rpc/cluster_service.h"
#include "rpc/job_service.h"
#include "rpc/measured_calls.h"
#include "rpc/quota_service.h"
#include "rpc/unary.h"

namespace kezek::rpc {
namespace {

constexpr std::size_t kStreamsMost = 4096;  // calls at once on one connection

Parts PartsOf(const ServerPorts& ports, RateLimiter* rate) {
  return {.desk = ports.desk,
          .submit = ports.submit,
          .read = ports.read,
          .clock = ports.clock,
          .output = ports.output,
          .unix_accounts = ports.unix_accounts,
          .proofs = ports.proofs,
          .rate = rate,
          .meter = ports.meter,
          .books = ports.books,
          .attempts = ports.attempts,
          .nodes = ports.nodes,
          .checks = ports.checks};
}

Settings SettingsOf(const ServerConfig& config) {
  return {.cluster = config.cluster,
          .version = config.version,
          .script_bytes = config.script_bytes,
          .environment_bytes = config.environment_bytes,
          .token_lifetime_ms = config.token_lifetime_ms,
          .half_life_ms = config.half_life_ms,
          .min_uid = config.min_uid,
          .installation = config.installation,
          .sign_in_lifetime_ms = config.sign_in_lifetime_ms,
          .leavers_percent = config.leavers_percent,
          .output_root = config.output_root};
}

std::shared_ptr<grpc::ServerCredentials> CredentialsOf(const ServerConfig& config) {
  if (config.tls.empty()) return grpc::InsecureServerCredentials();
  namespace tls = grpc::experimental;
  const auto files = std::make_shared<tls::FileWatcherCertificateProvider>(
      config.tls.key_file, config.tls.certificate_file, config.tls.client_ca_file,
      static_cast<unsigned>(config.tls_reread_s));
  tls::TlsServerCredentialsOptions options(files);
  options.watch_identity_key_cert_pairs();
  if (!config.tls.client_ca_file.empty()) {
    options.watch_root_certs();
    options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return tls::TlsServerCredentials(options);
}

class GrpcServer final : public Server {
 public:
  GrpcServer(const ServerConfig& config, const ServerPorts& ports)
      : meter_(ports.meter),
        rate_(config.rate),
        jobs_(PartsOf(ports, &rate_), SettingsOf(config)),
        quota_(PartsOf(ports, &rate_), SettingsOf(config)),
        cluster_(PartsOf(ports, &rate_), SettingsOf(config), jobs_.streams()),
        access_(PartsOf(ports, &rate_), SettingsOf(config)) {}

  ~GrpcServer() override { Stop(0); }

  Result<void> Listen(const ServerConfig& config) {
    // Debian's Abseil looks for deadlocks at every lock of gRPC's, which costs more than the locks.
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::ServerBuilder builder;
    builder.AddListeningPort(config.listen, CredentialsOf(config), &port_);
    builder.SetMaxReceiveMessageSize(static_cast<int>(config.request_bytes));
    builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, static_cast<int>(kStreamsMost));
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    MeasureCalls(builder, meter_);
    builder.RegisterService(&jobs_);
    builder.RegisterService(&quota_);
    builder.RegisterService(&cluster_);
    builder.RegisterService(&access_);
    server_ = builder.BuildAndStart();
    if (!server_ || port_ == 0) {
      return Error{Code::kUnavailable,
                   "grpc_listen: cannot listen on " + config.listen + ": is it in use?",
                   {}};
    }
    server_->GetHealthCheckService()->SetServingStatus(true);
    return {};
  }

  int port() const override { return port_; }

  void OnCommitted(const Committed& committed) override { jobs_.OnCommitted(committed); }

  void Stop(DurationMs grace_ms) override {
    if (!server_) return;
    server_->GetHealthCheckService()->SetServingStatus(false);
    jobs_.Stop();
    cluster_.Stop();
    quota_.Stop();
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::milliseconds(grace_ms));
    server_->Wait();
    server_.reset();
  }

 private:
  Meter* meter_;
  RateLimiter rate_;
  JobServiceImpl jobs_;
  QuotaServiceImpl quota_;
  ClusterServiceImpl cluster_;
  AccessServiceImpl access_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::Start(const ServerConfig& config,
                                              const ServerPorts& ports) {
  auto server = std::make_unique<GrpcServer>(config, ports);
  const auto listening = server->Listen(config);
  if (!listening) return listening.error();
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace kezek::rpc
