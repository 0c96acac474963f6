// Goal: with what admins have reserved the engine equals its simple model, too, where nothing is
// promised. Method: the histories of engine_twin_test; with each directory come reservations, made
// by the seed and changed now and then, and some jobs ask for one. Starts, how accounts stand, and
// the reasons of all that has a rank must be the same: of what was not come to the engine tells the
// reason of its shape, whatever its limit.

#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "scheduler/engine/engine.h"
#include "tests/property/engine_history.h"
#include "tests/property/naive_engine.h"
#include "tests/property/seeds.h"

namespace kezek::test {
namespace {

constexpr int kWindowSteps = 25;

// Of a plan, without the reasons of what has no rank.
std::string Text(const engine::Plan& plan) {
  std::string text;
  std::string all = PlanText(plan);
  for (std::size_t begin = 0; begin < all.size();) {
    const std::size_t end = all.find('\n', begin) + 1;
    std::string line = all.substr(begin, end - begin);
    begin = end;
    const std::size_t unranked = line.find(" rank 0 ");
    if (line.starts_with("wait") && unranked != std::string::npos) {
      line.resize(unranked);
      line += '\n';
    }
    text += line;
  }
  return text;
}

class Reserved {
 public:
  explicit Reserved(std::uint64_t seed) : dice_(seed + 77) {}

  // The same for all that are told in one step.
  std::shared_ptr<const Directory> Add(const std::shared_ptr<const Directory>& to) const {
    Directory with = *to;
    with.reservations = reservations_;
    return std::make_shared<const Directory>(std::move(with));
  }
  engine::Waiting Ask(engine::Waiting job) const {
    if (job.ref.id.value % 6 != 0) return job;
    JobSpec spec = *job.spec;
    spec.reservation = "r" + std::to_string(job.ref.id.value % 4);
    spec.time_limit_ms = std::min<DurationMs>(spec.time_limit_ms, 30 * kMinuteMs);
    job.spec = std::make_shared<const JobSpec>(std::move(spec));
    return job;
  }
  void Know(const std::string& node) { nodes_.insert(node); }
  void Change(const Directory& directory, TimeMs now) {
    if (!dice_.Chance(40)) return;
    AdminReservation one{.name = "r" + std::to_string(dice_.Roll(0, 3))};
    if (dice_.Chance(15)) {
      reservations_.erase(one.name);
      return;
    }
    one.start_ms = now + dice_.Roll(-3, 9) * kHourMs;
    one.duration_ms = dice_.Roll(1, 20) * kHourMs;
    if (dice_.Chance(40)) one.repeat_every_ms = one.duration_ms + dice_.Roll(0, 40) * kHourMs;
    if (dice_.Chance(30)) one.repeat_until_ms = one.start_ms + dice_.Roll(0, 9) * kDayMs;
    if (dice_.Chance(70)) {
      const auto last = static_cast<std::int64_t>(directory.accounts.size()) - 1;
      const auto at = dice_.Chance(50) ? 0 : dice_.Roll(0, last);  // the root: everybody
      one.accounts = {std::next(directory.accounts.begin(), at)->first};
    }
    if (dice_.Chance(30)) one.users = {UserId{dice_.Roll(1, 4)}};
    if (dice_.Chance(50)) one.reason = "course";
    for (const std::string& name : nodes_) {
      if (dice_.Chance(40)) one.nodes.push_back(name);
    }
    reservations_[one.name] = one;
  }

 private:
  property::Dice dice_;
  std::set<std::string> nodes_;
  std::map<std::string, AdminReservation> reservations_;
};

template <class World>
EventSink With(Reserved& reserved, World& world) {
  EventSink sink = SinkOf(world);
  sink.directory = [&reserved, to = sink.directory](std::shared_ptr<const Directory> directory) {
    to(reserved.Add(directory));
  };
  sink.waiting = [&reserved, to = sink.waiting](const engine::Waiting& job) {
    to(reserved.Ask(job));
  };
  sink.node = [&reserved, to = sink.node](const Node& node) {
    reserved.Know(node.name);
    to(node);
  };
  return sink;
}

TEST(WindowsTwinTest, EngineEqualsItsSimpleModel) {
  std::size_t inside = 0;
  std::size_t barred = 0;
  property::ForEachSeed([&](std::uint64_t seed) {
    EngineHistory history(seed);
    Reserved reserved(seed);
    engine::Engine engine(history.config(), history.directory());
    NaiveEngine twin(history.config(), history.directory());
    history.Join(With(reserved, engine));
    history.Join(With(reserved, twin));
    history.Begin();
    for (int step = 0; step < kWindowSteps && !testing::Test::HasFailure(); ++step) {
      reserved.Change(*history.directory(), history.now_ms());
      engine.SetDirectory(reserved.Add(history.directory()));
      twin.SetDirectory(reserved.Add(history.directory()));
      const engine::Plan plan = engine.Decide(history.now_ms());
      EXPECT_EQ(Text(plan), Text(twin.Decide(history.now_ms()))) << "step " << step;
      EXPECT_TRUE(plan.dropped.empty());
      for (const engine::Start& start : plan.starts) {
        inside += start.row.id.value % 6 == 0 ? 1U : 0U;
      }
      for (const auto& [ref, standing] : plan.waiting.All()) {
        barred += standing.reason.code == ReasonCode::kReservedByAdmin ? 1U : 0U;
      }
      history.Commit(plan);
      history.Step();
    }
  });
  if (testing::Test::HasFailure()) return;
  std::cout << inside << " starts inside, " << barred << " times barred\n";
  const bool one = property::FromEnvironment("KEZEK_SEED", -1) >= 0;
  if (one || property::FromEnvironment("KEZEK_SEEDS", 200) < 200) return;  // too few to count
  EXPECT_GT(inside, 30U);
  EXPECT_GT(barred, 300U);
}

}  // namespace
}  // namespace kezek::test
