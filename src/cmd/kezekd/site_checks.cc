#include "cmd/kezekd/site_checks.h"

#include <memory>
#include <utility>

#include "cmd/kezekd/file_checks.h"
#include "cmd/kezekd/slurm_config_check.h"
#include "cmd/kezekd/slurm_topology_check.h"
#include "cmd/kezekd/system_clock.h"
#include "cmd/kezekd/unix_accounts.h"
#include "output/site_checks.h"
#include "postgres/site_checks.h"
#include "rpc/view_checks.h"
#include "slurm/books.h"
#include "slurm/site_checks.h"

namespace kezek::kezekd {
namespace {

constexpr int kOwnConnections = 4;  // the leader's, the committer's, a standby's, an admin's
constexpr DurationMs kAskFor = 5 * kSecondMs;

// Checks that hang outlive whatever made them.
Clock& CheckClock() {
  static SystemClock clock;
  return clock;
}

void Append(std::vector<SiteCheck> more, std::vector<SiteCheck>* checks) {
  for (SiteCheck& check : more) checks->push_back(std::move(check));
}

slurm::CheckOptions SlurmCheckOptions(const config::Config& config) {
  slurm::CheckOptions options;
  options.url = config.slurm.url;
  options.token_file = config.slurm.token_file;
  options.jwt_key_file = config.slurm.jwt_key_file;
  options.user = config.slurm.user;
  options.partition = config.slurm.partition;
  options.topology_file = config.topology_file;
  options.request_timeout_ms = kAskFor;
  options.somebody = &rpc::SomeUnixAccount;
  if (auto nodes = config::LoadTopology(config.topology_file)) options.topology = *std::move(nodes);
  return options;
}

rpc::ViewCheckPorts PortsOf(const config::Config& config) {
  slurm::BooksOptions books;
  books.url = config.slurm.url;
  books.token_file = config.slurm.token_file;
  books.jwt_key_file = config.slurm.jwt_key_file;
  books.user = config.slurm.user;
  books.cluster = config.cluster;
  books.request_timeout_ms = kAskFor;
  return {std::make_shared<HostAccounts>(),
          std::make_shared<slurm::SlurmBooks>(std::move(books), CheckClock()), config.min_uid,
          config.slurm.foreign_account};
}

}  // namespace

std::vector<SiteCheck> SiteChecks(const config::Config& config, const std::string& config_file) {
  std::vector<SiteCheck> checks;
  Append(rpc::ViewChecks(PortsOf(config)), &checks);
  const slurm::CheckOptions slurm = SlurmCheckOptions(config);
  Append(slurm::SlurmChecks(slurm, CheckClock()), &checks);
  checks.push_back(SlurmTopologyCheck(slurm.topology, config.topology_file));
  checks.push_back(
      SlurmConfigCheck({config.slurm.message_timeout_ms, config.scheduling.kill_margin_ms}));
  Append(postgres::DatabaseChecks(config.database.url, config.database.readers + kOwnConnections,
                                  CheckClock()),
         &checks);
  checks.push_back(output::OutputCheck(config.output_root));
  checks.push_back(SecretFilesCheck({{"configuration", config_file},
                                     {"tag_key_file", config.tag_key_file},
                                     {"environment_key_file", config.environment_key_file},
                                     {"slurm.token_file", config.slurm.token_file},
                                     {"slurm.jwt_key_file", config.slurm.jwt_key_file},
                                     {"tls key", config.tls.key_file}}));
  return checks;
}

}  // namespace kezek::kezekd
