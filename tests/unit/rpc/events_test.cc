// Goal: a listing of events asks the store for what the caller asked for and may see, page by page,
// either way round. Method: calls through gRPC; a store in memory that keeps the query.

#include <string>
#include <vector>

#include "kezek/v1/cluster.grpc.pb.h"
#include "tests/unit/rpc/served.h"

namespace kezek::rpc {
namespace {

class EventsTest : public Served {
 protected:
  std::string List(const std::string& user,
                   const std::function<void(v1::ListEventsRequest&)>& fill) {
    v1::ListEventsRequest request;
    fill(request);
    answer_.Clear();
    const auto stub = v1::ClusterService::NewStub(channel_);
    return Reason(stub->ListEvents(As(user).get(), request, &answer_));
  }
  const EventQuery& Asked() const { return store_.events_asked; }

  v1::ListEventsResponse answer_;
};

constexpr auto kAll = [](v1::ListEventsRequest&) {};

TEST_F(EventsTest, WhoReachesEverythingSeesAllOthersTheirOwn) {
  Submit("aizhan@kaznu", "a");
  Submit("dana@acme", "b");
  EXPECT_EQ(List("root@kezek", kAll), "OK");
  EXPECT_EQ(answer_.events_size(), 2);
  EXPECT_EQ(answer_.events(0).seq(), 2) << "latest first";
  EXPECT_FALSE(Asked().within.has_value());
  EXPECT_EQ(List("audit@kezek", kAll), "OK");
  EXPECT_EQ(answer_.events_size(), 2);
  EXPECT_EQ(List("chief@kaznu", kAll), "OK");
  EXPECT_EQ(*Asked().within, (std::vector{World::kKaznu, World::kNlp, World::kCv}));
  ASSERT_EQ(answer_.events_size(), 1);
  EXPECT_EQ(answer_.events(0).reason().code(), "SUBMITTED");
  EXPECT_EQ(List("bolat@kaznu", kAll), "OK");
  EXPECT_EQ(*Asked().within, std::vector{World::kNlp});
  EXPECT_EQ(List("aizhan@kaznu", kAll), "ROLE_MISSING");
}

TEST_F(EventsTest, PagesGoOnBehindTheLast) {
  for (const char* key : {"a", "b", "c"}) Submit("aizhan@kaznu", key);
  for (const bool oldest_first : {false, true}) {
    std::vector<std::int64_t> seen;
    std::string token;
    do {
      ASSERT_EQ(List("root@kezek",
                     [&](auto& request) {
                       request.set_oldest_first(oldest_first);
                       request.mutable_page()->set_size(2);
                       request.mutable_page()->set_token(token);
                     }),
                "OK");
      EXPECT_LE(answer_.events_size(), 2);
      for (const v1::Event& event : answer_.events()) seen.push_back(event.seq());
      token = answer_.page().next_token();
    } while (!token.empty());
    EXPECT_EQ(seen, oldest_first ? (std::vector<std::int64_t>{1, 2, 3})
                                 : (std::vector<std::int64_t>{3, 2, 1}));
  }
}

TEST_F(EventsTest, NamesAreOfWhateverIsNamedSo) {
  EXPECT_EQ(List("root@kezek", [](auto& request) { request.set_name("n01"); }), "OK");
  EXPECT_EQ(Asked().name, "n01");
  EXPECT_FALSE(Asked().job.has_value());
  EXPECT_TRUE(Asked().accounts.empty());
  EXPECT_EQ(List("root@kezek", [](auto& request) { request.set_name("48211_7"); }), "OK");
  EXPECT_EQ(*Asked().job, Ref(48211, 7));
  EXPECT_EQ(List("root@kezek", [](auto& request) { request.set_name("universities/kaznu"); }),
            "OK");
  EXPECT_EQ(Asked().accounts, (std::vector{World::kKaznu, World::kNlp, World::kCv}));
  const auto only = [](v1::Subject subject, const char* name) {
    return [subject, name](v1::ListEventsRequest& request) {
      request.add_subjects(subject);
      request.set_name(name);
    };
  };
  EXPECT_EQ(List("root@kezek", only(v1::SUBJECT_TOKEN, "12")), "OK");
  EXPECT_FALSE(Asked().job.has_value()) << "no job is asked for";
  EXPECT_EQ(Asked().subjects, std::set<Subject>{Subject::kToken});
  EXPECT_EQ(List("root@kezek", only(v1::SUBJECT_JOB, "n01")), "FIELD_INVALID");
  EXPECT_EQ(List("root@kezek", only(v1::SUBJECT_ACCOUNT, "nowhere")), "ACCOUNT_NOT_FOUND");
  EXPECT_EQ(List("chief@kaznu", only(v1::SUBJECT_ACCOUNT, "firms/acme")), "ACCOUNT_NOT_FOUND");
}

TEST_F(EventsTest, ActorReasonsAndTimesReachTheStore) {
  EXPECT_EQ(List("root@kezek",
                 [](auto& request) {
                   request.set_actor("root@kezek");
                   request.add_reasons("REQUEUED_BY_ADMIN");
                   request.mutable_time()->set_since_ms(1000);
                   request.mutable_time()->set_until_ms(2000);
                 }),
            "OK");
  EXPECT_EQ(Asked().actor, "root@kezek");
  EXPECT_EQ(Asked().reasons, std::set<ReasonCode>{ReasonCode::kRequeuedByAdmin});
  EXPECT_EQ(Asked().since_ms, 1000);
  EXPECT_EQ(Asked().until_ms, 2000);
}

TEST_F(EventsTest, WhatIsWrongIsNamed) {
  const auto refused = [this](const std::function<void(v1::ListEventsRequest&)>& fill) {
    return List("root@kezek", fill);
  };
  EXPECT_EQ(refused([](auto& request) { request.add_reasons("NO_SUCH"); }), "FIELD_INVALID");
  EXPECT_EQ(refused([](auto& request) { request.add_subjects(static_cast<v1::Subject>(77)); }),
            "FIELD_INVALID");
  EXPECT_EQ(refused([](auto& request) { request.mutable_time()->set_since_ms(-1); }),
            "FIELD_INVALID");
  EXPECT_EQ(refused([](auto& request) { request.mutable_page()->set_size(1001); }),
            "FIELD_INVALID");
  EXPECT_EQ(refused([](auto& request) { request.mutable_page()->set_token("x"); }),
            "PAGE_TOKEN_INVALID");
  EXPECT_EQ(refused([](auto& request) { request.set_cluster("other"); }), "CLUSTER_NOT_FOUND");
}

}  // namespace
}  // namespace kezek::rpc
