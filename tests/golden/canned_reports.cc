
#include <algorithm>

#include "tests/golden/answers.h"
#include "tests/golden/canned.h"

namespace kezek::golden {
namespace {

v1::ReportBasis BasisOf(const v1::TimeRange& time) {
  auto basis = Parse<v1::ReportBasis>(R"(
    first_ledger_seq: 1 last_ledger_seq: 8412006 settings_version: 15 made_ms: 1795246200000
    first_tick_settings_version: 12 last_tick_settings_version: 15)");
  *basis.mutable_time() = time;
  (*basis.mutable_rates_milli())["h200"] = 1000;
  if (time.until_ms() == 0) basis.mutable_time()->set_until_ms(1795244400000);
  return basis;
}

}  // namespace

v1::ReportUsageResponse CannedReport(const v1::ReportUsageRequest& request) {
  auto answer = Parse<v1::ReportUsageResponse>(R"(
    rows { jobs: 1204 charged_milli_gpu_ms: 44446400000000 refunded_milli_gpu_ms: 7200000000
           used_milli_gpu_ms: 46800000000000 guaranteed_milli_gpu_ms: 40000000000000
           borrowed_milli_gpu_ms: 6800000000000 entitled_milli_gpu_ms: 45000000000000
           unused_milli_gpu_ms: 3600000000000 preempted: 3 lost_milli_gpu_ms: 3600000000 failed: 17
           apart_milli_gpu_ms: 1800000000000 foreign_milli_gpu_ms: 90000000000
           waits { jobs: 1200 mean_ms: 900000 p50_ms: 240000 p95_ms: 11400000 max_ms: 90000000 } }
    rows { jobs: 2 used_milli_gpu_ms: 3600000000 charged_milli_gpu_ms: 1800000000
           entitled_milli_gpu_ms: 3600000000 idle_milli_gpu_ms: 900000000
           idle_known_milli_gpu_ms: 1800000000 expired_milli_gpu_ms: 7200000000 }
    total { jobs: 1206 charged_milli_gpu_ms: 44448200000000 refunded_milli_gpu_ms: 7200000000
            used_milli_gpu_ms: 46803600000000 guaranteed_milli_gpu_ms: 40000000000000
            borrowed_milli_gpu_ms: 6800000000000 entitled_milli_gpu_ms: 45003600000000
            unused_milli_gpu_ms: 3600000000000 preempted: 3 lost_milli_gpu_ms: 3600000000
            failed: 17 apart_milli_gpu_ms: 1800000000000 foreign_milli_gpu_ms: 90000000000
            waits { jobs: 1200 mean_ms: 900000 p50_ms: 240000 p95_ms: 11400000
                    max_ms: 90000000 } }
  )");
  *answer.mutable_basis() = BasisOf(request.time());
  if (request.settings_version() > 0) {
    answer.mutable_basis()->set_settings_version(request.settings_version());
    answer.mutable_basis()->set_last_ledger_seq(request.last_ledger_seq());
    *answer.mutable_basis()->mutable_rates_milli() = request.rates_milli();
  }
  for (int row = 0; row < answer.rows_size(); ++row) {
    for (const int group : request.group_by()) {
      std::string label = v1::ReportGroup_Name(static_cast<v1::ReportGroup>(group)).substr(13);
      std::transform(label.begin(), label.end(), label.begin(),
                     [](char c) { return c == '_' ? ',' : static_cast<char>(c | 0x20); });
      answer.mutable_rows(row)->add_group(label + " " + std::to_string(row + 1));
    }
  }
  if (request.group_by_size() == 0) answer.mutable_rows()->RemoveLast();
  return answer;
}

v1::ReportEquityResponse CannedEquity(const v1::ReportEquityRequest& request) {
  auto answer = Parse<v1::ReportEquityResponse>(R"(
    rows { group: "start-ups" target_ppm: 300000 entitled_ppm: 310000 received_ppm: 306000
           off_ppm: 6000 unmet_ppm: 30000 received_milli_gpu_ms: 30600000000000
           waits { jobs: 90 p50_ms: 360000 p95_ms: 14520000 } }
    rows { group: "universities" target_ppm: 700000 entitled_ppm: 690000 received_ppm: 694000
           off_ppm: -6000 unmet_ppm: 21000 received_milli_gpu_ms: 69400000000000
           apart_milli_gpu_ms: 1800000000000
           waits { jobs: 1200 p50_ms: 240000 p95_ms: 11400000 } }
    jain_ppm: 968123 institutions: 41 policy_error_ppm: 6000
    overrides { key: "hold" value: 2 } overrides { key: "limit" value: 0 }
    overrides { key: "priority" value: 1 } overrides { key: "reservation" value: 0 }
  )");
  *answer.mutable_basis() = BasisOf(request.time());
  if (!request.anonymous()) return answer;
  answer.clear_overrides();
  if (request.group_by() != v1::REPORT_GROUP_INSTITUTION) return answer;
  answer.mutable_rows(0)->set_group("institution 1");
  answer.mutable_rows(1)->set_group("institution 2");
  return answer;
}

v1::ListLedgerResponse CannedLedger(const v1::ListLedgerRequest& request) {
  auto answer = Parse<v1::ListLedgerResponse>(R"(
    entries { seq: 8412006 time_ms: 1795244400000 book: LEDGER_BOOK_BUDGET kind: LEDGER_KIND_REFUND
              account: "universities/kaznu" budget: "2026-q4" contra: "spent" pot: "left"
              job: "48190" attempt: 1 user: "aizhan@kaznu" job_class: "normal" gpu_type: "h200"
              date_ms: 1795244400000 amount_milli_gpu_ms: 7200000000 rate_milli: 1000
              factor_milli: 1000 settings_version: 15 reason { code: "NODE_FAILED" }
              actor: "kezek" }
    entries { seq: 8412005 time_ms: 1795244400000 book: LEDGER_BOOK_CHARGE
              kind: LEDGER_KIND_REFUND account: "universities/kaznu/nlp" contra: "machine"
              job: "48190" attempt: 1 user: "aizhan@kaznu" job_class: "normal" gpu_type: "h200"
              date_ms: 1795244400000 amount_milli_gpu_ms: -7200000000 rate_milli: 1000
              factor_milli: 1000 settings_version: 15 actor: "kezek" }
    entries { seq: 8412004 time_ms: 1795240800000 book: LEDGER_BOOK_CHARGE
              kind: LEDGER_KIND_CORRECTION contra: "operator" gpu_type: "h200"
              date_ms: 1795240800000 amount_milli_gpu_ms: 1800000000 settings_version: 15
              actor: "root@kezek" }
    entries { seq: 8412003 time_ms: 1795240000000 book: LEDGER_BOOK_CHARGE
              kind: LEDGER_KIND_FOREIGN account: "outside" contra: "machine" gpu_type: "h200"
              date_ms: 1795232800000 amount_milli_gpu_ms: 7200000000 rate_milli: 1000
              factor_milli: 1000 settings_version: 15 actor: "kezek" slurm_job_id: 7741
              slurm_user: "kz-serik" }
    entries { seq: 8412002 time_ms: 1795240000000 book: LEDGER_BOOK_USAGE
              kind: LEDGER_KIND_FOREIGN account: "outside" contra: "machine" gpu_type: "h200"
              date_ms: 1795232800000 amount_milli_gpu_ms: 7200000000 rate_milli: 1000
              factor_milli: 1000 settings_version: 15 actor: "kezek" }
  )");
  if (request.page().size() < answer.entries_size()) {
    answer.mutable_entries()->DeleteSubrange(request.page().size(),
                                             answer.entries_size() - request.page().size());
    answer.mutable_page()->set_next_token("8412006");
  }
  return answer;
}

v1::ListEventsResponse CannedEvents(const v1::ListEventsRequest& request) {
  auto answer = Parse<v1::ListEventsResponse>(R"(
    events { seq: 90412 time_ms: 1795244400000 subject: SUBJECT_NODE kind: EVENT_KIND_OTHER
             name: "n11" from: "up" to: "draining" actor: "root@kezek"
             reason { code: "UPDATED" sentence: "Changed: service to draining: fan 3 fails." } }
    events { seq: 90407 time_ms: 1795240800000 subject: SUBJECT_JOB kind: EVENT_KIND_STATE
             name: "48190" attempt: 1 from: "running" to: "queued" actor: "kezek"
             reason { code: "REQUEUED_BY_ADMIN"
                      sentence: "Put back into the queue by an administrator: fan 3 fails." } }
    events { seq: 90398 time_ms: 1795237200000 subject: SUBJECT_ACCOUNT kind: EVENT_KIND_OTHER
             name: "universities/kaznu" actor: "root@kezek"
             reason { code: "UPDATED" sentence: "Changed: settings: Q4." } }
  )");
  const auto& subjects = request.subjects();
  auto& events = *answer.mutable_events();
  for (int i = events.size() - 1; i >= 0; --i) {
    const bool asked = subjects.empty() || std::find(subjects.begin(), subjects.end(),
                                                     events[i].subject()) != subjects.end();
    if (!asked) events.DeleteSubrange(i, 1);
  }
  if (request.page().size() < events.size()) {
    events.DeleteSubrange(request.page().size(), events.size() - request.page().size());
    answer.mutable_page()->set_next_token("90412");
  }
  return answer;
}

v1::ExplainShareResponse CannedShare(const v1::ExplainShareRequest& request) {
  auto answer = Parse<v1::ExplainShareResponse>(R"(
    account { group: "universities/kaznu" jobs: 1204 charged_milli_gpu_ms: 44446400000000
              refunded_milli_gpu_ms: 7200000000 guaranteed_milli_gpu_ms: 40000000000000
              borrowed_milli_gpu_ms: 3200000000000 entitled_milli_gpu_ms: 45000000000000
              failed: 17 apart_milli_gpu_ms: 1800000000000
              waits { jobs: 1200 p50_ms: 240000 p95_ms: 11400000 } }
    siblings { group: "another 1" guaranteed_milli_gpu_ms: 20000000000000
               entitled_milli_gpu_ms: 20000000000000 waits { jobs: 7 p50_ms: 60000 p95_ms: 60000 } }
    due_milli_gpu_ms: 50000000000000 held_milli_gpu_ms: 43200000000000
    causes { reason { code: "NO_DEMAND" sentence: "Nobody asked for it." }
             milli_gpu_ms: -6000000000000 }
    causes { reason { code: "LEFT_BY_OTHERS"
                      sentence: "Others did not ask for theirs, or were stopped." }
             milli_gpu_ms: 1000000000000 }
    causes { reason { code: "TAKEN_BY_OTHERS"
                      sentence: "Held by others, scavengers and what was ending." }
             milli_gpu_ms: -1800000000000 }
    settings_versions: 12
  )");
  *answer.mutable_basis() = BasisOf(request.time());
  return answer;
}

}  // namespace kezek::golden
