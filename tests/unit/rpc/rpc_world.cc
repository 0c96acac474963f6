#include "tests/unit/rpc/rpc_world.h"

#include <utility>

namespace kezek::rpc {

World::World() {
  directory.default_gpu_type = "h200";
  directory.settings_version = 1;
  AddAccount(kRootAccount, {}, "", "cluster", "");
  AddAccount(kUniversities, kRootAccount, "universities", "sector", "universities");
  AddAccount(kKaznu, kUniversities, "kaznu", "institution", "universities/kaznu");
  AddAccount(kNlp, kKaznu, "nlp", "project", "universities/kaznu/nlp");
  AddAccount(kCv, kKaznu, "cv", "project", "universities/kaznu/cv");
  AddAccount(kFirms, kRootAccount, "firms", "sector", "firms");
  AddAccount(kAcme, kFirms, "acme", "institution", "firms/acme");
  AddAccount(kBot, kAcme, "bot", "project", "firms/acme/bot");
  AddUser(kAizhan, "aizhan@kaznu", {{Role::kResearcher, kNlp}});
  AddUser(kBolat, "bolat@kaznu", {{Role::kProjectLead, kNlp}});
  AddUser(kChief, "chief@kaznu", {{Role::kInstitutionAdmin, kKaznu}});
  AddUser(kDana, "dana@acme", {{Role::kResearcher, kBot}});
  AddUser(kRoot, "root@kezek", {{Role::kClusterAdmin, kRootAccount}});
  AddUser(kAudit, "audit@kezek", {{Role::kAuditor, kRootAccount}});
  AddUser(kMeter, "meter@kezek", {{Role::kMetricsReader, kRootAccount}});
  AddUser(kBoth, "both@kaznu", {{Role::kResearcher, kNlp}, {Role::kResearcher, kCv}});
  AddUser(kBare, "bare@kaznu", {{Role::kResearcher, kNlp}});
  directory.users.at(kBare).unix_account.clear();
  for (int i = 1; i <= 8; ++i) {
    const std::string name = "n0" + std::to_string(i);
    nodes[name] = Node{.name = name,
                       .gpu_type = "h200",
                       .gpus = 8,
                       .cpus = 16,
                       .memory_mib = 64'000,
                       .leaf = i <= 4 ? "leaf1" : "leaf2",
                       .block = "block1",
                       .health = NodeHealth::kUp};
  }
}

std::shared_ptr<const View> World::MakeView() const {
  auto view = std::make_shared<View>();
  view->now_ms = 1'000;
  view->tick = 1;
  view->settings_version = directory.settings_version;
  view->directory = std::make_shared<const Directory>(directory);
  view->nodes = nodes;
  view->cluster_answers = true;
  return view;
}

void World::AddAccount(AccountId id, AccountId parent, const std::string& name,
                       const std::string& kind, const std::string& path) {
  directory.accounts[id] = {.id = id, .parent = parent, .name = name, .kind = kind};
  directory.account_by_path[path] = id;
}

void World::AddUser(UserId id, const std::string& name, std::vector<RoleGrant> roles) {
  directory.users[id] = {.id = id,
                         .name = name,
                         .unix_account = "kz-" + name.substr(0, name.find('@')),
                         .unix_uid = 2000 + id.value,
                         .roles = std::move(roles)};
  directory.user_by_name[name] = id;
  const Sha256 hash = HashToken("kzk_" + name);
  directory.tokens[hash] = {
      .id = TokenId{id.value}, .user = id, .hash = hash, .expires_ms = kExpiresMs};
}

}  // namespace kezek::rpc
