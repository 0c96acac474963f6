#include "cmd/kezekd/web.h"

#include <string>
#include <utility>
#include <vector>

#include "http/tls_context.h"
#include "rpc/access_table.h"
#include "rpc/caller.h"

namespace kezek::kezekd {
namespace {

constexpr DurationMs kDatabasePatienceMs = 3 * kSecondMs;

http::Response Refusal(const Error& error) {
  unsigned status = 503;
  if (error.code == Code::kUnauthenticated) status = 401;
  if (error.code == Code::kPermissionDenied) status = 403;
  http::Response response = http::TextResponse(status, error.message);
  if (status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"kezek\"");
  return response;
}

http::Response HealthResponse(const Health& health) {
  return {.status = health.good ? 200U : 503U, .body = health.text};
}

}  // namespace

Web::Web(const Parts& parts)
    : parts_(parts), readiness_({.desk = parts.desk, .read = parts.read, .clock = parts.clock}) {}

Web::~Web() {
  if (server_) server_->Stop();
}

int Web::port() const { return server_ ? server_->port() : 0; }

// The names of all institutions' accounts are in it: a token is asked for.
http::Response Web::Metrics(const http::Request& request, bool token) const {
  if (token) {
    const auto caller = rpc::Authorise(rpc::kReadMetrics, request.Header("authorization"),
                                       parts_.desk->view(), parts_.clock->Now());
    if (!caller) return Refusal(caller.error());
  }
  const http::Server* server = serving_;
  const std::size_t open = server == nullptr ? 0 : server->connections();
  return {.content_type = "text/plain; version=0.0.4; charset=utf-8",
          .body = parts_.metrics->Expose({.view = parts_.desk->view(),
                                          .leads = readiness_.leads(),
                                          .schema_version = parts_.schema_version,
                                          .http_connections = static_cast<std::int64_t>(open)})};
}

Result<std::unique_ptr<Web>> Web::Start(const config::HttpConfig& config, const TlsFiles& tls,
                                        const Parts& parts) {
  std::unique_ptr<Web> web(new Web(parts));
  if (config.listen.empty()) return web;
  http::ServerOptions options{.listen = config.listen,
                              .connections = static_cast<std::size_t>(config.connections),
                              .idle_ms = config.idle_timeout_ms};
  options.answered = [metrics = parts.metrics](std::string_view route, unsigned status) {
    metrics->OnHttp(route, status);
  };
  if (!tls.empty()) {
    auto contexts = http::TlsFrom(tls);
    if (!contexts) return contexts.error();
    options.tls = *std::move(contexts);
  }
  Web* const self = web.get();
  const bool token = config.metrics_token;
  std::vector<http::Route> routes;
  routes.push_back({"GET", "/metrics", [self, token](const auto& request, const auto& respond) {
                      respond(self->Metrics(request, token));
                    }});
  routes.push_back({"GET", "/livez", [self](const auto&, const auto& respond) {
                      respond(HealthResponse(Liveness(self->parts_.metrics->Busy())));
                    }});
  routes.push_back({"GET", "/readyz",
                    [self](const auto&, const auto& respond) {
                      self->readiness_.Check(
                          [respond](const Health& health) { respond(HealthResponse(health)); });
                    },
                    kDatabasePatienceMs,
                    [self] { return HealthResponse(self->readiness_.Late()); }});
  auto server = http::Server::Start(std::move(options), std::move(routes));
  if (!server) return server.error();
  web->server_ = *std::move(server);
  web->serving_ = web->server_.get();
  return web;
}

void MeasureRound(metrics::Metrics& metrics, const control::RoundReport& report,
                  const RoundTimes& times, const View* view) {
  metrics.OnRound({.ticked = report.ticked,
                   .reloaded = !report.reloaded.empty(),
                   .stopped = !report.stopped.empty(),
                   .took_us = times.took_us,
                   .phases = times.phases,
                   .events = report.events,
                   .first_runs = report.first_runs,
                   .charged = report.charged,
                   .preempted = report.preempted,
                   .promises = report.promises,
                   .directory = view == nullptr ? nullptr : view->directory.get()});
}

}  // namespace kezek::kezekd
