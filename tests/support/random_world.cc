#include "tests/support/random_world.h"

#include <algorithm>
#include <utility>

namespace kezek::test {

std::int64_t RandomWorld::Int(std::int64_t least, std::int64_t most) {
  const auto width = static_cast<std::uint64_t>(most - least) + 1;
  return least + static_cast<std::int64_t>(bits_() % width);
}

std::vector<Node> RandomWorld::Nodes(std::int32_t count) {
  std::vector<Node> nodes;
  const std::int64_t per_leaf = Int(2, 5);
  const bool mixed = Chance(30);
  const bool unequal = Chance(35);
  const bool placed = !Chance(10);                         // else the topology is not known
  const std::int64_t levels = Chance(40) ? Int(1, 2) : 0;  // above blocks
  const bool cleared = Chance(70);                         // nearly all, for all data
  for (std::int32_t i = 0; i < count; ++i) {
    std::string number = std::to_string(i);
    Node node{.name = "n" + std::string(3 - std::min<std::size_t>(3, number.size()), '0') + number};
    const bool old = mixed && Chance(25);
    node.gpu_type = old ? "a100" : "h200";
    node.gpus = old ? 4 : 8;
    node.cpus = old ? 32 : 64;
    node.memory_mib = old ? 256 * 1024 : 1024 * 1024;
    if (unequal && Chance(40)) {
      node.gpus = old || Chance(50) ? node.gpus : 4;
      node.cpus = Chance(50) ? node.cpus : 48;
      node.memory_mib = Chance(50) ? node.memory_mib : 512 * 1024;
    }
    if (placed && !Chance(5)) {
      node.leaf = "leaf" + std::to_string(i / per_leaf);
      node.block = "block" + std::to_string(i / (per_leaf * 3));
    }
    for (std::int64_t level = 0; level < levels && !node.block.empty() && !Chance(3); ++level) {
      node.above.push_back({"level" + std::to_string(level),
                            "part" + std::to_string(i / (per_leaf * (level == 0 ? 6 : 9)))});
    }
    if (Chance(40)) node.labels.push_back("nvme");
    if (cleared ? Chance(95) : Chance(50)) node.cleared = {"open", "internal"};
    if (!node.cleared.empty() && Chance(80)) node.cleared.push_back("secret");
    node.health = Chance(90) ? NodeHealth::kUp : NodeHealth::kUnknown;
    nodes.push_back(std::move(node));
  }
  return nodes;
}

Node RandomWorld::Changed(Node node, TimeMs now) {
  constexpr NodeHealth kHealths[] = {NodeHealth::kUp, NodeHealth::kUp, NodeHealth::kUp,
                                     NodeHealth::kDraining, NodeHealth::kDown};
  node.health = kHealths[Int(0, 4)];
  node.drained_by_kezek = Chance(15);
  node.set_aside_until_ms = Chance(50) ? now + Int(1, 60) * kSecondMs : 0;
  node.foreign_gpus = Chance(20) ? static_cast<std::int32_t>(Int(0, node.gpus)) : 0;
  node.foreign_cpus = node.foreign_gpus * 8;
  node.foreign_memory_mib = node.foreign_gpus * 1024;
  return node;
}

Limits RandomWorld::SomeLimits() {
  Limits limits;
  if (Chance(25)) limits.running_milli = Int(1, 40) * 1000;
  if (Chance(15)) limits.jobs_running = Int(1, 12);
  if (Chance(10)) limits.job_milli = Int(4, 32) * 1000;
  return limits;
}

void RandomWorld::Settle(Account& account, MilliGpus guarantee) {
  AccountSettings& settings = account.settings;
  std::vector<BudgetSpec> budgets = std::move(settings.budgets);
  settings = {};
  settings.budgets = std::move(budgets);
  kezek::Share& share = settings.shares["h200"];
  share.weight_milli = Chance(50) ? 1000 : Int(1, 5000);
  share.guarantee_milli = guarantee;
  if (Chance(20)) share.borrow_max_milli = Int(0, 24) * 1000;
  if (Chance(20)) share.lend_max_milli = Int(0, 8) * 1000;
  if (Chance(30)) settings.account_limits = SomeLimits();
  if (Chance(20)) settings.user_limits = SomeLimits();
  settings.rule = static_cast<ProjectRule>(Int(0, 2));
  if (Chance(8)) settings.account_limits.time_limit_ms = Int(4, 48) * 30 * kMinuteMs;
  if (Chance(5)) settings.user_limits.time_limit_ms = Int(4, 48) * 30 * kMinuteMs;
  if (Chance(5)) settings.classes = {"normal", Chance(50) ? "debug" : "realtime"};
  if (Chance(8)) settings.highest_classification = Chance(50) ? "open" : "internal";
}

// Gives each child a part of the parent's guarantee, and so on down.
void RandomWorld::Share(Directory& directory, AccountId parent, MilliGpus guarantee) {
  MilliGpus left = guarantee / 1000;
  for (auto& [id, account] : directory.accounts) {
    if (account.parent != parent) continue;
    const MilliGpus part = Chance(70) ? Int(0, left) : 0;
    left -= part;
    Settle(account, part * 1000);
    Share(directory, id, part * 1000);
  }
}

// Gives some of the first nodes away, at times on to an account below.
void RandomWorld::Dedicate(Directory& directory) {
  std::vector<AccountId> all;
  for (auto& [id, account] : directory.accounts) {
    account.settings.dedicated_nodes.clear();
    if (id != kRootAccount) all.push_back(id);
  }
  if (Chance(50)) return;
  for (std::int64_t node = Int(1, 4); node > 0; --node) {
    const std::string name = "n00" + std::to_string(node);
    for (AccountId to = Pick(all); to != kRootAccount; to = directory.accounts.at(to).parent) {
      directory.accounts.at(to).settings.dedicated_nodes.push_back(name);
      if (Chance(70)) break;
    }
  }
}

Directory RandomWorld::Accounts(std::int32_t gpus, std::int32_t users) {
  Directory directory;
  std::int64_t next = 2;
  const auto add = [&](AccountId parent, const std::string& kind) {
    const AccountId id{kRootAccount.value == next ? ++next : next};
    ++next;
    directory.accounts[id] = {.id = id, .parent = parent, .kind = kind};
    directory.accounts[id].name = kind + std::to_string(id.value);
    return id;
  };
  directory.accounts[kRootAccount] = {.id = kRootAccount, .name = "kz", .kind = "cluster"};
  directory.accounts[kRootAccount].settings.shares["h200"].guarantee_milli = gpus * 1000;
  for (std::int64_t s = Int(1, 3); s > 0; --s) {
    const AccountId sector = add(kRootAccount, Chance(20) ? "project" : "sector");
    if (directory.accounts[sector].kind == "project") continue;
    for (std::int64_t i = Int(1, 3); i > 0; --i) {
      const AccountId institution = add(sector, "institution");
      for (std::int64_t p = Int(1, 3); p > 0; --p) add(institution, "project");
    }
  }
  Share(directory, kRootAccount, gpus * 1000);
  directory.classes["debug"] = {.name = "debug", .rank = 0, .factor_milli = 2000};
  directory.classes["realtime"] = {
      .name = "realtime", .rank = 1, .preemptible = false, .preempts_lower = true};
  directory.classes["normal"] = {.name = "normal", .rank = 2};
  directory.classes["scavenger"] = {.name = "scavenger", .rank = 3, .scavenger = true};
  if (Chance(30)) directory.classes["debug"].user_limits.jobs_running = 2;
  directory.classifications = {"open", "internal", "secret"};
  if (Chance(30)) directory.classes["debug"].nodes = {"n000"};
  Dedicate(directory);
  directory.rate_milli = {{"h200", 1000}, {"a100", 400}};
  directory.default_gpu_type = "h200";
  for (std::int64_t user = 1; user <= users; ++user) {
    directory.users[UserId{user}] = {.id = UserId{user}, .name = "u" + std::to_string(user)};
  }
  return directory;
}

Directory RandomWorld::Budgeted(Directory directory, TimeMs now) {
  for (auto& [id, account] : directory.accounts) {
    if (!Chance(30)) continue;
    account.settings.budgets.clear();
    if (Chance(30)) continue;
    const std::string type = Chance(60) ? "" : "h200";
    TimeMs start = now - Int(0, 3) * kDayMs;
    for (std::int64_t periods = Int(1, 2); periods > 0; --periods) {
      BudgetSpec spec{.name = "b" + std::to_string(next_budget_++), .gpu_type = type};
      spec.milli_gpu_hours = Chance(50) ? Int(0, 600) * 1000 : Int(0, 3'000'000);
      spec.start_ms = start;
      spec.end_ms = std::max(start, now) + Int(1, 90) * kHourMs;
      spec.at_exhaustion = Chance(50) ? AtExhaustion::kStop : AtExhaustion::kScavenge;
      spec.carry_over_percent = static_cast<std::int32_t>(Int(0, 100));
      start = spec.end_ms + (Chance(80) ? 0 : kDayMs);
      account.settings.budgets.push_back(std::move(spec));
    }
  }
  ++directory.settings_version;
  return directory;
}

Directory RandomWorld::Changed(Directory directory, std::int32_t gpus) {
  Share(directory, kRootAccount, gpus * 1000);
  Dedicate(directory);
  for (auto& [id, account] : directory.accounts) {
    if (account.kind == "project") account.closed = Chance(8);
  }
  ++directory.settings_version;
  if (Chance(15)) {
    ClassRules& rules = directory.classes["debug"];
    rules.longest_limit_ms = Chance(50) ? Int(1, 24) * kHourMs : 0;
  }
  std::vector<AccountId> institutions;
  for (auto& [id, account] : directory.accounts) {
    if (account.kind == "institution") institutions.push_back(id);
  }
  if (institutions.empty() || Chance(60)) return directory;
  for (auto& [id, account] : directory.accounts) {  // a project moves
    if (account.kind != "project" || account.parent == kRootAccount || !Chance(30)) continue;
    account.parent = Pick(institutions);
    account.settings.shares["h200"].guarantee_milli = 0;
    break;
  }
  return directory;
}

std::vector<AccountId> RandomWorld::Projects(const Directory& directory) const {
  std::vector<AccountId> projects;
  for (const auto& [id, account] : directory.accounts) {
    if (account.kind == "project") projects.push_back(id);
  }
  return projects;
}

JobSpec RandomWorld::Job(const std::vector<AccountId>& projects) {
  JobSpec spec;
  spec.project = Pick(projects);
  spec.job_class = Pick(
      std::vector<std::string>{"normal", "normal", "normal", "debug", "realtime", "scavenger"});
  const auto nodes = static_cast<std::int32_t>(Chance(60) ? 1 : Int(2, 6));
  const auto gpus = static_cast<std::int32_t>(Chance(10) ? 0 : Chance(30) ? 8 : Int(1, 8));
  spec.shape = {.nodes = nodes,
                .gpus_per_node = gpus,
                .gpu_type = Chance(90) ? "h200" : "a100",
                .cpus_per_node = std::max(1, gpus * 8),
                .memory_mib_per_node = std::max<std::int64_t>(1024, gpus * 1024)};
  if (Chance(10)) spec.shape.cpus_per_node = static_cast<std::int32_t>(Int(1, 70));
  if (Chance(10)) spec.shape.memory_mib_per_node = Int(1, 1100) * 1024;
  spec.shape.exclusive = Chance(5);
  if (Chance(15)) spec.within = Chance(50) ? Domain::kLeaf : Domain::kBlock;
  if (Chance(15)) spec.prefer = Chance(70) ? Domain::kLeaf : Domain::kBlock;
  if (Chance(10)) spec.constraints.push_back("nvme");
  for (std::int64_t i = Chance(6) ? Int(1, 3) : 0; i > 0; --i) {
    const std::string name = "n00" + std::to_string(Int(0, 9));
    auto& list = Chance(50) ? spec.nodes : spec.exclude_nodes;
    if (std::find(list.begin(), list.end(), name) == list.end()) list.push_back(name);
  }
  spec.time_limit_ms = Int(1, 48) * 30 * kMinuteMs;
  if (Chance(20)) spec.classification = Chance(50) ? "internal" : "secret";
  if (Chance(50)) spec.name = Chance(50) ? "train" : "eval";
  spec.user_priority = Chance(20) ? static_cast<std::int32_t>(Int(-2, 2)) : 0;
  if (Chance(15)) {
    const auto last = static_cast<std::int32_t>(Int(1, 12));
    spec.array = ArraySpec{{{0, last, 1}}, static_cast<std::int32_t>(Int(0, 4))};
  }
  return spec;
}

}  // namespace kezek::test
