// How long the quota engine takes: quota_bench [--rounds N] [--most JOBS]. Prints one JSON object a
// line for every round and number of waiting jobs; quota_figures.py makes medians of them.
//
// 2,000 accounts (4 sectors, 76 institutions, 1,919 projects), up to 10,000 users, five sizes of
// jobs, two classes. Every measure stands beside a calibration loop of the same round, whose time
// says how fast the machine was just then.
#include <malloc.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "quota/entitlement.h"
#include "quota/order.h"
#include "tests/bench/measuring.h"

namespace {

using namespace kezek;
using namespace kezek::quota;
using bench::Calibrate;
using bench::Dice;
using bench::Took;

constexpr std::int64_t kAccounts = 2000;
constexpr std::int64_t kInstitutions = 76;
constexpr std::int64_t kUsers = 10'000;
constexpr TimeMs kNow = 20'000 * kDayMs + 5 * kHourMs;
const std::string kType = "h200";

std::map<AccountId, Account> Accounts(Dice& dice) {
  std::map<AccountId, Account> accounts;
  for (std::int64_t id = 1; id <= kAccounts; ++id) {
    Account account;
    account.id = AccountId{id};
    account.name = "a" + std::to_string(id);
    account.kind = "project";
    Share share;
    share.weight_milli = dice.Roll(1, 10) * 1000;
    if (id == 1) {
      account.kind = "cluster";
      share.guarantee_milli = 8'000'000;
    } else if (id <= 5) {
      account.parent = AccountId{1};
      account.kind = "sector";
      share.guarantee_milli = 2'000'000;
    } else if (id <= 5 + kInstitutions) {
      account.parent = AccountId{2 + id % 4};
      account.kind = "institution";
      share.guarantee_milli = dice.Roll(0, 100'000);
    } else {
      account.parent = AccountId{6 + id % kInstitutions};
      share.guarantee_milli = dice.Roll(0, 3) * 1000;
    }
    account.settings.shares[kType] = share;
    accounts[account.id] = account;
  }
  return accounts;
}

AccountId ProjectOf(std::int64_t user) {
  return AccountId{6 + kInstitutions + user % (kAccounts - 5 - kInstitutions)};
}

struct Scene {
  explicit Scene(std::int64_t jobs) {
    Dice dice;
    accounts = Accounts(dice);
    tree = AccountTree::Build(accounts).value();
    for (std::int64_t i = 0; i < 3 * kUsers; ++i) {
      const std::int64_t user = dice.Roll(0, kUsers - 1);
      usage.Book(tree, ProjectOf(user), UserId{user + 1}, kNow - dice.Roll(0, 60 * kDayMs),
                 dice.Roll(1, 16) * 1000 * kHourMs);
    }
    const std::int64_t users = std::min(kUsers, jobs);
    list.reserve(static_cast<std::size_t>(jobs));
    for (std::int64_t i = 0; i < jobs; ++i) {
      const std::int64_t user = dice.Roll(0, users - 1);
      const std::int64_t gpus = std::int64_t{1} << dice.Roll(0, 4);
      list.push_back({.ref = JobRef{JobId{i + 1}},
                      .project = ProjectOf(user),
                      .user = UserId{user + 1},
                      .class_rank = dice.Roll(0, 9) == 0 ? 1 : 2,
                      .counted_milli = gpus * 1000,
                      .expected_charge = gpus * 1000 * kHourMs,
                      .predicted = gpus * 1000 * kHourMs,
                      .submitted_ms = kNow - dice.Roll(0, kDayMs)});
    }
    for (const OrderJob& job : list) waiting.Set(job);
    waiting.Arrange(tree);
    running.assign(static_cast<std::size_t>(tree.size()), 0);
  }
  OrderInput Input(const AccountTree& of, const WaitingJobs& jobs) const {
    return {.tree = &of,
            .gpu_type = kType,
            .waiting = &jobs,
            .running_milli = running,
            .usage = &usage,
            .now_ms = kNow};
  }

  std::map<AccountId, Account> accounts;
  AccountTree tree;
  UsageBook usage{7 * kDayMs};
  std::vector<OrderJob> list;
  WaitingJobs waiting;
  std::vector<MilliGpus> running;
};

// A tick: up to 10,000 picks, in which most projects are come to for the first time, then as many
// more. Each is answered as if its job started.
struct Picks {
  double begin_us = 0;
  double first_ns = 0;
  double later_ns = 0;
};

Picks MeasurePicks(const Scene& scene) {
  std::optional<OrderTree> walk;
  const auto half = std::min<std::int64_t>(10'000, std::ssize(scene.list) / 2);
  const auto pick = [&] {
    for (std::int64_t i = 0; i < half; ++i) {
      if (!walk->Next()) std::abort();
      walk->Take(true);
    }
  };
  Picks picks;
  const std::int64_t begin = Took([&] { walk.emplace(scene.Input(scene.tree, scene.waiting)); });
  picks.begin_us = static_cast<double>(begin) / 1e3;
  picks.first_ns = static_cast<double>(Took(pick)) / static_cast<double>(half);
  picks.later_ns = static_cast<double>(Took(pick)) / static_cast<double>(half);
  return picks;
}

double ChargeNs(Scene& scene) {
  Dice dice;
  constexpr int kBookings = 10'000;
  const std::int64_t ns = Took([&] {
    for (int i = 0; i < kBookings; ++i) {
      const std::int64_t user = dice.Roll(0, kUsers - 1);
      scene.usage.Book(scene.tree, ProjectOf(user), UserId{user + 1}, kNow - i * kMinuteMs,
                       8000 * kHourMs);
    }
  });
  return static_cast<double>(ns) / kBookings;
}

// One job comes and one goes, kept in order.
double ChangeNs(Scene& scene) {
  Dice dice;
  constexpr int kChanges = 1000;
  const std::int64_t ns = Took([&] {
    for (int i = 0; i < kChanges; ++i) {
      const OrderJob& job =
          scene.list[static_cast<std::size_t>(dice.Roll(0, std::ssize(scene.list) - 1))];
      scene.waiting.Remove(job.ref);
      scene.waiting.Set(job);
    }
    scene.waiting.Arrange(scene.tree);
  });
  return static_cast<double>(ns) / (2.0 * kChanges);
}

// From new settings of one account to the pick that heeds them: tree, order and all.
double ReweightUs(Scene& scene) {
  Share& share = scene.accounts[AccountId{7}].settings.shares[kType];
  share.weight_milli = share.weight_milli % 9000 + 1000;
  const std::int64_t ns = Took([&] {
    scene.tree = AccountTree::Build(scene.accounts).value();
    scene.waiting.Arrange(scene.tree);
    OrderTree walk(scene.Input(scene.tree, scene.waiting));
    if (!walk.Next()) std::abort();
  });
  return static_cast<double>(ns) / 1e3;
}

double EntitlementMs(const Scene& scene) {
  std::vector<MilliGpus> demand(static_cast<std::size_t>(scene.tree.size()), 0);
  for (const OrderJob& job : scene.list) {
    demand[static_cast<std::size_t>(scene.tree.IndexOf(job.project))] += job.counted_milli;
  }
  std::int64_t gpus = 0;
  const std::int64_t ns =
      Took([&] { gpus = Entitle(scene.tree, kType, 10'000'000, demand)[0].entitled_gpus; });
  if (gpus == 0) std::abort();
  return static_cast<double>(ns) / 1e6;
}

// The simple model: forget everything, sort all jobs of all projects anew, then pick one.
double NaiveNs(const Scene& scene) {
  return static_cast<double>(Took([&] {
    WaitingJobs jobs;
    for (const OrderJob& job : scene.list) jobs.Set(job);
    jobs.Arrange(scene.tree);
    OrderTree walk(scene.Input(scene.tree, jobs));
    if (!walk.Next()) std::abort();
  }));
}

}  // namespace

int main(int argc, char** argv) {
  // Memory that was used once stays: else each measure would pay for the pages that the naive one,
  // with a million jobs of its own, has just given back.
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  int rounds = 5;
  std::int64_t most = 1'000'000;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string option = argv[i];
    if (option == "--rounds") rounds = std::atoi(argv[i + 1]);
    if (option == "--most") most = std::atoll(argv[i + 1]);
  }
  for (std::int64_t jobs = 1000; jobs <= most; jobs *= 10) {
    Scene scene(jobs);
    for (int round = 0; round <= rounds; ++round) {  // round 0 warms up
      const double calibration_us = static_cast<double>(Calibrate()) / 1e3;
      // The naive measure has freed a great many small blocks: they are put together here.
      if (!std::vector<char>(1 << 20).empty()) scene.waiting.Arrange(scene.tree);
      const Picks picks = MeasurePicks(scene);
      const double charge = ChargeNs(scene);
      const double change = ChangeNs(scene);
      const double reweight = ReweightUs(scene);
      const double entitlement = EntitlementMs(scene);
      const double naive = round <= 3 ? NaiveNs(scene) : 0;
      std::printf(
          "{\"jobs\": %lld, \"round\": %d, \"calibration_us\": %.1f, \"begin_us\": %.1f, "
          "\"first_pick_ns\": %.1f, \"pick_ns\": %.1f, \"charge_ns\": %.1f, \"change_ns\": %.1f, "
          "\"reweight_us\": %.1f, "
          "\"entitlement_ms\": %.3f, \"naive_ns\": %.0f}\n",
          static_cast<long long>(jobs), round, calibration_us, picks.begin_us, picks.first_ns,
          picks.later_ns, charge, change, reweight, entitlement, naive);
      std::fflush(stdout);
    }
  }
  return 0;
}
