// Goal: through gRPC, every role gets into every rpc exactly as the access table says, and somebody
// of another institution learns nothing of jobs, users, projects, scripts and paths: not from an
// answer, not from an error, not from the difference between "not yours" and "never was".
// Method: a server on fakes. First all users times all rpcs with an empty request. Then jobs of one
// institution whose every text bears a mark, and requests of another institution's user that ask
// for them in every way there is; answers and errors are searched for the marks.

#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "kezek/v1/access.pb.h"
#include "kezek/v1/cluster.pb.h"
#include "kezek/v1/quota.pb.h"
#include "rpc/access_table.h"
#include "tests/unit/rpc/served.h"

namespace kezek::rpc {
namespace {

using google::protobuf::Message;

class FixedAccounts final : public UnixAccounts {
 public:
  Result<std::int64_t> FindUid(const std::string&) override {
    return Error{Code::kNotFound, "none", {}};
  }
};

// What came back: the first answer of a stream, or the answer; and how it ended.
struct Outcome {
  grpc::Status status;
  std::string bytes;  // of all answers
};

class Attack : public Served {
 protected:
  // Serves with everything there is to ask.
  void SetUp() override {
    auto started = Server::Start(
        {.listen = "127.0.0.1:0", .cluster = "test", .version = "1", .output_root = "/out"},
        {.desk = &desk_,
         .submit = &store_,
         .read = &store_,
         .clock = &clock_,
         .output = &output_,
         .unix_accounts = &accounts_});
    ASSERT_TRUE(started) << started.error().message;
    server_ = std::move(*started);
    store_.Observe(server_.get());
    channel_ = grpc::CreateChannel("127.0.0.1:" + std::to_string(server_->port()),
                                   grpc::InsecureChannelCredentials());
    stub_ = v1::JobService::NewStub(channel_);
    generic_ = std::make_unique<grpc::GenericStub>(channel_);
  }

  // One call of any rpc. A stream is left after its first answer, or once it ends.
  Outcome Call(const std::string& user, const std::string& method, const std::string& request) {
    const auto context = As(user);
    grpc::CompletionQueue queue;
    const auto call = generic_->PrepareCall(context.get(), method, &queue);
    call->StartCall(nullptr);
    bool going = Await(queue);
    if (going) {
      const grpc::Slice slice(request);
      call->WriteLast(grpc::ByteBuffer(&slice, 1), {}, nullptr);
      going = Await(queue);
    }
    Outcome outcome;
    if (going) {
      grpc::ByteBuffer answer;
      call->Read(&answer, nullptr);
      if (Await(queue)) {
        std::vector<grpc::Slice> slices;
        if (answer.Dump(&slices).ok()) {
          for (const auto& slice : slices) {
            outcome.bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
          }
        }
        if (IsStream(method)) context->TryCancel();
      }
    }
    call->Finish(&outcome.status, nullptr);
    Await(queue);
    return outcome;
  }
  Outcome Call(const std::string& user, const std::string& method, const Message& request) {
    return Call(user, method, request.SerializeAsString());
  }
  static bool Await(grpc::CompletionQueue& queue) {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  }
  static bool IsStream(const std::string& method) {
    return method.ends_with("/Watch") || method.ends_with("/Logs");
  }

  // A job of aizhan's in kaznu's nlp whose texts all bear the mark.
  std::int64_t MarkedJob() {
    return Submit("aizhan@kaznu", "marked", [](v1::SubmitRequest& request) {
      v1::JobSpec& spec = *request.mutable_spec();
      spec.set_name("zq-name");
      spec.set_script("#!/bin/sh\necho zq-script\n");
      spec.set_comment("zq-comment");
      spec.set_working_dir("/home/zq-home");
      (*spec.mutable_labels())["zq-label"] = "zq-value";
    });
  }
  // Nothing of kaznu's may be in it. The attacker's own words come back in errors, so requests of
  // the attacker do not bear the marks that are looked for.
  static void ExpectNothingOfKaznu(const std::string& what, const Outcome& outcome) {
    const std::string all =
        outcome.bytes + outcome.status.error_message() + outcome.status.error_details();
    for (const char* mark : {"zq-", "aizhan", "bolat", "kaznu", "universities"}) {
      EXPECT_EQ(all.find(mark), std::string::npos) << what << " tells of '" << mark << "'";
    }
  }

  FixedAccounts accounts_;
  std::unique_ptr<grpc::GenericStub> generic_;
};

const std::map<std::string, Role> kUsers = {
    {"aizhan@kaznu", Role::kResearcher},      {"bolat@kaznu", Role::kProjectLead},
    {"chief@kaznu", Role::kInstitutionAdmin}, {"root@kezek", Role::kClusterAdmin},
    {"audit@kezek", Role::kAuditor},          {"meter@kezek", Role::kMetricsReader}};

// Empty, but for a stream that would wait for events: it is asked for those of the far future,
// which it refuses.
std::string RequestThatEnds(std::string_view method) {
  if (!method.ends_with("/Watch")) return "";
  v1::WatchRequest request;
  request.set_after_seq(1'000'000'000);
  return request.SerializeAsString();
}

TEST_F(Attack, EveryRoleGetsIntoEveryRpcAsTheTableSays) {
  for (const auto& row : AccessTable()) {
    if (row.method == kReadMetrics) continue;
    for (const auto& [user, role] : kUsers) {
      const Outcome outcome = Call(user, std::string(row.method), RequestThatEnds(row.method));
      const bool may = !row.signed_in || row.everybody ||
                       row.reach[static_cast<std::size_t>(role)] != Reach::kNone;
      const bool kept_out = !outcome.status.ok() && !outcome.status.error_details().empty() &&
                            Reason(outcome.status) == "ROLE_MISSING";
      EXPECT_EQ(kept_out, !may) << user << " at " << row.method << ": "
                                << outcome.status.error_message();
    }
    const Outcome nobody = Call("nobody", std::string(row.method), RequestThatEnds(row.method));
    EXPECT_EQ(nobody.status.error_code() == grpc::StatusCode::UNAUTHENTICATED, row.signed_in)
        << row.method;
  }
}

TEST_F(Attack, ADisabledUserGetsInNowhere) {
  World world;
  world.directory.users.at(World::kRoot).disabled = true;
  desk_.SetView(world.MakeView());
  for (const auto& row : AccessTable()) {
    if (!row.signed_in || row.method == kReadMetrics) continue;
    EXPECT_EQ(Reason(Call("root@kezek", std::string(row.method), "").status), "USER_DISABLED")
        << row.method;
  }
}

// Requests about one job, by its number as text.
std::vector<std::pair<std::string, std::string>> AboutJob(const std::string& job) {
  std::vector<std::pair<std::string, std::string>> requests;
  const auto add = [&](const char* name, const Message& request) {
    requests.emplace_back("/kezek.v1.JobService/" + std::string(name), request.SerializeAsString());
  };
  v1::GetJobsRequest get;
  get.add_jobs(job);
  add("Get", get);
  v1::CancelRequest cancel;
  cancel.add_jobs(job);
  add("Cancel", cancel);
  v1::UpdateRequest hold;
  hold.add_jobs(job);
  hold.set_hold(true);
  add("Update", hold);
  v1::LogsRequest logs;
  logs.set_job(job);
  add("Logs", logs);
  v1::WatchRequest watch;
  watch.add_jobs(job);
  watch.set_until_final(true);
  add("Watch", watch);
  v1::ExplainRequest explain;
  explain.set_job(job);
  add("Explain", explain);
  v1::SubmitRequest submit;
  submit.set_idempotency_key("k" + job);
  submit.mutable_spec()->set_script("#!/bin/sh\n");
  submit.mutable_spec()->set_working_dir("/home/x");
  submit.mutable_spec()->mutable_shape()->set_gpus(1);
  auto& dependency = *submit.mutable_spec()->add_dependencies();
  dependency.set_job(job);
  dependency.set_kind(v1::DEPENDENCY_KIND_AFTER_OK);
  add("Submit", submit);
  return requests;
}

TEST_F(Attack, AnothersJobAnswersAsOneThatNeverWas) {
  const std::int64_t job = MarkedJob();
  Run(Ref(job));
  output_.Append("/out/" + std::to_string(job) + "/1/stdout", "zq-log\n");
  const std::string known = std::to_string(job);
  const std::string unknown = std::to_string(job + 7);
  const auto at_known = AboutJob(known);
  const auto at_unknown = AboutJob(unknown);
  for (std::size_t i = 0; i < at_known.size(); ++i) {
    const auto& method = at_known[i].first;
    const Outcome yours = Call("dana@acme", method, at_known[i].second);
    const Outcome none = Call("dana@acme", method, at_unknown[i].second);
    EXPECT_FALSE(yours.status.ok()) << method;
    ExpectNothingOfKaznu(method, yours);
    const auto bare = [](std::string text, const std::string& number) {
      for (auto at = text.find(number); at != std::string::npos; at = text.find(number)) {
        text.replace(at, number.size(), "N");
      }
      return text;
    };
    EXPECT_EQ(yours.status.error_code(), none.status.error_code()) << method;
    EXPECT_EQ(bare(yours.status.error_message(), known), bare(none.status.error_message(), unknown))
        << method;
    EXPECT_EQ(bare(yours.status.error_details(), known), bare(none.status.error_details(), unknown))
        << method;
    EXPECT_EQ(yours.bytes, none.bytes) << method;
  }
}

TEST_F(Attack, ListingsAndFiltersTellNothingOfAnother) {
  MarkedJob();
  std::vector<std::pair<std::string, v1::ListJobsRequest>> requests(1, {"everything", {}});
  const auto add = [&](const char* what, const std::function<void(v1::JobFilter*)>& fill) {
    requests.emplace_back(what, v1::ListJobsRequest());
    requests.back().second.mutable_filter()->set_scope(v1::JOB_SCOPE_ALL);
    fill(requests.back().second.mutable_filter());
  };
  requests[0].second.mutable_filter()->set_scope(v1::JOB_SCOPE_ALL);
  add("a pattern of names", [](auto* filter) { filter->add_names("z?-n*"); });
  add("a node", [](auto* filter) { filter->add_nodes("n01"); });
  add("a class", [](auto* filter) { filter->add_job_classes("normal"); });
  add("a reason", [](auto* filter) { filter->add_reasons("WAITS_FOR_GPUS"); });
  add("an id", [](auto* filter) { filter->add_jobs("100"); });
  for (const auto& [what, request] : requests) {
    const Outcome outcome = Call("dana@acme", "/kezek.v1.JobService/List", request);
    EXPECT_TRUE(outcome.status.ok()) << what << ": " << outcome.status.error_message();
    ExpectNothingOfKaznu(what, outcome);
  }
  // A filter by what is another's matches no row at all, so that its use tells nothing.
  const auto rows_for = [&](const std::function<void(v1::JobFilter*)>& fill) {
    v1::ListJobsRequest request;
    request.mutable_filter()->set_scope(v1::JOB_SCOPE_ALL);
    fill(request.mutable_filter());
    v1::ListJobsResponse response;
    response.ParseFromString(Call("dana@acme", "/kezek.v1.JobService/List", request).bytes);
    return response.jobs_size();
  };
  EXPECT_EQ(rows_for([](auto*) {}), 1) << "the redacted row";
  EXPECT_EQ(rows_for([](auto* filter) { filter->add_names("zq-name"); }), 0);
  EXPECT_EQ(rows_for([](auto* filter) { filter->add_users("aizhan@kaznu"); }), 0);
  EXPECT_EQ(rows_for([](auto* filter) { filter->add_jobs("100"); }), 0);
  EXPECT_EQ(rows_for([](auto* filter) { (*filter->mutable_labels())["zq-label"] = ""; }), 0);
}

TEST_F(Attack, NodesAccountsUsersAndUsageTellNothingOfAnother) {
  const std::int64_t job = MarkedJob();
  Run(Ref(job));
  const std::vector<std::string> all = {"/kezek.v1.ClusterService/GetCluster",
                                        "/kezek.v1.ClusterService/ListNodes",
                                        "/kezek.v1.ClusterService/GetTopology",
                                        "/kezek.v1.ClusterService/GetCapacity",
                                        "/kezek.v1.ClusterService/GetStatus",
                                        "/kezek.v1.QuotaService/ListAccounts",
                                        "/kezek.v1.QuotaService/GetUsage",
                                        "/kezek.v1.QuotaService/GetEntitlement",
                                        "/kezek.v1.QuotaService/GetAccount",
                                        "/kezek.v1.AccessService/ListUsers",
                                        "/kezek.v1.AccessService/ListTokens",
                                        "/kezek.v1.AccessService/WhoAmI",
                                        "/kezek.v1.JobService/List",
                                        "/kezek.v1.QuotaService/ListBudgets",
                                        "/kezek.v1.ClusterService/ListReservations"};
  for (const auto& method : all) ExpectNothingOfKaznu(method, Call("dana@acme", method, ""));
}

TEST_F(Attack, AccountsOfOthersAnswerAsIfTheyWereNot) {
  const auto reason = [&](const std::string& method, const Message& request) {
    return Call("dana@acme", method, request).status.error_message();
  };
  for (const char* path : {"nlp", "universities/kaznu/nlp", "universities", "cv"}) {
    v1::GetAccountRequest get;
    get.set_account(path);
    v1::ListJobsRequest list;
    list.mutable_filter()->add_accounts(path);
    v1::ListUsersRequest users;
    users.set_account(path);
    v1::WatchRequest watch;
    watch.add_accounts(path);
    for (const auto& [method, request] : std::vector<std::pair<std::string, const Message*>>{
             {"/kezek.v1.QuotaService/GetAccount", &get},
             {"/kezek.v1.JobService/List", &list},
             {"/kezek.v1.AccessService/ListUsers", &users},
             {"/kezek.v1.JobService/Watch", &watch}}) {
      const std::string said = reason(method, *request);
      EXPECT_NE(said.find("there is no account '" + std::string(path) + "' that you may see"),
                std::string::npos)
          << method << ": " << said;
    }
  }
}

TEST_F(Attack, TokensOfOthersAreNeitherSeenNorRevoked) {
  v1::RevokeTokenRequest revoke;
  revoke.set_id(std::to_string(World::kAizhan.value));
  const auto others = Call("dana@acme", "/kezek.v1.AccessService/RevokeToken", revoke);
  EXPECT_EQ(Reason(others.status), "TOKEN_NOT_FOUND");
  ExpectNothingOfKaznu("RevokeToken", others);
  v1::CreateTokenRequest create;
  create.set_user("aizhan@kaznu");
  EXPECT_EQ(Reason(Call("dana@acme", "/kezek.v1.AccessService/CreateToken", create).status),
            "USER_NOT_FOUND");
  EXPECT_EQ(Reason(Call("bolat@kaznu", "/kezek.v1.AccessService/CreateToken", create).status),
            "USER_NOT_FOUND")
      << "leads make no tokens for members";
  EXPECT_TRUE(desk_.commands().empty());
}

// A user whom another institution let go keeps the jobs run there, and the Unix account.
TEST_F(Attack, WhoTakesInAUserIsNotGivenWhatTheUserDidElsewhere) {
  const std::int64_t job = MarkedJob();
  World world;
  world.directory.users.at(World::kAizhan).roles = {{Role::kResearcher, World::kBot}};
  world.directory.users.at(World::kDana).roles = {{Role::kInstitutionAdmin, World::kAcme}};
  desk_.SetView(world.MakeView());
  v1::CreateTokenRequest create;
  create.set_user("aizhan@kaznu");
  const std::string method = "/kezek.v1.AccessService/CreateToken";
  const auto refused = Call("dana@acme", method, create);
  EXPECT_EQ(Reason(refused.status), "NOT_OWNER");
  ExpectNothingOfKaznu(method, refused);
  EXPECT_TRUE(desk_.commands().empty());
  store_.Change(
      Ref(job), [](JobRecord& record) { record.job.user = World::kBoth; }, "queued", "queued");
  EXPECT_EQ(Reason(Call("dana@acme", method, create).status), "OK");
  const auto commands = desk_.commands();
  ASSERT_EQ(commands.size(), 1U);
  const auto& put = std::get<PutToken>(commands.front().body);
  EXPECT_EQ(put.token.limits.projects, std::vector<AccountId>{World::kAcme});
}

TEST_F(Attack, ChangesOfAccountsDoNotTellWhichThereAre) {
  World world;
  world.directory.users.at(World::kDana).roles = {{Role::kInstitutionAdmin, World::kAcme}};
  desk_.SetView(world.MakeView());
  const auto said = [&](const std::string& path) {
    v1::ApplyAccountsRequest apply;
    apply.set_reason("x");
    apply.add_changes()->set_path(path);
    apply.mutable_changes(0)->set_kind("project");
    return Reason(Call("dana@acme", "/kezek.v1.QuotaService/ApplyAccounts", apply).status);
  };
  for (const char* path :
       {"", "universities", "universities/kaznu", "universities/kaznu/nlp",
        "universities/kaznu/none", "universities/none/x", "none/x/y", "firms/acme"}) {
    EXPECT_EQ(said(path), "NOT_ADMINISTRATOR") << path;
  }
  EXPECT_EQ(said("firms/acme/fresh"), "OK");
  EXPECT_EQ(said("firms/acme/none/x"), "ACCOUNT_NOT_FOUND");
}

TEST_F(Attack, WhatARequestHoldsFitsIntoTheErrorAboutIt) {
  v1::ListJobsRequest list;
  list.mutable_filter()->add_accounts(std::string(100'000, 'x'));
  EXPECT_EQ(Reason(Call("dana@acme", "/kezek.v1.JobService/List", list).status),
            "ACCOUNT_NOT_FOUND");
}

}  // namespace
}  // namespace kezek::rpc
