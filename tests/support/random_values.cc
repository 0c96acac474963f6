#include "tests/support/random_values.h"

#include <array>
#include <iterator>
#include <optional>
#include <utility>

namespace kezek::test {
namespace {

constexpr ReasonCode kLastReason = ReasonCode::kWarning;

}  // namespace

std::int64_t RandomValues::Int(std::int64_t least, std::int64_t most) {
  return std::uniform_int_distribution<std::int64_t>(least, most)(bits_);
}

std::string RandomValues::Text() {
  static const std::array<std::string, 14> kPieces = {"a", "NULL",  "\"", "\\",   ",", "{", "}",
                                                      "'", "қазақ", "\n", "\x01", " ", "🚀", "$1"};
  std::string text;
  for (std::int64_t left = Chance(30) ? 0 : Int(1, 6); left > 0; --left) {
    text += kPieces[static_cast<std::size_t>(Int(0, std::ssize(kPieces) - 1))];
  }
  return text;
}

Reason RandomValues::ReasonValue() {
  Reason reason{.code = Enum(kLastReason), .fields = {}};
  for (std::int64_t left = Int(0, 2); left > 0; --left) reason.fields[Text()] = Text();
  return reason;
}

std::vector<IndexRange> RandomValues::Ranges() {
  std::vector<IndexRange> ranges;
  std::int32_t at = 0;
  for (std::int64_t left = Int(1, 3); left > 0; --left) {
    const std::int32_t last = at + static_cast<std::int32_t>(Int(0, 9));
    ranges.push_back({at, last, static_cast<std::int32_t>(Int(1, 3))});
    at = last + 2;
  }
  return ranges;
}

JobSpec RandomValues::Spec() {
  JobSpec spec;
  spec.name = Text();
  spec.project = AccountId{Int(1, 50)};
  spec.job_class = Text();
  spec.kind = Enum(JobKind::kInteractive);
  spec.shape = {Small(), Small(), Text(), Small(), Big(), Chance(50)};
  spec.ntasks = Small();
  spec.ntasks_per_node = Small();
  spec.cpus_per_task = Small();
  spec.within = Enum(Domain::kBlock);
  spec.prefer = Enum(Domain::kBlock);
  spec.spread = Enum(Spread::kBlock);
  spec.time_limit_ms = Big();
  spec.time_min_ms = Big();
  spec.begin_ms = Big();
  spec.deadline_ms = Big();
  if (Chance(20)) spec.dependencies.push_back({Enum(DependencyKind::kAfter), Ref(), 60'000});
  if (Chance(20)) spec.dependencies.push_back({});
  spec.kill_on_invalid_dependency = Chance(50);
  if (Chance(30)) spec.array = ArraySpec{Ranges(), Small()};
  spec.requeue = Chance(50);
  spec.max_attempts = Small();
  spec.signal = {Text(), Big(), Chance(50)};
  spec.grace_ms = Big();
  for (std::string* text : {&spec.checkpoint_path, &spec.classification, &spec.working_directory,
                            &spec.stdin_path, &spec.stdout_path, &spec.stderr_path, &spec.comment,
                            &spec.container_image, &spec.reservation}) {
    *text = Text();
  }
  for (auto* list : {&spec.arguments, &spec.constraints, &spec.nodes, &spec.exclude_nodes}) {
    for (std::int64_t left = Int(0, 2); left > 0; --left) list->push_back(Text());
  }
  spec.append_output = Chance(50);
  spec.user_priority = Small();
  spec.umask = static_cast<std::int32_t>(Int(0, 0777));
  if (Chance(50)) spec.labels[Text()] = Text();
  return spec;
}

Placement RandomValues::PlacementValue() {
  Placement placement;
  for (std::int64_t i = Int(1, 4); i > 0; --i) {
    NodeGrant grant{"gpu" + std::to_string(10 - i), Small(), {}};
    if (Chance(50)) grant.gpu_indices = {0, 7};
    placement.push_back(std::move(grant));
  }
  return placement;
}

Limits RandomValues::LimitsValue() {
  Limits limits;
  for (auto* limit : {&limits.running_milli, &limits.jobs_running, &limits.jobs_queued,
                      &limits.job_milli, &limits.time_limit_ms}) {
    if (Chance(50)) *limit = Big();
  }
  return limits;
}

AccountSettings RandomValues::Settings() {
  AccountSettings settings;
  if (Chance(50)) settings.shares["h200"] = {Big(), Big(), std::nullopt, Big()};
  if (Chance(50)) settings.shares[Text()] = {0, 0, Big(), std::nullopt};
  settings.account_limits = LimitsValue();
  settings.user_limits = LimitsValue();
  if (Chance(50)) settings.classes = {"normal", Text()};
  settings.highest_classification = Text();
  settings.default_class = Text();
  settings.default_time_limit_ms = Big();
  settings.rule = Enum(ProjectRule::kShortest);
  settings.slurm_account = Text();
  settings.slurm_qos = Text();
  if (Chance(50)) settings.dedicated_nodes = {Text(), Text()};
  return settings;
}

Job RandomValues::JobRow(JobRef ref) {
  Job job;
  job.ref = ref;
  job.user = UserId{Int(1, 9)};
  job.spec = std::make_shared<const JobSpec>(Spec());
  job.state = Enum(JobState::kRunning);
  job.hold = Enum(Hold::kCluster);
  job.hold_reason = ReasonValue();
  if (ref.element == kNoElement && Chance(50)) job.pending = Ranges();
  job.submitted_ms = Big();
  job.queued_since_ms = Big();
  job.not_before_ms = Big();
  job.ended_ms = 0;
  job.attempts = Small();
  job.failed_runs = Small();
  job.launch_failures = Small();
  job.preemptions = Small();
  job.started_ms = Chance(50) ? Big() : 0;
  job.checkpointed_ms = Big();
  if (Chance(50)) job.resume_from = "/shared/" + Text();
  job.reason = ReasonValue();
  return job;
}

Attempt RandomValues::AttemptRow(AttemptRef ref, AttemptState state) {
  Attempt attempt;
  attempt.ref = ref;
  attempt.state = state;
  if (state == AttemptState::kEnded) attempt.outcome = AttemptOutcome::kPreempted;
  attempt.ending = Enum(Ending::kRequeue);
  attempt.placement = PlacementValue();
  attempt.cluster_job_id = Big();
  attempt.released = Chance(50);
  for (TimeMs* time :
       {&attempt.planned_ms, &attempt.released_ms, &attempt.end_ms, &attempt.last_seen_ms,
        &attempt.ending_since_ms, &attempt.limit_ms, &attempt.last_checkpoint_ms}) {
    *time = Big();
  }
  attempt.start_ms = Int(1, 1LL << 50);
  attempt.signalled = Chance(50);
  if (Chance(50)) attempt.preempted_for = Ref();
  attempt.ends_by_ms = Big();
  attempt.warned = Chance(50);
  attempt.exit_code = Small();
  attempt.exit_signal = Small();
  attempt.counted_milli = Big();
  attempt.rate_milli = Big();
  attempt.factor_milli = Big();
  attempt.settings_version = Big();
  attempt.epoch = Big();
  attempt.reason = ReasonValue();
  return attempt;
}

AdminReservation RandomValues::AdminReservationRow(const std::string& name) {
  AdminReservation one{.name = name, .start_ms = Big(), .duration_ms = Int(1, 1'000'000'000)};
  one.repeat_every_ms = Big();
  one.repeat_until_ms = Big();
  for (std::int64_t left = Int(0, 3); left > 0; --left) one.nodes.push_back(Text());
  one.node_count = Small();
  one.gpu_type = Text();
  for (std::int64_t left = Int(0, 3); left > 0; --left) one.accounts.push_back({Int(1, 1'000'000)});
  for (std::int64_t left = Int(0, 3); left > 0; --left) one.users.push_back({Int(1, 1'000'000)});
  one.reason = Text();
  one.actor = Text();
  one.version = Big();
  return one;
}

Reservation RandomValues::ReservationRow(JobRef row) {
  Reservation promise;
  promise.row = row;
  promise.from_ms = Big();
  promise.limit_ms = Big();
  promise.shape = Spec().shape;
  promise.placement = PlacementValue();
  promise.counted_milli = Big();
  promise.inside = Chance(50);
  promise.given_ms = Big();
  for (auto i = Int(0, 3); i > 0; --i) promise.victims.push_back({Ref(), Small()});
  return promise;
}

Event RandomValues::EventRow() {
  Event event;
  event.time_ms = Int(1, 1LL << 40);
  event.subject = Enum(Subject::kCluster);
  event.job = Ref();
  event.attempt = Small();
  event.name = Text();
  event.project = AccountId{Int(0, 9)};
  event.user = UserId{Int(0, 9)};
  event.from = Text();
  event.to = Text();
  event.reason = ReasonValue();
  event.actor = Text();
  return event;
}

LedgerEntry RandomValues::Entry() {
  LedgerEntry entry;
  entry.time_ms = Int(1, 1LL << 40);
  entry.book = Enum(Book::kCharge);
  entry.kind = entry.book == Book::kUsage ? EntryKind::kPiece : EntryKind::kRefund;
  entry.attempt = {Ref(), static_cast<std::int32_t>(Int(1, 5))};
  entry.project = AccountId{Int(1, 9)};
  entry.user = UserId{Int(1, 9)};
  entry.contra = "x" + Text();
  entry.job_class = Text();
  entry.gpu_type = Text();
  entry.date_ms = Int(1, 1LL << 50);
  entry.amount = Big();
  entry.settings_version = Big();
  return entry;
}

Node RandomValues::NodeRow(std::string name) {
  Node node{.name = std::move(name),
            .gpu_type = Text(),
            .gpus = Small(),
            .cpus = Small(),
            .memory_mib = Big(),
            .leaf = Text(),
            .block = Text(),
            .labels = {}};
  if (Chance(50)) node.labels = {Text(), Text()};
  node.health = Enum(NodeHealth::kUnknown);
  node.health_reason = Text();
  node.drained_by_kezek = Chance(50);
  node.set_aside_until_ms = Big();
  node.foreign_gpus = Small();
  node.foreign_cpus = Small();
  node.foreign_memory_mib = Big();
  return node;
}

Token RandomValues::TokenRow(TokenId id, UserId user) {
  Token token{.id = id, .user = user, .label = Text()};
  for (auto& byte : token.hash) byte = static_cast<std::uint8_t>(Int(0, 255));
  token.created_ms = Big();
  token.expires_ms = Big();
  token.revoked_ms = Big();
  token.created_by = user;
  if (Chance(50)) {
    token.limits = {.scopes = {Scope::kRead, Scope::kSubmit},
                    .projects = {AccountId{1 + Int(0, 9)}, AccountId{20 + Int(0, 9)}},
                    .job_milli = 1000 * Int(0, 64)};
  }
  return token;
}

}  // namespace kezek::test
