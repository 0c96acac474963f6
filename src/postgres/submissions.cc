#include "postgres/submissions.h"

#include <algorithm>
#include <array>
#include <map>

#include "kezek/names.h"
#include "postgres/codec.h"
#include "postgres/environments.h"

namespace kezek::postgres {
namespace {

constexpr auto kColumns = std::to_array<Column>({{"user_id", "bigint"},
                                                 {"key", "text"},
                                                 {"request_hash", "bytea"},
                                                 {"project_id", "bigint"},
                                                 {"name", "text"},
                                                 {"job_class", "text"},
                                                 {"spec", "jsonb"},
                                                 {"depends_on", "bigint[]"},
                                                 {"hold", "text"},
                                                 {"hold_reason", "jsonb"},
                                                 {"pending", "jsonb"},
                                                 {"script", "text"},
                                                 {"environment", "bytea"},
                                                 {"environment_key", "text"},
                                                 {"actor", "text"},
                                                 {"warnings", "jsonb"}});

Error NotText(const char* field) {
  return FieldProblem(Code::kInvalidArgument,
                      {.field = field,
                       .reason = "NOT_TEXT",
                       .message = "is not valid UTF-8 or holds a NUL byte; remove it"});
}

std::string WarningsJson(const std::vector<Reason>& warnings) {
  std::string list;
  for (const Reason& warning : warnings) list += (list.empty() ? "" : ",") + Encode(warning);
  return "[" + list + "]";
}

Result<void> AddRow(const Submission& submission, const Cipher* cipher, Bulk& values) {
  const JobSpec& spec = *submission.spec;
  const std::string spec_json = Encode(spec);
  const std::string environment = Encode(submission.environment);
  // What runs must be what was submitted, to the byte.
  for (const auto& [field, text] : {std::pair<const char*, const std::string*>{"spec", &spec_json},
                                    {"environment", &environment},
                                    {"script", &submission.script},
                                    {"idempotency_key", &submission.idempotency_key}}) {
    if (!IsStorable(*text)) return NotText(field);
  }
  ArrayLiteral depends_on;
  for (const Dependency& on : spec.dependencies) depends_on.AddInt(on.on.id.value);
  values.Int(submission.user.value).Text(submission.idempotency_key).Bytes(submission.request_hash);
  values.Int(spec.project.value).Text(spec.name).Text(spec.job_class).Text(spec_json);
  values.Text(depends_on.Text())
      .Text(NameOf(submission.hold))
      .Text(Encode(HoldReason(submission.hold)))
      .Text(Encode(spec.array ? spec.array->indices : IndexRanges{}));
  values.Text(submission.script);
  const Sealed sealed = SealEnvironment(cipher, environment, submission.user);
  values.Bytes({reinterpret_cast<const std::uint8_t*>(sealed.bytes.data()), sealed.bytes.size()});
  values.Text(sealed.key);
  values.Text(submission.user_name).Text(WarningsJson(submission.warnings));
  return {};
}

}  // namespace

Error KeyMismatch(const std::string& key) {
  return FieldProblem(Code::kAlreadyExists,
                      {.field = "idempotency_key",
                       .reason = "IDEMPOTENCY_MISMATCH",
                       .message = "was used with other content; use a new key for a new job",
                       .values = {{"key", key}}});
}

Result<Batch> EncodeBatch(const std::vector<Submission>& submissions, const Cipher* cipher) {
  Batch batch;
  batch.values = Bulk(kColumns.size());
  std::map<SubmissionKey, std::size_t> row_of_key;
  for (const Submission& submission : submissions) {
    const std::string& key = submission.idempotency_key;
    if (key.empty()) {
      return FieldProblem(
          Code::kInvalidArgument,
          {.field = "idempotency_key", .reason = "REQUIRED", .message = "must not be empty"});
    }
    const auto [at, is_new] = row_of_key.try_emplace({submission.user, key}, batch.rows.size());
    batch.row_of.push_back(at->second);
    batch.repeated.push_back(!is_new);
    if (!is_new) {
      if (batch.rows[at->second].request_hash != submission.request_hash) return KeyMismatch(key);
      continue;
    }
    if (auto added = AddRow(submission, cipher, batch.values); !added) return added.error();
    batch.rows.push_back({.user = submission.user,
                          .user_name = submission.user_name,
                          .spec = submission.spec,
                          .hold = submission.hold,
                          .script = {},
                          .environment = {},
                          .idempotency_key = key,
                          .request_hash = submission.request_hash,
                          .warnings = submission.warnings});
  }
  return batch;
}

namespace {

// What is new is in `fresh`, with its numbers. A key that has expired is taken over.
constexpr std::string_view kWriteSql = R"(
into_jobs as (
  insert into jobs (id, element, user_id, project_id, name, job_class, spec, depends_on, state,
                    hold, hold_reason, pending, submitted_ms, queued_since_ms, not_before_ms,
                    ended_ms, attempts, failed_runs, launch_failures, preemptions, reason)
  select id, -1, user_id, project_id, name, job_class, spec, depends_on, 'queued',
         hold, hold_reason, pending, $2::bigint, $2::bigint, 0, 0, 0, 0, 0, 0,
         '{"code":"SUBMITTED"}'
  from fresh),
into_payloads as (
  insert into job_payloads (job_id, script, environment, environment_key)
  select id, script, environment, environment_key from fresh),
into_keys as (
  insert into submission_keys as k (user_id, key, request_hash, job_id, time_ms)
  select user_id, key, request_hash, id, $2::bigint from fresh
  on conflict (user_id, key) do update
    set request_hash = excluded.request_hash, job_id = excluded.job_id, time_ms = excluded.time_ms
    where k.time_ms < $3::bigint),
into_events as (
  insert into events (seq, time_ms, subject, job_id, element, attempt, name, project_id, user_id,
                      from_state, to_state, reason, actor)
  select seq, $2::bigint, 'job', id, -1, 0, '', project_id, user_id, '', 'queued',
         jsonb '{"code":"SUBMITTED"}', actor
  from fresh)";

// A key is looked up by itself (`offset 0` keeps the planner from joining the tables as a whole): a
// plan made when few were stored must serve when there are millions.
constexpr std::string_view kKeySql = R"( lateral (
    select * from submission_keys k
    where k.user_id = input.user_id and k.key = input.key and k.time_ms >= $3::bigint
    offset 0) k)";

std::string InputSql() {
  std::array<Column, kColumns.size() + 1> columns;
  columns[0] = {"batch", "integer"};
  std::ranges::copy(kColumns, columns.begin() + 1);
  return "with input as materialized (select " + SelectSql(columns) + ", ord from " +
         UnnestSql(columns, 6) + "),";
}

}  // namespace

std::string SubmitNewSql() {
  std::string sql = InputSql() + "known as materialized (select from input cross join" +
                    std::string(kKeySql) + ")," + R"(
fresh as (
  select input.*, $4::bigint + ord - 1 as id, $5::bigint + ord - 1 as seq
  from input
  where not exists (select from known)
    and exists (select from leader where epoch = $1::bigint)),)";
  return sql.append(kWriteSql) + ") select epoch, exists (select from known) from leader";
}

std::string SubmitSql() {
  std::string sql = InputSql() + R"(
looked as materialized (
  select input.*, k.job_id, k.time_ms, k.request_hash = input.request_hash as same,
         bool_or(k.request_hash <> input.request_hash) over (partition by batch) as refused
  from input left join)" +
                    std::string(kKeySql) + R"( on true),
fresh as materialized (
  select looked.*, $4::bigint + row_number() over (order by ord) - 1 as id,
         $5::bigint + sum(1 + jsonb_array_length(warnings)) over (order by ord)
           - (1 + jsonb_array_length(warnings)) as seq
  from looked
  where job_id is null and refused is not true
    and exists (select from leader where epoch = $1::bigint)),)";
  return sql.append(kWriteSql) + R"(
  union all
  select seq + w.number, $2::bigint, 'job', id, -1, 0, '', project_id, user_id, '', '',
         w.reason, actor
  from fresh cross join jsonb_array_elements(warnings) with ordinality as w(reason, number))
select 0::bigint, epoch, true, 0::bigint from leader
union all
select ord, job_id, same, time_ms from looked where job_id is not null)";
}

}  // namespace kezek::postgres
