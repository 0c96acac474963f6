#include "cmd/kezekd/daemon.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "cmd/kezekd/controller_thread.h"
#include "cmd/kezekd/keyed_hash.h"
#include "cmd/kezekd/leaders_work.h"
#include "cmd/kezekd/log.h"
#include "cmd/kezekd/prepared_cluster.h"
#include "cmd/kezekd/site_checks.h"
#include "cmd/kezekd/system_clock.h"
#include "cmd/kezekd/tls_check.h"
#include "cmd/kezekd/unix_accounts.h"
#include "cmd/kezekd/web.h"
#include "metrics/metrics.h"
#include "munge/munge_proofs.h"
#include "output/begun_looks.h"
#include "output/highest_look.h"
#include "output/output_root.h"
#include "postgres/attempt_archive.h"
#include "postgres/migrations.h"
#include "postgres/postgres_store.h"
#include "postgres/read_pool.h"
#include "postgres/standby_reader.h"
#include "rpc/server.h"
#include "scheduler/control/standby_view.h"
#include "secrets/key_ring.h"
#include "slurm/books.h"
#include "slurm/credential.h"
#include "slurm/node_switch.h"
#include "slurm/slurm_cluster.h"

namespace kezek::kezekd {
namespace {

constexpr DurationMs kStopGraceMs = 5 * kSecondMs;

// Hands on what is committed once there is somebody to hear it.
class Relay final : public CommitObserver {
 public:
  void To(CommitObserver* observer) { observer_ = observer; }
  void OnCommitted(const Committed& committed) override {
    if (CommitObserver* observer = observer_) observer->OnCommitted(committed);
  }

 private:
  std::atomic<CommitObserver*> observer_{nullptr};
};

Result<control::ControlConfig> ControlOf(const config::Config& config) {
  auto nodes = config::LoadTopology(config.topology_file);
  if (!nodes) return nodes.error();
  if (auto cleared = config::ClearNodes(config.classifications, &*nodes); !cleared) {
    return cleared.error();
  }
  if (auto lanes = config::CheckLanes(config.classes, *nodes); !lanes) return lanes.error();
  auto keyed_hash = LoadKeyedHash(config.tag_key_file);
  if (!keyed_hash) return keyed_hash.error();
  control::ControlConfig control;
  control.engine.look = config.scheduling.look;
  control.engine.look_project = config.scheduling.look_project;
  control.engine.reservations = config.scheduling.reservations;
  control.engine.reserve_after_ms = config.scheduling.reserve_after_ms;
  control.engine.reserve_width_percent = config.scheduling.reserve_width_percent;
  control.engine.reclaim = config.scheduling.reclaim;
  control.engine.topology_wait_ms = config.scheduling.topology_wait_ms;
  control.engine.half_life_ms = config.scheduling.half_life_ms;
  control.engine.age_max_ms = config.scheduling.age_max_ms;
  control.charge.kill_margin_ms = config.scheduling.kill_margin_ms;
  control.charge.hold_beyond_ms = config.scheduling.hold_beyond_ms;
  control.charge.refund_max_ms = config.scheduling.refund_max_ms;
  control.history_hours_ms = config.scheduling.history_hours_ms;
  control.set_aside_after = config.scheduling.set_aside_after;
  control.set_aside_ms = config.scheduling.set_aside_ms;
  control.classes = config.classes;
  control.classifications = config.classifications;
  control.alone_from = config.alone_from;
  control.rate_milli = config.rate_milli;
  control.default_gpu_type = config.default_gpu_type;
  control.min_uid = config.min_uid;
  control.nodes = std::move(*nodes);
  control.output_root = config.output_root;
  control.cluster_name = config.cluster;
  control.foreign_account = config.slurm.foreign_account;
  control.container_launch = config.container_launch;
  control.gather_ms = config.scheduling.gather_ms;
  control.heartbeat_ms = config.scheduling.heartbeat_ms;
  control.launch_timeout_ms = config.slurm.launch_timeout_ms;
  control.lost_answer_ms = config.slurm.request_timeout_ms + config.slurm.message_timeout_ms;
  control.keyed_hash = std::move(*keyed_hash);
  return control;
}

slurm::Options SlurmOf(const config::SlurmConfig& config, const std::string& installation,
                       Meter* meter, std::shared_ptr<const output::OutputRoot> output) {
  const auto looks = std::make_shared<output::BegunLooks>(
      [output = std::move(output)](const AttemptRef& attempt, std::int64_t id) {
        return output->HasBegun(attempt, id);
      });
  return {.url = config.url,
          .token_file = config.token_file,
          .jwt_key_file = config.jwt_key_file,
          .user = config.user,
          .partition = config.partition,
          .tag_prefix = "kezek:" + installation + ":",
          .connections = config.connections,
          .request_timeout_ms = config.request_timeout_ms,
          .message_timeout_ms = config.message_timeout_ms,
          .accounting_patience_ms = config.accounting_patience_ms,
          .has_begun = [looks](const AttemptRef& attempt,
                               std::int64_t id) { return looks->HasBegun(attempt, id); },
          .meter = meter};
}

slurm::NodeSwitchOptions SwitchOf(const config::SlurmConfig& config, Meter* meter) {
  return {.url = config.url,
          .token_file = config.token_file,
          .jwt_key_file = config.jwt_key_file,
          .user = config.user,
          .request_timeout_ms = config.request_timeout_ms,
          .meter = meter};
}

slurm::BooksOptions BooksOf(const config::Config& config, Meter* meter) {
  return {.url = config.slurm.url,
          .token_file = config.slurm.token_file,
          .jwt_key_file = config.slurm.jwt_key_file,
          .user = config.slurm.user,
          .cluster = config.cluster,
          .meter = meter};
}

rpc::ServerConfig ServerOf(const config::Config& config, const std::string& installation) {
  return {.listen = config.grpc_listen,
          .tls = config.tls,
          .cluster = config.cluster,
          .version = KEZEK_VERSION,
          .script_bytes = config.limits.script_kib * 1024,
          .environment_bytes = config.limits.environment_kib * 1024,
          .request_bytes = config.limits.request_kib * 1024,
          .token_lifetime_ms = config.limits.token_lifetime_ms,
          .half_life_ms = config.scheduling.half_life_ms,
          .min_uid = config.min_uid,
          .rate = {config.limits.calls_per_second, config.limits.calls_burst},
          .installation = installation,
          .sign_in_lifetime_ms = config.munge.token_lifetime_ms,
          .leavers_percent = config.limits.leavers_percent,
          .output_root = config.output_root};
}

std::string HostName() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

Result<std::shared_ptr<output::OutputRoot>> OpenOutput(const std::string& root) {
  auto opened = output::OutputRoot::Open(root);
  if (!opened) return opened.error();
  return std::shared_ptr<output::OutputRoot>(std::move(*opened));
}

postgres::StoreOptions StoreOf(const config::Config& config, Meter* meter,
                               std::shared_ptr<const Cipher> cipher,
                               std::shared_ptr<const output::OutputRoot> output) {
  postgres::StoreOptions options;
  options.conninfo = config.database.url;
  options.usage_horizon_ms = 41 * config.scheduling.half_life_ms;
  options.host = HostName();
  options.address = config.grpc_advertise.empty() ? config.grpc_listen : config.grpc_advertise;
  options.meter = meter;
  options.cipher = std::move(cipher);
  const auto look = std::make_shared<output::HighestLook>(
      [output = std::move(output)] { return output->HighestJob(); });
  options.highest_job = [look] { return look->Ask(); };
  return options;
}

Result<void> PrepareSchema(const config::DatabaseConfig& config, Clock& clock) {
  if (config.migrate_url.empty()) return postgres::CheckSchema(config.url);
  const auto migrated = postgres::Migrate(config.migrate_url, clock);
  if (!migrated) return migrated.error();
  spdlog::info("schema from={} to={}", migrated->from, migrated->to);
  return {};
}

// The id of the database, whose schema is then this program's.
Result<std::string> PrepareDatabase(const config::DatabaseConfig& config, Clock& clock) {
  const auto schema = PrepareSchema(config, clock);
  if (!schema) return schema.error();
  return postgres::ReadInstallation(config.url);
}

// What admins' looks at the site stand on.
struct SiteParts {
  SiteParts(const config::Config& config, const std::string& config_file, Meter* meter,
            Clock& clock)
      : books(BooksOf(config, meter), clock),
        nodes(SwitchOf(config.slurm, meter), clock),
        archive(config.database.url),
        checks(SiteChecks(config, config_file)) {}
  void AddTo(rpc::ServerPorts* ports) {
    ports->books = &books;
    ports->nodes = &nodes;
    ports->attempts = &archive;
    ports->checks = &checks;
  }

  slurm::SlurmBooks books;
  slurm::NodeSwitch nodes;
  postgres::PostgresArchive archive;
  const std::vector<SiteCheck> checks;
};

Result<std::unique_ptr<Web>> StartWeb(const config::Config& config, metrics::Metrics& metrics,
                                      Desk& desk, ReadStore& readers, Clock& clock) {
  return Web::Start(config.http, config.tls,
                    {.metrics = &metrics,
                     .desk = &desk,
                     .read = &readers,
                     .clock = &clock,
                     .schema_version = postgres::Migrations().back().version});
}

Error InKeyFile(Error error) {
  error.message = "environment_key_file: " + error.message;
  return error;
}

sigset_t EndSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

// Waits at most `wait_ms` for a signal to end.
bool EndAsked(DurationMs wait_ms) {
  const sigset_t signals = EndSignals();
  const timespec wait{wait_ms / 1000, static_cast<long>(wait_ms % 1000) * 1'000'000};
  return sigtimedwait(&signals, nullptr, &wait) > 0;
}

// Shows what is stored while another daemon leads.
class Standby {
 public:
  Standby(const config::Config& config, control::ControlConfig control, Clock& clock)
      : control_(std::move(control)), clock_(clock), reader_(config.database.url) {}

  // Reads at most a tenth of the time, however long a read takes.
  void Refresh(ControllerThread& controller) {
    const TimeMs begin = clock_.Now();
    if (begin < next_ms_ && next_ms_ - begin < kMinuteMs) return;
    auto sight = reader_.Read();
    if (sight && *sight) {
      controller.ShowStandby(control::StandbyView(control_, (*sight)->snapshot,
                                                  (*sight)->leader_address, clock_.Now()));
    }
    const TimeMs end = clock_.Now();
    next_ms_ = end + 10 * (end - begin);
  }

 private:
  control::ControlConfig control_;
  Clock& clock_;
  postgres::StandbyReader reader_;
  TimeMs next_ms_ = 0;
};

// Starts the controller as soon as no other daemon leads and the database answers. False: asked to
// end meanwhile.
Result<bool> LeadWhenPossible(ControllerThread& controller,
                              const ControllerThread::Outside& outside, Standby& standby) {
  std::string said;
  while (true) {
    const auto started = controller.Start(outside);
    if (started) return true;
    if (started.error().code != Code::kUnavailable) return started.error();
    if (started.error().message != said) {
      spdlog::warn("not leading reason='{}'", started.error().message);
      said = started.error().message;
    }
    standby.Refresh(controller);
    if (EndAsked(kSecondMs)) return false;
  }
}

// Leads when it can, until a signal asks to end. `on_lead` is called when it does.
Result<void> LeadUntilAsked(ControllerThread& controller, const ControllerThread::Outside& outside,
                            Standby& standby, const std::function<void()>& on_lead) {
  const auto leading = LeadWhenPossible(controller, outside, standby);
  if (!leading) return leading.error();
  if (!*leading) return {};
  on_lead();
  spdlog::info("leading epoch={}", controller.view()->epoch);
  const sigset_t signals = EndSignals();
  int signal = 0;
  sigwait(&signals, &signal);
  spdlog::info("ending signal={}", signal);
  return {};
}

// What ended the controller, if it ended by itself.
class Fatal {
 public:
  void Set(const Error& error) {
    {
      const std::lock_guard lock(mutex_);
      error_ = error;
    }
    kill(getpid(), SIGTERM);
  }
  Result<void> Get() {
    const std::lock_guard lock(mutex_);
    if (error_) return *error_;
    return {};
  }

 private:
  std::mutex mutex_;
  std::optional<Error> error_;
};

}  // namespace

Result<void> CheckEnvironment(const config::Config& config) {
  const auto control = ControlOf(config);
  if (!control) return control.error();
  const auto keys = secrets::KeyRing::Load(config.environment_key_file);
  if (!keys) return InKeyFile(keys.error());
  SystemClock clock;
  const config::SlurmConfig& slurm = config.slurm;
  const auto token =
      slurm::Credential({slurm.token_file, slurm.jwt_key_file, slurm.user}, clock).Token();
  if (!token) {
    const char* key = slurm.token_file.empty() ? "slurm.jwt_key_file: " : "slurm.token_file: ";
    return Error{Code::kInvalidArgument, key + token.error().message, {}};
  }
  return CheckTls(config.tls, clock.Now());
}

Result<std::shared_ptr<const View>> ReadStored(const config::Config& config) {
  SystemClock clock;
  const auto control = ControlOf(config);
  if (!control) return control.error();
  auto sight = postgres::StandbyReader(config.database.url).Read();
  if (!sight) return sight.error();
  if (!*sight) return std::shared_ptr<const View>();
  const auto view = std::make_shared<const View>(
      control::StandbyView(*control, (*sight)->snapshot, (*sight)->leader_address, clock.Now()));
  return std::shared_ptr<const View>(view);
}

Result<void> Serve(const config::Config& config, const std::string& config_file) {
  SystemClock clock;
  auto control = ControlOf(config);
  if (!control) return control.error();
  const auto keys = secrets::KeyRing::Load(config.environment_key_file);
  if (!keys) return InKeyFile(keys.error());
  const auto installation = PrepareDatabase(config.database, clock);
  if (!installation) return installation.error();
  const auto output = OpenOutput(config.output_root);
  if (!output) return output.error();

  metrics::Metrics metrics(KEZEK_VERSION, clock.Now());
  Relay relay;
  Fatal fatal;
  const auto accounts = std::make_shared<HostAccounts>();
  munge::MungeProofs proofs(config.munge.socket);
  ControllerThread controller(*control, clock);
  postgres::PostgresStore store(StoreOf(config, &metrics, *keys, *output), clock,
                                {&controller, &relay});
  postgres::ReadPool readers({.conninfo = config.database.url,
                              .threads = static_cast<std::size_t>(config.database.readers)},
                             clock);
  slurm::SlurmCluster slurm(SlurmOf(config.slurm, *installation, &metrics, *output), clock,
                            controller.sink());
  PreparedCluster cluster({&slurm, *output, accounts, config.min_uid}, controller.sink());

  SiteParts site(config, config_file, &metrics, clock);
  const auto web = StartWeb(config, metrics, controller, readers, clock);
  if (!web) return web.error();
  rpc::ServerPorts ports{.desk = &controller,
                         .submit = &store,
                         .read = &readers,
                         .clock = &clock,
                         .output = output->get(),
                         .unix_accounts = accounts.get(),
                         .meter = &metrics,
                         .proofs = config.munge.on ? &proofs : nullptr};
  site.AddTo(&ports);
  auto server = rpc::Server::Start(ServerOf(config, *installation), ports);
  if (!server) return server.error();
  relay.To(server->get());
  spdlog::info("ready cluster={} grpc_port={} http_port={} version={}", config.cluster,
               (*server)->port(), (*web)->port(), KEZEK_VERSION);
  Standby standby(config, *control, clock);
  LeadersWork work(config, BooksOf(config, &metrics), *installation, control->keyed_hash,
                   controller, readers, clock);
  auto served = LeadUntilAsked(
      controller,
      {.state = &store,
       .cluster = &cluster,
       .on_fatal = [&fatal](const Error& error) { fatal.Set(error); },
       .on_round =
           [&](const control::RoundReport& report, const RoundTimes& times) {
             LogRound(report);
             MeasureRound(metrics, report, times, controller.view().get());
           },
       .on_tally = [&metrics](QueueTally tally) { metrics.SetQueue(std::move(tally)); },
       .meter = &metrics},
      standby, [&] {
        (*web)->SetLeads(true);
        work.Start(config);
      });
  work.Stop();
  (*server)->Stop(kStopGraceMs);
  controller.Stop();
  relay.To(nullptr);
  return served ? fatal.Get() : served;
}

}  // namespace kezek::kezekd
