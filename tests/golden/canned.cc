#include "tests/golden/canned.h"

#include <google/protobuf/text_format.h>

#include "tests/golden/answers.h"

namespace kezek::golden {
namespace {

// Shortened: `NOW` is 1795246200000, and M, H are milliseconds of a minute and an hour; the
// numbers below are worked out from them.
constexpr const char* kRunning = R"(
  cluster: "demo" id: 48007 job: "48007" user: "aizhan@nac" project: "research/nac/alem-llm"
  job_class: "normal" counted_milli_gpus: 32000 state: JOB_STATE_RUNNING last_seq: 900
  spec { name: "pretrain-7" kind: JOB_KIND_TRAINING working_dir: "/home/aizhan/llm"
         topology { within: DOMAIN_LEAF } comment: "second epoch" }
  resolved { project: "research/nac/alem-llm" job_class: "normal" nodes: 4 gpus_per_node: 8
             gpu_type: "h200" cpus_per_node: 192 memory_per_node_mib: 2064384 ntasks: 32
             ntasks_per_node: 8 cpus_per_task: 24 counted_milli_gpus: 32000
             time_limit_ms: 43200000 requeue: true max_attempts: 3 }
  submitted_ms: 1795208400000 queued_since_ms: 1795208400000 started_ms: 1795209480000
  attempt_count: 1
  attempts { number: 1 state: ATTEMPT_STATE_RUNNING slurm_job_id: 771 start_ms: 1795209480000
             planned_ms: 1795209479000 ends_by_ms: 1795252800000 time_limit_ms: 43200000
             counted_milli_gpus: 32000 charge_milli_gpu_ms: 1175040000000
             stdout_path: "/kezek/48007/1/output"
             placement { node_list: "n[05-08]" domain: "leaf2" nodes { node: "n05" gpus: 8 }
               nodes { node: "n06" gpus: 8 } nodes { node: "n07" gpus: 8 }
               nodes { node: "n08" gpus: 8 } } }
)";
constexpr const char* kBorrowed = R"(
  cluster: "demo" id: 48190 job: "48190" user: "dana@kaznu" project: "universities/kaznu/nlp"
  job_class: "normal" counted_milli_gpus: 1000 state: JOB_STATE_RUNNING last_seq: 910
  spec { name: "eval" }
  resolved { nodes: 1 gpus_per_node: 1 gpu_type: "h200" time_limit_ms: 3600000
             cpus_per_node: 24 memory_per_node_mib: 258048 counted_milli_gpus: 1000 }
  submitted_ms: 1795243680000 queued_since_ms: 1795243680000 started_ms: 1795243680000
  attempt_count: 1
  attempts { number: 1 state: ATTEMPT_STATE_RUNNING slurm_job_id: 780 start_ms: 1795243680000
             borrowed: true reclaimable_from_ms: 1795247460000
             placement { node_list: "n02" nodes { node: "n02" gpus: 1 } } }
)";
constexpr const char* kWaiting = R"(
  cluster: "demo" id: 48211 job: "48211" user: "aizhan@nac" project: "research/nac/alem-llm"
  job_class: "normal" counted_milli_gpus: 32000 state: JOB_STATE_QUEUED last_seq: 930
  spec { name: "train.sh" topology { within: DOMAIN_LEAF } }
  resolved { project: "research/nac/alem-llm" nodes: 4 gpus_per_node: 8 gpu_type: "h200"
             time_limit_ms: 43200000 cpus_per_node: 192 memory_per_node_mib: 2064384 }
  reason { code: "WAITS_FOR_DOMAIN" fields { key: "nodes" value: "4" }
           sentence: "There is room, but not under one leaf: 4 nodes must be free together." }
  reservation { start_ms: 1795252800000 placement { node_list: "n[05-08]" domain: "leaf2" } }
  submitted_ms: 1795246140000 queued_since_ms: 1795246140000
)";
constexpr const char* kArray = R"(
  cluster: "demo" id: 48300 job: "48300" user: "aizhan@nac" project: "research/nac/fire"
  job_class: "scavenger" counted_milli_gpus: 1000 state: JOB_STATE_RUNNING last_seq: 940
  spec { name: "wildfire" array { indices: "0-99" max_running: 8 } }
  resolved { nodes: 1 gpus_per_node: 1 gpu_type: "h200" time_limit_ms: 1800000 }
  array { total: 100 queued: 80 running: 8 succeeded: 11 failed: 1 queued_indices: "20-99" }
  submitted_ms: 1795242600000 queued_since_ms: 1795242600000 started_ms: 1795243200000
)";
constexpr const char* kRedacted = R"(
  redacted: true job_class: "normal" counted_milli_gpus: 16000 state: JOB_STATE_QUEUED
  queued_since_ms: 1795238400000
)";
constexpr const char* kSucceeded = R"(
  cluster: "demo" id: 47001 job: "47001" user: "aizhan@nac" project: "research/nac/alem-llm"
  job_class: "normal" counted_milli_gpus: 8000 state: JOB_STATE_SUCCEEDED last_seq: 700
  spec { name: "tokenise" }
  resolved { nodes: 1 gpus_per_node: 8 gpu_type: "h200" time_limit_ms: 3600000 }
  submitted_ms: 1795159800000 queued_since_ms: 1795159800000 started_ms: 1795159860000
  ended_ms: 1795162380000
)";
constexpr const char* kFailed = R"(
  cluster: "demo" id: 47002 job: "47002" user: "aizhan@nac" project: "research/nac/alem-llm"
  job_class: "debug" counted_milli_gpus: 1000 state: JOB_STATE_FAILED exit_code: 3 last_seq: 720
  reason { code: "FINISHED" sentence: "Ended with exit code 3." }
  spec { name: "smoke" }
  resolved { nodes: 1 gpus_per_node: 1 gpu_type: "h200" time_limit_ms: 600000 }
  submitted_ms: 1795159800000 queued_since_ms: 1795159800000 started_ms: 1795159860000
  ended_ms: 1795159980000
)";
constexpr const char* kCancelled = R"(
  cluster: "demo" id: 47003 job: "47003" user: "aizhan@nac" project: "research/nac/alem-llm"
  job_class: "normal" counted_milli_gpus: 8000 state: JOB_STATE_CANCELLED last_seq: 730
  spec { name: "late" }
  resolved { nodes: 1 gpus_per_node: 8 gpu_type: "h200" time_limit_ms: 600000 }
  reason { code: "CANCELLED_BY_USER" sentence: "Cancelled by aizhan@nac." }
  submitted_ms: 1795159800000 queued_since_ms: 1795159800000 ended_ms: 1795159980000
)";

}  // namespace

std::vector<v1::Job> CannedJobs() {
  std::vector<v1::Job> jobs;
  for (const char* text :
       {kRunning, kBorrowed, kWaiting, kArray, kRedacted, kSucceeded, kFailed, kCancelled}) {
    jobs.push_back(Parse<v1::Job>(text));
  }
  return jobs;
}

std::optional<v1::Job> CannedJob(const std::string& id) {
  for (v1::Job& job : CannedJobs()) {
    if (job.job() == id && !id.empty()) return std::move(job);
  }
  return std::nullopt;
}

std::vector<v1::Event> CannedEvents(const std::string& id) {
  if (id != "48007") return {};
  return {
      Parse<v1::Event>(R"(seq: 880 time_ms: 1795208400000 subject: SUBJECT_JOB name: "48007"
        kind: EVENT_KIND_STATE to: "queued" actor: "aizhan@nac")"),
      Parse<v1::Event>(R"(seq: 881 time_ms: 1795208400000 subject: SUBJECT_JOB name: "48007"
        kind: EVENT_KIND_WARNING actor: "kezek"
        reason { code: "OPTION_IGNORED" sentence: "--partition=gpu: taken, without effect." })"),
      Parse<v1::Event>(R"(seq: 899 time_ms: 1795209479000 subject: SUBJECT_JOB name: "48007"
        kind: EVENT_KIND_STATE from: "queued" to: "starting" actor: "kezek")"),
      Parse<v1::Event>(R"(seq: 900 time_ms: 1795209480000 subject: SUBJECT_JOB name: "48007"
        kind: EVENT_KIND_STATE from: "starting" to: "running" actor: "kezek")"),
  };
}

v1::ExplainResponse CannedWhy() {
  v1::ExplainResponse answer = Parse<v1::ExplainResponse>(R"(
    reason { code: "WAITS_FOR_DOMAIN" fields { key: "nodes" value: "4" }
             sentence: "There is room, but not under one leaf: 4 nodes must be free together." }
    tick_ms: 1795246195000 place_in_project: 1 queued_in_project: 3 rank: 1 blocked: 17
    accounts { account: "research" place: 1 siblings: 4 running_milli_gpus: 96000 }
    accounts { account: "research/nac" place: 3 siblings: 41 guarantee_milli_gpus: 128000
               running_milli_gpus: 96000 entitlement_milli_gpus: 130500 inside_guarantee: true }
    estimate { start_ms: 1795252800000
               assumption { code: "UNTIL_LIMIT" sentence: "Job 48007 runs until its limit." } }
    advice { reason { code: "FEWER_NODES" } options: "--nodes 2"
             placement { node_list: "n[03-04]" } }
    advice { reason { code: "NO_WITHIN" } options: "without" options: "--within leaf"
             start_ms: 1795247700000 }
  )");
  *answer.mutable_job() = Parse<v1::Job>(kWaiting);
  return answer;
}

std::vector<v1::Node> CannedNodes() {
  return {
      Parse<v1::Node>(R"(cluster: "demo" name: "n02" gpu_type: "h200" gpus: 8 free_gpus: 7
        cpus: 192 free_cpus: 168 memory_mib: 2064384 free_memory_mib: 1806336 leaf: "leaf1"
        block: "b1" labels: "nvme" labels: "ib400" health: NODE_HEALTH_UP jobs: "48190"
        job_count: 1 ends_by_ms: 1795247280000)"),
      Parse<v1::Node>(R"(cluster: "demo" name: "n05" gpu_type: "h200" gpus: 8 cpus: 192
        memory_mib: 2064384 leaf: "leaf2" block: "b1" health: NODE_HEALTH_UP jobs: "48007"
        job_count: 1 ends_by_ms: 1795252800000)"),
      Parse<v1::Node>(R"(cluster: "demo" name: "n11" gpu_type: "h200" gpus: 8 free_gpus: 8
        cpus: 192 free_cpus: 192 memory_mib: 2064384 free_memory_mib: 2064384 leaf: "leaf3"
        block: "b1" health: NODE_HEALTH_DRAINED health_reason: "fan 3 fails"
        drained_by_kezek: true)"),
      Parse<v1::Node>(R"(cluster: "demo" name: "n12" gpu_type: "h200" gpus: 8 free_gpus: 4
        cpus: 192 free_cpus: 96 memory_mib: 2064384 free_memory_mib: 1032192 leaf: "leaf3"
        block: "b1" health: NODE_HEALTH_UP job_count: 2 dedicated_to: "ministries/health")"),
  };
}

v1::GetUsageResponse CannedUsage() {
  return Parse<v1::GetUsageResponse>(R"(
    half_life_ms: 604800000 as_of_ms: 1795246200000
    rows { account: "universities/kaznu" gpu_type: "h200" usage_milli_gpu_ms: 4320000000000
           charged_milli_gpu_ms: 44446400000000 running_milli_gpus: 17500 usage_ppm: 381000
           weight_ppm: 400000 jobs_running: 12 jobs_queued: 30 target_ppm: 400000
           entitled_ppm: 395000
           entitlement { weight_milli: 2500 guarantee_milli_gpus: 16000 demand_milli_gpus: 40000
                         cap_milli_gpus: 32000 entitlement_milli_gpus: 20500 entitlement_gpus: 20
                         running_milli_gpus: 17500 guaranteed_milli_gpus: 16000
                         borrowed_milli_gpus: 1500 owed_milli_gpus: 3000
                         guarantee_now_milli_gpus: 16000
                         bound_by { code: "WEIGHT_SHARE"
                                    sentence: "Its weight gives it this much." } } }
    rows { account: "universities/kaznu/nlp" gpu_type: "h200" usage_milli_gpu_ms: 3600000000
           charged_milli_gpu_ms: 3600000000 running_milli_gpus: 1000 usage_ppm: 833
           apart_milli_gpus: 8000 weight_ppm: 1000000 jobs_running: 1 }
    rows { account: "universities/kaznu/nlp" user: "dana@kaznu" gpu_type: "h200"
           usage_milli_gpu_ms: 3600000000 charged_milli_gpu_ms: 3600000000
           running_milli_gpus: 1000 usage_ppm: 1000000 jobs_running: 1 }
  )");
}

v1::ListBudgetsResponse CannedBudgets(const v1::ListBudgetsRequest& request) {
  if (!request.account().starts_with("universities/kaznu")) return {};
  return Parse<v1::ListBudgetsResponse>(R"(
    budgets { account: "universities"
              spec { name: "gift" gpu_type: "h200" milli_gpu_hours: 500000
                     start_ms: 1790812800000 end_ms: 1798761600000 }
              granted_milli_gpu_ms: 1800000000000 spent_milli_gpu_ms: 3600000000
              refunded_milli_gpu_ms: 7200000000 left_milli_gpu_ms: 1796400000000
              will_expire_milli_gpu_ms: 1692000000000 }
    budgets { account: "universities/kaznu"
              spec { name: "2026-q4" milli_gpu_hours: 20000000 start_ms: 1790812800000
                     end_ms: 1798761600000 }
              granted_milli_gpu_ms: 72000000000000 spent_milli_gpu_ms: 44446400000000
              held_milli_gpu_ms: 3600000000000 left_milli_gpu_ms: 23953600000000
              runs_out_ms: 1797206400000 warned_percent: 80 jobs_waiting: 12 }
  )");
}

v1::GetEntitlementResponse CannedEntitlement() {
  return Parse<v1::GetEntitlementResponse>(R"(
    tick_ms: 1795246200000 settings_version: 15 capacity_milli_gpus { key: "h200" value: 64000 }
    rows { gpu_type: "h200" weight_milli: 1000 guarantee_milli_gpus: 64000
           demand_milli_gpus: 80000 entitlement_milli_gpus: 64000 entitlement_gpus: 64
           running_milli_gpus: 56500 guaranteed_milli_gpus: 56500 owed_milli_gpus: 7500
           guarantee_now_milli_gpus: 64000 bound_by { code: "GUARANTEE" } }
    rows { account: "universities/kaznu" gpu_type: "h200" weight_milli: 2500
           guarantee_milli_gpus: 16000 demand_milli_gpus: 40000 cap_milli_gpus: 32000
           entitlement_milli_gpus: 32000 entitlement_gpus: 32 running_milli_gpus: 20000
           guaranteed_milli_gpus: 16000 borrowed_milli_gpus: 4000 owed_milli_gpus: 12000
           guarantee_now_milli_gpus: 16000
           bound_by { code: "BORROW_MAX" fields { key: "limit" value: "16" } } }
    rows { account: "universities/kaznu/nlp" gpu_type: "h200" weight_milli: 1000
           guarantee_milli_gpus: 8000 guarantee_now_milli_gpus: 4500 lent_milli_gpus: 2500
           kept_idle_milli_gpus: 2000 bound_by { code: "SCALED" } }
  )");
}

v1::WhoAmIResponse CannedWhoAmI() {
  v1::WhoAmIResponse answer = Parse<v1::WhoAmIResponse>(R"(
    token { id: "k7f2" user: "aizhan@nac" label: "laptop" expires_ms: 1797838200000 }
    projects: "research/nac/alem-llm" projects: "research/nac/fire" cluster: "demo"
  )");
  *answer.mutable_user() = CannedUser();
  return answer;
}

v1::User CannedUser() {
  return Parse<v1::User>(R"(
    name: "aizhan@nac" display_name: "Aizhan" unix_account: "kz-aizhan" unix_uid: 2001
    roles { role: ROLE_RESEARCHER account: "research/nac/alem-llm" }
    roles { role: ROLE_PROJECT_LEAD account: "research/nac/fire" } roles { role: ROLE_AUDITOR }
  )");
}

std::vector<v1::Account> CannedAccounts() {
  return {
      Parse<v1::Account>(R"(path: "universities" id: 2 kind: "sector" title: "Universities"
        settings { shares { key: "h200"
                            value { weight_milli: 40000 guarantee_milli_gpus: 64000 } } }
        settings_version: 12)"),
      Parse<v1::Account>(R"(path: "universities/kaznu" id: 7 kind: "institution" title: "KazNU"
        attributes { key: "ownership" value: "state" } attributes { key: "country" value: "KZ" }
        administrators: "dana@kaznu" settings_version: 12
        settings { shares { key: "h200" value { guarantee_milli_gpus: 32000
                   borrow_max_milli_gpus: 16000 } }
          account_limits { running_milli_gpus: 48000 } user_limits { jobs_queued: 500 }
          job_classes: "normal" job_classes: "debug" default_time_limit_ms: 43200000 })"),
      Parse<v1::Account>(R"(path: "universities/kaznu/nlp" id: 8 kind: "project" members: 5
        settings { shares { key: "h200" value { weight_milli: 1000 target_ppm: 125000
                   lend_max_milli_gpus: 0 } }
          user_limits { job_milli_gpus: 4000 time_limit_ms: 43200000 }
          highest_classification: "internal" slurm_qos: "nlp"
          budgets { name: "2026-q4" gpu_type: "h200" milli_gpu_hours: 20000000
                    start_ms: 1790812800000 end_ms: 1798761600000 carry_over_percent: 10 } }
        settings_version: 12 closed: true)"),
  };
}

std::vector<v1::Token> CannedTokens() {
  return {
      Parse<v1::Token>(R"(id: "k7f2" user: "aizhan@nac" label: "laptop" created_ms: 1795159800000
        expires_ms: 1797838200000 last_used_ms: 1795244400000)"),
      Parse<v1::Token>(R"(id: "c9d1" user: "aizhan@nac" label: "old" created_ms: 1794159800000
        expires_ms: 1796838200000 revoked_ms: 1795000000000)"),
  };
}

v1::Correction CannedCorrection(const v1::DecideCorrectionRequest& request) {
  auto correction = Parse<v1::Correction>(R"(
    request { account: "universities/kaznu" budget: "2026-Q4" gpu_type: "h200"
              amount_milli_gpu_ms: -45000000000 job: "47001" reason: "the file system was away" }
    proposed_by: "dana@kaznu" proposed_ms: 1795159800000
    decided_by: "root@kezek" decided_ms: 1795244400000
  )");
  correction.set_id(request.id());
  correction.set_state(request.approve() ? v1::CORRECTION_STATE_BOOKED
                                         : v1::CORRECTION_STATE_DECLINED);
  if (request.approve()) correction.set_ledger_seq(8412);
  return correction;
}

v1::ListCorrectionsResponse CannedCorrections(bool decided) {
  auto corrections = Parse<v1::ListCorrectionsResponse>(R"(
    corrections { id: 7 state: CORRECTION_STATE_PROPOSED proposed_by: "root@kezek"
      proposed_ms: 1795244400000
      request { gpu_type: "h200" amount_milli_gpu_ms: 10800000000 reason: "a meter was wrong" } }
  )");
  if (!decided) return corrections;
  v1::DecideCorrectionRequest request;
  request.set_id(6);
  *corrections.add_corrections() = CannedCorrection(request);
  return corrections;
}

v1::ListChangesResponse CannedChanges(const v1::ListChangesRequest& request) {
  if (request.account() == "quiet") return {};
  return Parse<v1::ListChangesResponse>(R"(
    changes { version: 15 time_ms: 1795159800000 actor: "dana@kaznu" reason: "order 117"
      changes { account: "research/astronomy" after: "\"project\"" }
      changes { account: "startups" field: "settings.shares[h200].weight_milli"
                before: "20000" after: "25500" }
      changes { account: "universities/kaznu" field: "path" before: "\"universities/kaz\""
                after: "\"universities/kaznu\"" }
      changes { account: "universities/kaznu"
                field: "settings.shares[h200].guarantee_milli_gpus" before: "32000" after: "48000" }
      changes { account: "universities/kaznu" field: "settings.shares[h200].target_ppm"
                after: "400000" }
      changes { account: "universities/kaznu" field: "settings.account_limits.time_limit_ms"
                before: "43200000" }
      changes { account: "universities/kaznu" field: "settings.user_limits.jobs_queued"
                after: "500" }
      changes { account: "universities/kaznu" field: "attributes[country]" after: "\"KZ\"" }
      changes { account: "universities/kaznu/nlp" field: "closed" before: "false"
                after: "true" } }
    changes { time_ms: 1795149800000 actor: "root@kezek" reason: "order 118"
      changes { field: "roles[dana@kaznu]" before: "\"researcher of universities/kaznu/nlp\""
                after: "\"institution-admin of universities/kaznu\"" } }
    changes { version: 14 time_ms: 1795059800000 actor: "root@kezek" reason: "order 116"
      changes { field: "title" after: "\"Alem\"" } }
  )");
}

v1::ApplyAccountsResponse EchoedChanges(const v1::ApplyAccountsRequest& request) {
  v1::ApplyAccountsResponse response;
  for (const v1::AccountChange& change : request.changes()) {
    v1::FieldChange& field = *response.add_changes();
    field.set_account(change.path());
    field.set_field("base " + std::to_string(request.base_version()));
    google::protobuf::TextFormat::Printer printer;
    printer.SetSingleLineMode(true);
    std::string text;
    printer.PrintToString(change, &text);
    field.set_after(text);
  }
  response.set_settings_version(13);
  if (request.what_if()) *response.mutable_what_if() = CannedWhatIf();
  return response;
}

v1::WhatIf CannedWhatIf() {
  return Parse<v1::WhatIf>(R"(
    tick_ms: 1795246200000
    accounts { account: "startups" gpu_type: "h200" running_milli_gpus: 40000
               entitlement_before_milli_gpus: 40000 entitlement_after_milli_gpus: 24000 }
    accounts { account: "startups/agro/vision" gpu_type: "h200" running_milli_gpus: 16000
               entitlement_before_milli_gpus: 16000 waits: "48240" farther: 3
               unguaranteed: "48101" unguaranteed: "48144" unguaranteed_milli_gpu_ms: 4320000000
               preempted: "48144" }
    accounts { account: "universities/kaznu" gpu_type: "h200" running_milli_gpus: 17500
               entitlement_before_milli_gpus: 32000 entitlement_after_milli_gpus: 48000 }
    accounts { account: "universities/kaznu/nlp" gpu_type: "h200" running_milli_gpus: 1000
               entitlement_before_milli_gpus: 1000 entitlement_after_milli_gpus: 17500
               starts: "48230" starts: "48300_7" stopped: "48231" freed: "48232" nearer: 12 }
    next { gpu_type: "h200" before: "48240" before: "48230" after: "48230" after: "48240" }
  )");
}

v1::CreateTokenResponse CannedNewToken(const v1::CreateTokenRequest& request) {
  v1::CreateTokenResponse response;
  response.set_secret("kz_k7f2_notasecret");
  *response.mutable_token() = CannedTokens()[0];
  response.mutable_token()->set_user(request.user());
  if (request.has_limits()) *response.mutable_token()->mutable_limits() = request.limits();
  return response;
}

v1::SyncUsersResponse CannedSync(const v1::SyncUsersRequest& request) {
  v1::SyncUsersResponse response;
  const auto add = [&](const std::string& user, const char* code, const std::string& sentence) {
    v1::SyncChange& change = *response.add_changes();
    change.set_user(user);
    change.mutable_reason()->set_code(code);
    change.mutable_reason()->set_sentence(sentence);
  };
  for (const v1::DirectoryUser& user : request.users()) {
    add(user.name(), "JOINS", "joins");
    for (const std::string& project : user.projects()) {
      add(user.name(), "JOINS_PROJECT", "joins " + project);
    }
  }
  if (request.account() == "quiet") response.clear_changes();
  response.set_plan("p1");
  response.set_applied(request.apply_plan() == "p1");
  return response;
}

}  // namespace kezek::golden
