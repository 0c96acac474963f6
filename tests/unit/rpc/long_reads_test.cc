// Goal: however many long reports are under way, single calls find a thread to read for them.
// Method: a server on a pool that has one thread more than long reads get; reports that stay in the
// database until the test lets them go.
#include <algorithm>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "kezek/v1/quota.grpc.pb.h"
#include "rpc/quota_service.h"
#include "tests/unit/rpc/served.h"

namespace kezek::rpc {
namespace {

// Some threads on the reader of a fake; the next one that is free takes what comes next.
class Pool final : public ReadStore {
 public:
  Pool(Reader* reader, int threads) : reader_(reader) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Run(); });
  }
  ~Pool() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  void Read(std::function<void(Reader&)> work) override {
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(std::move(work));
    }
    changed_.notify_one();
  }

 private:
  void Run() {
    for (;;) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      const auto work = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      work(*reader_);
    }
  }

  Reader* const reader_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::deque<std::function<void(Reader&)>> waiting_;
  std::vector<std::thread> threads_;
};

// Where reports stay until they are let go.
class Gate {
 public:
  ReportFigures Pass() {
    std::unique_lock lock(mutex_);
    most_inside_ = std::max(most_inside_, ++inside_);
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    --inside_;
    return {};
  }
  void WaitFor(int inside) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this, inside] { return inside_ == inside; });
  }
  void Open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  int most_inside() {
    const std::lock_guard lock(mutex_);
    return most_inside_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  int inside_ = 0;
  int most_inside_ = 0;
};

class LongReadsTest : public Served {
 protected:
  void Adjust(ServerConfig*, ServerPorts* ports) override { ports->read = &pool_; }
  void TearDown() override {
    gate_.Open();
    for (std::thread& report : reports_) report.join();
    Served::TearDown();
  }
  void Report(const std::string& user) {
    reports_.emplace_back([this, user] {
      v1::ReportUsageRequest request;
      request.mutable_time()->set_since_ms(1);
      v1::ReportUsageResponse response;
      const auto stub = v1::QuotaService::NewStub(channel_);
      const auto status = stub->ReportUsage(As(user).get(), request, &response);
      EXPECT_TRUE(status.ok()) << status.error_message();
    });
  }

  Gate gate_;
  Pool pool_{&store_, kLongReads + 1};
  std::vector<std::thread> reports_;
};

TEST_F(LongReadsTest, LeaveRoomForSingleCalls) {
  World world;
  world.directory.rate_milli["h200"] = 1000;
  desk_.SetView(world.MakeView());
  store_.report = [this](const ReportQuery&) { return gate_.Pass(); };
  const std::int64_t job = Submit("aizhan@kaznu", "k");
  for (const char* user : {"root@kezek", "audit@kezek", "chief@kaznu", "bolat@kaznu"}) Report(user);
  gate_.WaitFor(kLongReads);
  const auto quota = v1::QuotaService::NewStub(channel_);
  for (int i = 0; i < 3; ++i) {
    v1::GetJobsRequest request;
    request.add_jobs(std::to_string(job));
    v1::GetJobsResponse shown;
    const auto status = stub_->Get(As("aizhan@kaznu").get(), request, &shown);
    EXPECT_TRUE(status.ok()) << status.error_message();
    v1::GetUsageResponse usage;
    EXPECT_TRUE(quota->GetUsage(As("aizhan@kaznu").get(), {}, &usage).ok())
        << "of totals, and of few budgets, which is quick";
  }
  gate_.Open();
  for (std::thread& report : reports_) report.join();
  reports_.clear();
  EXPECT_EQ(gate_.most_inside(), kLongReads);
}

}  // namespace
}  // namespace kezek::rpc
