// Goal: through gRPC, every role gets into every rpc exactly as the access table says, and somebody
// of another institution learns nothing of jobs, users, projects, scripts and paths: not from an
// answer, not from an error, not from the difference between "not yours" and "never was".
// Method: a server on fakes. First all users times all rpcs with an empty request. Then jobs of one
// institution whose every text bears a mark, and requests of another institution's user that ask
// for them in every way there is; answers and errors are searched for the marks.

#include "tests/unit/rpc/attack.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "kezek/v1/access.pb.h"
#include "kezek/v1/cluster.pb.h"
#include "kezek/v1/quota.pb.h"
#include "rpc/access_table.h"

namespace kezek::rpc {
namespace {

using google::protobuf::Message;

const std::map<std::string, Role> kUsers = {
    {"aizhan@kaznu", Role::kResearcher},      {"bolat@kaznu", Role::kProjectLead},
    {"chief@kaznu", Role::kInstitutionAdmin}, {"root@kezek", Role::kClusterAdmin},
    {"audit@kezek", Role::kAuditor},          {"meter@kezek", Role::kMetricsReader}};

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

// What a clock could tell: the same reads are made, and of what the directory says none at all.
TEST_F(Attack, AsMuchIsReadForWhatIsAnothersAsForWhatNeverWas) {
  const std::int64_t job = MarkedJob();
  Run(Ref(job));
  const auto reads = [&](const std::string& method, const std::string& request) {
    store_.TakeReads();
    Call("dana@acme", method, request);
    return store_.TakeReads();
  };
  const auto at_known = AboutJob(std::to_string(job));
  const auto at_unknown = AboutJob(std::to_string(job + 7));
  for (std::size_t i = 0; i < at_known.size(); ++i) {
    const auto read = reads(at_known[i].first, at_known[i].second);
    EXPECT_FALSE(read.empty()) << at_known[i].first;
    EXPECT_EQ(read, reads(at_unknown[i].first, at_unknown[i].second)) << at_known[i].first;
  }
  v1::GetAccountRequest account;
  account.set_account("universities/kaznu/nlp");
  v1::ListUsersRequest users;
  users.set_account("universities/kaznu/nlp");
  v1::CreateTokenRequest create;
  create.set_user("aizhan@kaznu");
  v1::RevokeTokenRequest revoke;
  revoke.set_id(std::to_string(World::kAizhan.value));
  for (const auto& [method, request] : std::vector<std::pair<std::string, const Message*>>{
           {"/kezek.v1.QuotaService/GetAccount", &account},
           {"/kezek.v1.AccessService/ListUsers", &users},
           {"/kezek.v1.AccessService/CreateToken", &create},
           {"/kezek.v1.AccessService/RevokeToken", &revoke}}) {
    EXPECT_TRUE(reads(method, request->SerializeAsString()).empty()) << method;
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

TEST_F(Attack, WhatIsNoMessageIsRefusedWithWords) {
  for (const auto& row : AccessTable()) {
    if (row.method == kReadMetrics) continue;
    for (const std::string& bad : {std::string("\x0a\x02\xff\xfe", 4), std::string(40, '\xff')}) {
      const Outcome outcome = Call("root@kezek", std::string(row.method), bad);
      if (outcome.status.ok() || !outcome.status.error_message().empty()) continue;
      ADD_FAILURE() << row.method << ": " << outcome.status.error_code();
    }
  }
  const Outcome outcome =
      Call("root@kezek", "/kezek.v1.JobService/List", std::string("\x0a\x02\xff\xfe", 4));
  EXPECT_EQ(Reason(outcome.status), "FIELD_INVALID") << outcome.status.error_message();
}

TEST_F(Attack, WhatARequestHoldsFitsIntoTheErrorAboutIt) {
  v1::ListJobsRequest list;
  list.mutable_filter()->add_accounts(std::string(4'000, 'x'));
  EXPECT_EQ(Reason(Call("dana@acme", "/kezek.v1.JobService/List", list).status),
            "ACCOUNT_NOT_FOUND");
  list.mutable_filter()->set_accounts(0, std::string(100'000, 'x'));
  EXPECT_EQ(Reason(Call("dana@acme", "/kezek.v1.JobService/List", list).status), "FIELD_INVALID");
}

}  // namespace
}  // namespace kezek::rpc
