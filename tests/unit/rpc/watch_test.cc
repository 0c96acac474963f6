// Goal: a watcher sees every event he may see once and in order, wherever he begins; a reader that
// is too slow, a stopping server and a client that goes end the stream as they should.
// Method: a gRPC server on fakes; the ring alone for what depends on its size.

#include "rpc/watch.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <string>
#include <thread>

#include "rpc/ring.h"
#include "rpc/streams.h"
#include "tests/unit/rpc/served.h"

namespace kezek::rpc {
namespace {

class WatchTest : public Served {
 protected:
  struct Stream {
    std::unique_ptr<grpc::ClientContext> context;
    std::unique_ptr<grpc::ClientReader<v1::WatchResponse>> reader;
    std::vector<v1::Event> unread;

    // The next event; none if the stream has ended.
    std::optional<v1::Event> Next() {
      v1::WatchResponse response;
      while (unread.empty()) {
        if (!reader->Read(&response)) return std::nullopt;
        unread.assign(response.events().begin(), response.events().end());
        EXPECT_TRUE(unread.empty() || response.seq() >= unread.back().seq());
      }
      const v1::Event event = unread.front();
      unread.erase(unread.begin());
      return event;
    }
  };
  Stream Watch(const std::string& user, const v1::WatchRequest& request) {
    Stream stream{As(user), nullptr, {}};
    stream.reader = stub_->Watch(stream.context.get(), request);
    return stream;
  }
  std::string End(const std::string& user, const v1::WatchRequest& request) {
    Stream stream = Watch(user, request);
    v1::WatchResponse response;
    while (stream.reader->Read(&response)) {
    }
    return Reason(stream.reader->Finish());
  }
  static v1::WatchRequest After(std::int64_t seq) {
    v1::WatchRequest request;
    request.set_after_seq(seq);
    return request;
  }
};

TEST_F(WatchTest, SeesThePastThenThePresent) {
  Submit("aizhan@kaznu", "a");
  Submit("dana@acme", "b");
  Submit("bolat@kaznu", "c");
  Stream stream = Watch("aizhan@kaznu", After(0));
  EXPECT_EQ(stream.Next()->seq(), 1);
  EXPECT_EQ(stream.Next()->seq(), 3) << "another institution's is not shown";
  const std::int64_t id = Submit("aizhan@kaznu", "d");
  const auto event = stream.Next();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->seq(), 4);
  EXPECT_EQ(event->name(), std::to_string(id));
  EXPECT_EQ(event->to(), "queued");
  EXPECT_EQ(event->kind(), v1::EVENT_KIND_STATE);
  EXPECT_EQ(event->reason().code(), "SUBMITTED");
  stream.context->TryCancel();
}

TEST_F(WatchTest, ReadsFromTheStoreWhatTheRingNeverHad) {
  const JobRecord record{
      .job = {.ref = Ref(50),
              .user = World::kAizhan,
              .spec = std::make_shared<JobSpec>(JobSpec{.project = World::kNlp})}};
  for (int i = 0; i < 1000; ++i) store_.PutSilently(record, "queued");
  Stream stream = Watch("aizhan@kaznu", After(3));
  for (std::int64_t seq = 4; seq <= 1000; ++seq) ASSERT_EQ(stream.Next()->seq(), seq);
  Submit("aizhan@kaznu", "a");
  EXPECT_EQ(stream.Next()->seq(), 1001);
  stream.context->TryCancel();
  for (int i = 0; i < 99'003; ++i) store_.PutSilently(record, "queued");
  EXPECT_EQ(End("aizhan@kaznu", After(3)), "SEQ_TOO_OLD");
  EXPECT_EQ(Watch("aizhan@kaznu", After(4)).Next()->seq(), 5);
}

TEST_F(WatchTest, MissesNothingWhileEventsComeFast) {
  constexpr int kWriters = 3;
  constexpr int kEach = 300;
  Stream early = Watch("root@kezek", After(0));
  std::vector<std::thread> writers;
  for (int w = 0; w < kWriters; ++w) {
    writers.emplace_back([&, w] {
      for (int i = 0; i < kEach; ++i) {
        Submit("aizhan@kaznu", std::to_string(w) + "-" + std::to_string(i));
      }
    });
  }
  Stream middle = Watch("root@kezek", After(0));
  for (std::int64_t seq = 1; seq <= kWriters * kEach; ++seq) {
    ASSERT_EQ(early.Next()->seq(), seq);
    ASSERT_EQ(middle.Next()->seq(), seq);
  }
  for (auto& writer : writers) writer.join();
  early.context->TryCancel();
  middle.context->TryCancel();
}

TEST_F(WatchTest, ResumesAfterAnyNumber) {
  for (int i = 0; i < 30; ++i) Submit("aizhan@kaznu", std::to_string(i));
  for (std::int64_t from = 0; from < 30; from += 7) {
    Stream stream = Watch("aizhan@kaznu", After(from));
    for (std::int64_t seq = from + 1; seq <= 30; ++seq) ASSERT_EQ(stream.Next()->seq(), seq);
    stream.context->TryCancel();
  }
  EXPECT_EQ(End("aizhan@kaznu", After(31)), "SEQ_AHEAD");
  EXPECT_EQ(End("aizhan@kaznu", After(-1)), "FIELD_INVALID");
}

TEST_F(WatchTest, FiltersByJobUserAccountAndKind) {
  const std::int64_t a = Submit("aizhan@kaznu", "a");
  const std::int64_t b = Submit("bolat@kaznu", "b");
  Run(Ref(b));
  Run(Ref(a));
  const auto seqs = [&](const std::function<void(v1::WatchRequest&)>& filter, int count) {
    v1::WatchRequest request = After(0);
    filter(request);
    Stream stream = Watch("root@kezek", request);
    std::vector<std::int64_t> seen;
    for (int i = 0; i < count; ++i) seen.push_back(stream.Next()->seq());
    stream.context->TryCancel();
    return seen;
  };
  using Seqs = std::vector<std::int64_t>;
  EXPECT_EQ(seqs([&](auto& r) { r.add_jobs(std::to_string(a)); }, 2), (Seqs{1, 4}));
  EXPECT_EQ(seqs([](auto& r) { r.add_users("bolat@kaznu"); }, 2), (Seqs{2, 3}));
  EXPECT_EQ(seqs([](auto& r) { r.add_accounts("kaznu"); }, 4), (Seqs{1, 2, 3, 4}));
  EXPECT_EQ(seqs([](auto& r) { r.add_kinds(v1::EVENT_KIND_STATE); }, 4), (Seqs{1, 2, 3, 4}));
  const auto refused = [&](const std::string& user, const auto& spoil) {
    v1::WatchRequest request;
    spoil(request);
    return End(user, request);
  };
  EXPECT_EQ(refused("dana@acme", [&](auto& r) { r.add_jobs(std::to_string(a)); }), "JOB_NOT_FOUND");
  EXPECT_EQ(refused("dana@acme", [](auto& r) { r.add_accounts("kaznu"); }), "ACCOUNT_NOT_FOUND");
  EXPECT_EQ(refused("dana@acme", [](auto& r) { r.add_kinds(v1::EventKind(77)); }), "FIELD_INVALID");
  EXPECT_EQ(refused("dana@acme", [](auto& r) { r.set_until_final(true); }), "FIELD_INVALID");
  EXPECT_EQ(refused("dana@acme", [](auto& r) { r.set_cluster("mars"); }), "CLUSTER_NOT_FOUND");
}

TEST_F(WatchTest, UntilFinalEndsWithTheJobs) {
  const std::int64_t a = Submit("aizhan@kaznu", "a");
  const std::int64_t b = Submit("aizhan@kaznu", "b");
  v1::WatchRequest request = After(0);
  request.add_jobs(std::to_string(a));
  request.add_jobs(std::to_string(b));
  request.set_until_final(true);
  Stream stream = Watch("aizhan@kaznu", request);
  EXPECT_EQ(stream.Next()->seq(), 1);
  Run(Ref(a));
  Served::End(Ref(a), JobState::kSucceeded, "succeeded");
  Served::End(Ref(b), JobState::kCancelled, "cancelled");
  std::string last;
  while (const auto event = stream.Next()) last = event->name() + " " + event->to();
  EXPECT_EQ(last, std::to_string(b) + " cancelled") << "the last event is seen before the end";
  EXPECT_TRUE(stream.reader->Finish().ok());
  // All over already: the past, then the end.
  EXPECT_EQ(End("aizhan@kaznu", request), "OK");
  request.clear_after_seq();
  EXPECT_EQ(End("aizhan@kaznu", request), "OK");
}

TEST_F(WatchTest, UntilFinalOfAnArrayWaitsForItsElements) {
  const std::int64_t id = Submit("aizhan@kaznu", "a", [](v1::SubmitRequest& request) {
    request.mutable_spec()->mutable_array()->set_indices("0-1");
  });
  v1::WatchRequest request = After(0);
  request.add_jobs(std::to_string(id));
  request.set_until_final(true);
  Stream stream = Watch("aizhan@kaznu", request);
  EXPECT_EQ(stream.Next()->to(), "queued");
  Job element = store_.GetJob(Ref(id))->job;
  element.pending.clear();
  element.state = JobState::kSucceeded;
  for (const int i : {0, 1}) {
    store_.Change(
        Ref(id),
        [&](JobRecord& record) {
          record.job.pending.clear();
          record.elements = {{JobState::kSucceeded, i + 1}};
          if (i == 0) record.elements[JobState::kRunning] = 1;
          if (i == 1) record.job.state = JobState::kSucceeded;
        },
        "queued", "queued");
    element.ref.element = i;
    store_.Put({.job = element}, "running", "succeeded");
  }
  int ends = 0;
  while (const auto event = stream.Next()) ends += event->to() == "succeeded" ? 1 : 0;
  EXPECT_EQ(ends, 2);
  EXPECT_TRUE(stream.reader->Finish().ok());
}

TEST_F(WatchTest, SnapshotsCarryTheJob) {
  const std::int64_t id = Submit("aizhan@kaznu", "a");
  v1::WatchRequest request = After(0);
  request.set_snapshots(true);
  Stream stream = Watch("aizhan@kaznu", request);
  EXPECT_EQ(stream.Next()->job().id(), id);
  Run(Ref(id));
  const auto event = stream.Next();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->job().state(), v1::JOB_STATE_RUNNING);
  EXPECT_GE(event->job().last_seq(), event->seq());
  stream.context->TryCancel();
}

TEST_F(WatchTest, ShowsNothingMoreOnceItsCallerMayNot) {
  struct Loss {
    std::function<void(Directory&)> change;
    std::string reason;
  };
  const std::vector<Loss> losses = {
      {[](Directory& d) { d.tokens.at(HashToken("kzk_aizhan@kaznu")).revoked_ms = 1; },
       "TOKEN_EXPIRED"},
      {[](Directory& d) { d.users.at(World::kAizhan).disabled = true; }, "USER_DISABLED"},
      {[](Directory& d) { d.users.at(World::kAizhan).roles.clear(); }, "ROLE_MISSING"},
  };
  int key = 0;
  for (const Loss& loss : losses) {
    desk_.SetView(World().MakeView());
    Stream stream = Watch("aizhan@kaznu", After(key));
    Submit("bolat@kaznu", std::to_string(++key));
    EXPECT_TRUE(stream.Next());
    World changed;
    loss.change(changed.directory);
    desk_.SetView(changed.MakeView());
    Submit("bolat@kaznu", std::to_string(++key));
    EXPECT_FALSE(stream.Next()) << loss.reason;
    EXPECT_EQ(Reason(stream.reader->Finish()), loss.reason);
  }
}

TEST_F(WatchTest, GoesOnWhenItsCallerMayMore) {
  Stream stream = Watch("aizhan@kaznu", After(0));
  World changed;
  changed.directory.users.at(World::kAizhan).roles.push_back({Role::kResearcher, World::kBot});
  desk_.SetView(changed.MakeView());
  Submit("dana@acme", "b");
  EXPECT_EQ(stream.Next()->seq(), 1) << "of the new project";
  stream.context->TryCancel();
}

TEST_F(WatchTest, AStoppingServerEndsStreams) {
  Submit("aizhan@kaznu", "a");
  Stream stream = Watch("aizhan@kaznu", After(0));
  EXPECT_EQ(stream.Next()->seq(), 1);
  server_->Stop(10'000);
  EXPECT_FALSE(stream.Next());
  const auto status = stream.reader->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Reason(status), "STOPPING");
}

TEST_F(WatchTest, AUserHasNoMoreStreamsThanLeaveOthersTheirs) {
  Submit("aizhan@kaznu", "a");
  Submit("dana@acme", "a");
  std::vector<Stream> open;
  for (int i = 0; i < 256; ++i) {
    open.push_back(Watch("aizhan@kaznu", After(0)));
    ASSERT_TRUE(open.back().Next());
  }
  EXPECT_EQ(End("aizhan@kaznu", After(0)), "TOO_MANY_STREAMS");
  Stream others = Watch("dana@acme", After(0));
  EXPECT_TRUE(others.Next());
  for (Stream& stream : open) stream.context->TryCancel();
  // Until the server has noticed.
  for (bool back = false; !back;) {
    Stream again = Watch("aizhan@kaznu", After(0));
    back = again.Next().has_value();
  }
}

TEST_F(WatchTest, ManyClientsComeAndGo) {
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (int i = 0; !stop; ++i) Submit("aizhan@kaznu", std::to_string(i));
  });
  std::vector<std::thread> clients;
  for (int c = 0; c < 8; ++c) {
    clients.emplace_back([&, c] {
      for (int i = 0; i < 10; ++i) {
        Stream stream = Watch("aizhan@kaznu", After(0));
        for (int k = 0; k <= c; ++k) EXPECT_TRUE(stream.Next());
        stream.context->TryCancel();
      }
    });
  }
  for (auto& client : clients) client.join();
  stop = true;
  writer.join();
}

Event Numbered(std::int64_t seq) { return {.seq = seq, .job = {JobId{1}}}; }

TEST(Ring, KeepsTheLatestAndKnowsWhatItLost) {
  Ring ring(4, [](const auto& wake) { wake(); });
  EXPECT_EQ(ring.After(0, 10).place, Ring::Place::kBehind) << "before the first, nobody knows";
  ring.OnCommitted({.events = {Numbered(10), Numbered(11), Numbered(12)}});
  EXPECT_EQ(ring.After(8, 10).place, Ring::Place::kBehind);
  EXPECT_EQ(ring.After(9, 10).events.size(), 3U);
  EXPECT_EQ(ring.After(12, 10).place, Ring::Place::kThere);
  EXPECT_TRUE(ring.After(12, 10).events.empty());
  ring.OnCommitted({.events = {Numbered(13), Numbered(14)}});
  EXPECT_EQ(ring.After(9, 10).place, Ring::Place::kBehind) << "10 has gone";
  EXPECT_EQ(ring.After(10, 2).events.size(), 2U);
  EXPECT_EQ(ring.last_seq(), 14);
}

TEST(Ring, WakesOnce) {
  Ring ring(4, [](const auto& wake) { wake(); });
  int woken = 0;
  EXPECT_TRUE(ring.Wait(0, [&] { ++woken; }));
  ring.OnCommitted({.events = {Numbered(1)}});
  ring.OnCommitted({.events = {Numbered(2)}});
  EXPECT_EQ(woken, 1);
  EXPECT_FALSE(ring.Wait(1, [&] { ++woken; })) << "there is one already";
  EXPECT_EQ(woken, 1);
}

// A service of nothing but Watch, with a ring and times of the test's choosing.
class SmallService final : public v1::JobService::CallbackService {
 public:
  explicit SmallService(std::shared_ptr<Streams> streams) : streams_(std::move(streams)) {}
  grpc::ServerWriteReactor<v1::WatchResponse>* Watch(grpc::CallbackServerContext* context,
                                                     const v1::WatchRequest* request) override {
    return OpenWatch(streams_, context, *request);
  }

 private:
  std::shared_ptr<Streams> streams_;
};

class SmallRing : public Served {
 protected:
  void Serve(std::size_t events, StreamTimes times) {
    streams_ = std::make_shared<Streams>(
        Parts{.desk = &desk_, .submit = &store_, .read = &store_, .clock = &clock_},
        Settings{.cluster = "test"}, events, times);
    service_ = std::make_unique<SmallService>(streams_);
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(service_.get());
    small_ = builder.BuildAndStart();
    store_.Observe(&streams_->ring);
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 1024);
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    small_stub_ = v1::JobService::NewStub(grpc::CreateCustomChannel(
        "127.0.0.1:" + std::to_string(port), grpc::InsecureChannelCredentials(), arguments));
  }
  void TearDown() override {
    streams_->Stop();
    small_->Shutdown();
    streams_->wakeups.Stop();
    Served::TearDown();
  }

  std::shared_ptr<Streams> streams_;
  std::unique_ptr<SmallService> service_;
  std::unique_ptr<grpc::Server> small_;
  std::unique_ptr<v1::JobService::Stub> small_stub_;
};

TEST_F(SmallRing, ASlowReaderIsEndedAndResumes) {
  Serve(64, {});
  JobRecord record;
  record.job.ref = Ref(50);
  record.job.user = World::kAizhan;
  record.job.spec = std::make_shared<JobSpec>(JobSpec{.project = World::kNlp});
  record.job.reason = {ReasonCode::kWarning, {{"text", std::string(4096, 'x')}}};
  store_.Put(record, "", "queued");
  auto context = As("aizhan@kaznu");
  v1::WatchRequest request;
  request.set_after_seq(0);
  auto reader = small_stub_->Watch(context.get(), request);
  v1::WatchResponse response;
  ASSERT_TRUE(reader->Read(&response));
  // More than what fits between the two ends while nobody reads.
  for (int i = 0; i < 5'000; ++i) store_.Put(record, "queued", "queued");
  std::int64_t seq = response.seq();
  while (reader->Read(&response)) {
    if (response.events_size() > 0) {
      EXPECT_EQ(response.events(0).seq(), seq + 1);
    }
    seq = response.seq();
  }
  const auto status = reader->Finish();
  ASSERT_EQ(status.error_code(), grpc::StatusCode::OUT_OF_RANGE) << status.error_message();
  EXPECT_EQ(Reason(status), "READER_TOO_SLOW");
  EXPECT_EQ(Detail(status).fields().at("seq"), std::to_string(seq));
  // From there on, and nothing is missing.
  context = As("aizhan@kaznu");
  request.set_after_seq(seq);
  reader = small_stub_->Watch(context.get(), request);
  while (seq < 5'001 && reader->Read(&response)) {
    ASSERT_EQ(response.events(0).seq(), seq + 1);
    seq = response.seq();
  }
  EXPECT_EQ(seq, 5'001);
  context->TryCancel();
}

TEST_F(SmallRing, SilenceIsBrokenByHeartbeats) {
  Serve(64, {.heartbeat_ms = 20, .poll_ms = 10});
  Submit("dana@acme", "a");
  auto context = As("aizhan@kaznu");
  v1::WatchRequest request;
  auto reader = small_stub_->Watch(context.get(), request);
  v1::WatchResponse response;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(reader->Read(&response));
    EXPECT_EQ(response.events_size(), 0);
    EXPECT_EQ(response.seq(), 1);
  }
  // What the watcher may not see still moves the number to resume from.
  Submit("dana@acme", "b");
  do {
    ASSERT_TRUE(reader->Read(&response));
    EXPECT_EQ(response.events_size(), 0);
  } while (response.seq() < 2);
  // A token that is revoked ends the stream.
  World world;
  for (auto& [hash, token] : world.directory.tokens) token.revoked_ms = 1;
  desk_.SetView(world.MakeView());
  while (reader->Read(&response)) {
  }
  EXPECT_EQ(Reason(reader->Finish()), "TOKEN_EXPIRED");
}

}  // namespace
}  // namespace kezek::rpc
