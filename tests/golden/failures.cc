#include "tests/golden/failures.h"

#include <kezek/v1/status.pb.h>

namespace kezek::golden {
namespace {

struct Failure {
  const char* reason;
  grpc::StatusCode code;
  const char* field;
  const char* message;
};

constexpr Failure kFailures[] = {
    {"PROJECT_NOT_FOUND", grpc::StatusCode::NOT_FOUND, "spec.project",
     "there is no project 'alem-lm' that you may see"},
    {"NOT_A_MEMBER", grpc::StatusCode::PERMISSION_DENIED, "spec.project",
     "'aizhan@nac' is not a member of project 'universities/kaznu/nlp'"},
    {"PROJECT_CLOSED", grpc::StatusCode::FAILED_PRECONDITION, "spec.project",
     "project research/nac/old is closed"},
    {"NO_SUCH_CLASS", grpc::StatusCode::INVALID_ARGUMENT, "spec.job_class",
     "there is no class express; classes here: realtime, normal, debug, scavenger"},
    {"CLASS_NOT_ALLOWED", grpc::StatusCode::FAILED_PRECONDITION, "spec.job_class",
     "project alem-llm may not use class realtime"},
    {"TIME_LIMIT_TOO_LONG", grpc::StatusCode::FAILED_PRECONDITION, "spec.time_limit_ms",
     "72 h is longer than class debug allows: 1 h"},
    {"NEVER_FITS_MACHINE", grpc::StatusCode::FAILED_PRECONDITION, "spec.shape.gpus_per_node",
     "16 GPUs on a node: the largest node has 8"},
    {"SHAPE_UNEVEN", grpc::StatusCode::INVALID_ARGUMENT, "spec.shape.gpus",
     "12 GPUs cannot be spread evenly over 5 nodes; the nearest that can: 10, 15"},
    {"NO_UNIX_ACCOUNT", grpc::StatusCode::FAILED_PRECONDITION, "",
     "user 'aizhan@nac' has no Unix account on the cluster; a cluster admin can set one"},
    {"DEPENDENCY_NOT_FOUND", grpc::StatusCode::NOT_FOUND, "spec.dependencies[0]",
     "there is no job 5 that you may see"},
    {"DEPENDENCY_NEVER_MET", grpc::StatusCode::FAILED_PRECONDITION, "spec.dependencies[0]",
     "job 47002 has ended in a way that can never meet this"},
    {"DEADLINE_UNREACHABLE", grpc::StatusCode::FAILED_PRECONDITION, "spec.deadline_ms",
     "12 h from now is after the deadline"},
    {"LIMIT_USER_JOBS", grpc::StatusCode::RESOURCE_EXHAUSTED, "",
     "you have 500 jobs queued, and 500 is your limit in alem-llm"},
    {"LIMIT_ACCOUNT_JOBS", grpc::StatusCode::RESOURCE_EXHAUSTED, "",
     "research/nac has 10000 jobs queued, and 10000 is its limit"},
    {"CLASSIFICATION_NOT_ALLOWED", grpc::StatusCode::FAILED_PRECONDITION,
     "spec.data_classification", "secret is above what this cluster may hold: internal"},
    {"TOKEN_TOO_NARROW", grpc::StatusCode::PERMISSION_DENIED, "", "this token is not for 'submit'"},
    {"TOO_MANY_STREAMS", grpc::StatusCode::RESOURCE_EXHAUSTED, "", "256 streams are open"},
    {"IDEMPOTENCY_MISMATCH", grpc::StatusCode::ALREADY_EXISTS, "idempotency_key",
     "this key was used for another submission"},
    {"ROLE_MISSING", grpc::StatusCode::PERMISSION_DENIED, "",
     "none of your roles may do this: see 'kezek whoami', or ask your admin"},
    {"USER_NOT_FOUND", grpc::StatusCode::NOT_FOUND, "user", "there is no user 'nobody@kz'"},
    {"CLUSTER_NOT_FOUND", grpc::StatusCode::NOT_FOUND, "cluster",
     "this is cluster demo, not other"},
    {"RATE_LIMITED", grpc::StatusCode::RESOURCE_EXHAUSTED, "", "more than 50 calls a second"},
    {"TOKEN_EXPIRED", grpc::StatusCode::UNAUTHENTICATED, "",
     "the token has expired or was revoked: ask for a new one, then 'kezek login'"},
    {"NOT_YET", grpc::StatusCode::UNIMPLEMENTED, "dry_run",
     "saying what would happen to a job is not there yet"},
    {"TOKEN_WIDER", grpc::StatusCode::PERMISSION_DENIED, "", "a token makes none that may more"},
    {"SIGN_IN_OFF", grpc::StatusCode::FAILED_PRECONDITION, "", "no munge credentials are taken"},
    {"LAST_ADMIN", grpc::StatusCode::FAILED_PRECONDITION, "", "nobody would be left"},
    {"PLAN_CHANGED", grpc::StatusCode::ABORTED, "", "somebody changed users meanwhile"},
    {"TOO_MANY_LEAVERS", grpc::StatusCode::FAILED_PRECONDITION, "", "12 of 30 would leave"},
};

}  // namespace

grpc::Status Refused(grpc::StatusCode code, const std::string& field, const std::string& reason,
                     const std::string& message) {
  v1::Status status;
  status.set_code(code);
  status.set_message(field.empty() ? message : field + ": " + message);
  v1::ErrorDetail detail;
  detail.set_field(field);
  detail.set_reason(reason);
  detail.set_message(message);
  status.add_details()->PackFrom(detail);
  return grpc::Status(code, status.message(), status.SerializeAsString());
}

grpc::Status FailureNamed(const std::string& reason) {
  for (const Failure& failure : kFailures) {
    if (reason == failure.reason) {
      return Refused(failure.code, failure.field, failure.reason, failure.message);
    }
  }
  return {grpc::StatusCode::INTERNAL, "something that nobody has a word for"};
}

}  // namespace kezek::golden
