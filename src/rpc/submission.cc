#include "rpc/submission.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "kezek/index_ranges.h"
#include "kezek/intake.h"
#include "rpc/field_checks.h"
#include "rpc/job_lookup.h"
#include "rpc/spec_convert.h"
#include "rpc/token_limits.h"
#include "rpc/tokens.h"

namespace kezek::rpc {
namespace {

bool HasRole(const User& user, Role role) {
  return std::any_of(user.roles.begin(), user.roles.end(),
                     [&](const RoleGrant& grant) { return grant.role == role; });
}

// Projects the user is a researcher or lead of.
std::set<AccountId> ProjectsOf(const User& user) {
  std::set<AccountId> projects;
  for (const auto& grant : user.roles) {
    if (grant.role == Role::kResearcher || grant.role == Role::kProjectLead) {
      projects.insert(grant.account);
    }
  }
  return projects;
}

bool Knows(const Directory& directory, const User& user, AccountId account) {
  return std::any_of(user.roles.begin(), user.roles.end(), [&](const RoleGrant& grant) {
    return grant.role != Role::kMetricsReader && IsWithin(directory, account, grant.account);
  });
}

Error NoProject(const std::string& path) {
  return NotFound("PROJECT_NOT_FOUND", "spec.project",
                  "there is no project '" + path + "' that you may see");
}

// For the owner: the caller, or whom an admin names.
Result<const User*> FindOwner(const Caller& caller, const std::string& name) {
  const Directory& directory = caller.directory();
  if (name.empty() || name == caller.name) return &directory.users.at(caller.user);
  if (!caller.everywhere) {
    return Denied("ROLE_MISSING", "only cluster admins submit on behalf of others");
  }
  const auto found = directory.user_by_name.find(name);
  if (found == directory.user_by_name.end()) {
    return NotFound("USER_NOT_FOUND", "user", "there is no user '" + name + "'");
  }
  return &directory.users.at(found->second);
}

// One submission on its way.
struct Way {
  Parts parts;
  std::shared_ptr<const Caller> caller;
  std::shared_ptr<JobSpec> spec;
  Submission submission;
  bool dry_run = false;  // nothing is taken
  std::function<void(Result<Taken>)> done;
};

Result<void> CheckEnvelope(const Settings& settings, const v1::SubmitRequest& request) {
  const auto cluster = CheckCluster(settings, request.cluster());
  if (!cluster) return cluster.error();
  FieldChecks checks;
  checks.Require(request.dry_run() || !request.idempotency_key().empty(), "idempotency_key",
                 "must not be empty: make a new one for each new job, and repeat it on a retry");
  checks.Line("idempotency_key", request.idempotency_key(), 128);
  checks.Line("user", request.user(), 255);
  checks.Require(request.has_spec(), "spec", "is missing");
  return checks.result();
}

// Whose it is, and its key: enough to find what the key has made before.
Result<std::shared_ptr<Way>> Begin(const Parts& parts, const Settings& settings,
                                   const std::shared_ptr<const Caller>& caller,
                                   const v1::SubmitRequest& request) {
  const auto envelope = CheckEnvelope(settings, request);
  if (!envelope) return envelope.error();
  const auto owner = FindOwner(*caller, request.user());
  if (!owner) return owner.error();
  auto way = std::make_shared<Way>();
  way->parts = parts;
  way->caller = caller;
  way->submission.user = (*owner)->id;
  way->submission.user_name = (*owner)->name;
  way->submission.idempotency_key = request.idempotency_key();
  way->submission.request_hash = HashRequest(request);
  way->dry_run = request.dry_run();
  return way;
}

// The rest, as it may be asked for today.
Result<void> Convert(const Settings& settings, const v1::SubmitRequest& request, Way* way,
                     std::int64_t* memory_per_cpu_mib) {
  const Caller& caller = *way->caller;
  const User& owner = caller.directory().users.at(way->submission.user);
  auto read =
      ReadSpec(request.spec(), *caller.view, {settings.script_bytes, settings.environment_bytes});
  if (!read) return read.error();
  const auto project = FindProject(caller.directory(), owner, request.spec().project());
  if (!project) return project.error();
  const auto in_token = CheckProject(caller, *project);
  if (!in_token) return in_token.error();
  if (owner.unix_account.empty()) {
    return FieldProblem(Code::kFailedPrecondition,
                        {"user",
                         "NO_UNIX_ACCOUNT",
                         "user '" + owner.name +
                             "' has no Unix account on the cluster; a cluster admin can set one",
                         {{"user", owner.name}}});
  }
  *memory_per_cpu_mib = read->memory_per_cpu_mib;
  way->spec = std::make_shared<JobSpec>(std::move(read->spec));
  way->spec->project = *project;
  const auto& reservations = caller.directory().reservations;
  const auto reserved = reservations.find(way->spec->reservation);
  if (reserved != reservations.end() &&
      !MayUse(reserved->second, caller.directory().accounts, *project, owner.id)) {
    return FieldProblem(Code::kFailedPrecondition,
                        {"spec.reservation",
                         "RESERVATION_NOT_ALLOWED",
                         "reservation " + reserved->first + " is not for this project or user",
                         {{"reservation", reserved->first}}});
  }
  way->submission.hold = read->hold ? Hold::kUser : Hold::kNone;
  way->submission.script = request.spec().script();
  way->submission.environment = std::move(read->environment);
  way->submission.warnings = std::move(read->warnings);
  return {};
}

// The desk knows a spec, the client a request that holds one.
Error InRequest(const Error& error) {
  if (error.details.size() != 1 || error.details.front().field.empty()) return error;
  FieldError detail = error.details.front();
  detail.field = "spec." + detail.field;
  return FieldProblem(error.code, std::move(detail));
}

Result<void> Admit(Way* way, std::int64_t memory_per_cpu_mib) {
  auto admitted = way->parts.desk->Admit(*way->spec);
  if (!admitted) return InRequest(admitted.error());
  if (memory_per_cpu_mib > 0) {
    way->spec->shape.memory_mib_per_node = memory_per_cpu_mib * admitted->shape.cpus_per_node;
    admitted = way->parts.desk->Admit(*way->spec);
    if (!admitted) return InRequest(admitted.error());
  }
  *way->spec = std::move(*admitted);
  return CheckJobSize(*way->caller, way->parts.desk->Counted(*way->spec));
}

Taken FreshlyTaken(const Way& way, UserId owner, const Submitted& submitted, Hold hold,
                   std::vector<Reason> warnings) {
  Taken taken;
  const Submission submission{.user = owner, .spec = way.spec, .hold = hold};
  taken.record.job = JobOf(submission, submitted.id, submitted.submitted_ms);
  if (way.spec->array) {
    taken.record.elements[JobState::kQueued] = CountIndices(way.spec->array->indices);
  }
  taken.warnings = std::move(warnings);
  return taken;
}

void AnswerKnown(const std::shared_ptr<Way>& way, JobId id) {
  way->parts.read->Read([way, id](Reader& reader) {
    auto record = reader.GetJob({id, kNoElement});
    if (!record) return way->done(record.error());
    way->done(Taken{std::move(*record), true, {}});
  });
}

// The refusal, unless the key has made a job before.
void RefuseUnlessKnown(const std::shared_ptr<Way>& way, const Error& refusal) {
  if (way->dry_run) return way->done(refusal);
  way->parts.read->Read([way, refusal](Reader& reader) {
    const auto known = reader.FindKey(way->submission.user, way->submission.idempotency_key);
    if (!known) return way->done(known.error());
    if (!known->has_value()) return way->done(refusal);
    if ((*known)->request_hash != way->submission.request_hash) {
      return way->done(FieldProblem(Code::kAlreadyExists,
                                    {"idempotency_key",
                                     "IDEMPOTENCY_MISMATCH",
                                     "was used with another request: make a new key for a new job",
                                     {}}));
    }
    auto record = reader.GetJob({(*known)->id, kNoElement});
    if (!record) return way->done(record.error());
    way->done(Taken{std::move(*record), true, {}});
  });
}

// Into the queue, if it has room. What is not stored as a new job gives its places back.
void Commit(const std::shared_ptr<Way>& way) {
  const UserId owner = way->submission.user;
  if (way->dry_run) {
    const Submitted nothing{.id = {}, .submitted_ms = way->parts.clock->Now()};
    return way->done(
        FreshlyTaken(*way, owner, nothing, way->submission.hold, way->submission.warnings));
  }
  const auto room = way->parts.desk->TakePlaces(owner, *way->spec);
  if (!room) return RefuseUnlessKnown(way, InRequest(room.error()));
  way->submission.spec = way->spec;
  const Hold hold = way->submission.hold;
  std::vector<Reason> warnings = way->submission.warnings;
  std::vector<Submission> one;
  one.push_back(std::move(way->submission));
  way->parts.submit->Submit(std::move(one), [way, owner, hold, warnings = std::move(warnings)](
                                                const Result<std::vector<Submitted>>& result) {
    KEZEK_CHECK(!result || result->size() == 1, "one submission, one answer");
    if (!result || result->front().existed) {
      way->parts.desk->GiveBackPlaces(owner, *way->spec);
      return result ? AnswerKnown(way, result->front().id) : way->done(result.error());
    }
    way->done(FreshlyTaken(*way, owner, result->front(), hold, warnings));
  });
}

std::optional<Error> DependencyProblem(const Way& way, Reader& reader, std::size_t index) {
  const Dependency& dependency = way.spec->dependencies[index];
  const std::string field = "spec.dependencies[" + std::to_string(index) + "].job";
  const std::string name = ToText(dependency.on);
  const auto record = LoadJob(reader, dependency.on);
  if (!record && record.error().code != Code::kNotFound) return record.error();
  if (!record || !way.caller->Reaches(record->job.user, record->job.spec->project)) {
    return FieldProblem(Code::kNotFound, {field,
                                          "DEPENDENCY_NOT_FOUND",
                                          "there is no job " + name + " that you may see",
                                          {{"job", name}}});
  }
  const bool one = !record->job.spec->array || dependency.on.element != kNoElement;
  const bool never =
      one && way.spec->kill_on_invalid_dependency && IsFinal(record->job.state) &&
      ((dependency.kind == DependencyKind::kAfterOk && record->job.state != JobState::kSucceeded) ||
       (dependency.kind == DependencyKind::kAfterNotOk &&
        record->job.state == JobState::kSucceeded));
  if (!never) return std::nullopt;
  return FieldProblem(Code::kFailedPrecondition,
                      {field,
                       "DEPENDENCY_NEVER_MET",
                       "job " + name + " has ended in a way that can never meet this",
                       {{"on", name}}});
}

}  // namespace

Sha256 HashRequest(const v1::SubmitRequest& request) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    request.spec().SerializeToCodedStream(&coded);
  }
  bytes += '\0';
  bytes += request.user();
  return HashBytes(bytes);
}

Result<AccountId> FindProject(const Directory& directory, const User& user,
                              const std::string& path) {
  const std::set<AccountId> mine = ProjectsOf(user);
  if (path.empty()) {
    if (mine.size() == 1) return *mine.begin();
    return Invalid("spec.project", mine.empty()
                                       ? "you are a member of no project: ask your admin"
                                       : "you are a member of several projects: say which");
  }
  const bool everywhere = HasRole(user, Role::kClusterAdmin);
  const auto may_know = [&](AccountId id) {
    return everywhere || mine.contains(id) || Knows(directory, user, id);
  };
  AccountId found;
  const auto exact = directory.account_by_path.find(path);
  if (exact != directory.account_by_path.end() && may_know(exact->second)) {
    found = exact->second;
  } else {
    std::vector<AccountId> matches;
    for (const auto& [full, id] : directory.account_by_path) {
      if (full.ends_with("/" + path) && may_know(id)) matches.push_back(id);
    }
    if (matches.size() > 1) {
      return Invalid("spec.project", "'" + path + "' can mean " + PathOf(directory, matches[0]) +
                                         " or " + PathOf(directory, matches[1]) +
                                         ": give the full path");
    }
    if (matches.empty()) return NoProject(path);
    found = matches.front();
  }
  const Account& account = directory.accounts.at(found);
  if (account.kind != "project") {
    return Invalid("spec.project",
                   "'" + path + "' is a " + account.kind + ", and jobs belong to projects");
  }
  if (everywhere || mine.contains(found)) return found;
  return FieldProblem(Code::kPermissionDenied,
                      {"spec.project",
                       "NOT_A_MEMBER",
                       "'" + user.name + "' is not a member of project '" + path + "'",
                       {{"user", user.name}, {"account", path}}});
}

void SubmitOne(const Parts& parts, const Settings& settings,
               const std::shared_ptr<const Caller>& caller, const v1::SubmitRequest& request,
               std::function<void(Result<Taken>)> done) {
  auto begun = Begin(parts, settings, caller, request);
  if (!begun) return done(begun.error());
  const std::shared_ptr<Way> way = std::move(*begun);
  way->done = std::move(done);
  std::int64_t memory_per_cpu_mib = 0;
  const auto converted = Convert(settings, request, way.get(), &memory_per_cpu_mib);
  if (!converted) return RefuseUnlessKnown(way, converted.error());
  const auto admitted = Admit(way.get(), memory_per_cpu_mib);
  if (!admitted) return RefuseUnlessKnown(way, admitted.error());
  if (way->spec->dependencies.empty()) return Commit(way);
  way->parts.read->Read([way](Reader& reader) {
    for (std::size_t i = 0; i < way->spec->dependencies.size(); ++i) {
      const auto problem = DependencyProblem(*way, reader, i);
      if (problem) return RefuseUnlessKnown(way, *problem);
    }
    Commit(way);
  });
}

}  // namespace kezek::rpc
