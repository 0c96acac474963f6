#include "cmd/kezek/way_out.h"

#include <string_view>

namespace kezek::cli {
namespace {

struct Way {
  std::string_view reason;
  std::string_view out;
};

constexpr Way kWays[] = {
    {"ACCOUNT_NOT_FOUND", "Those you may see: kezek admin account list"},
    {"PROJECT_NOT_FOUND", "Your projects: kezek whoami"},
    {"NOT_A_MEMBER", "Your projects: kezek whoami. A lead or an administrator can add you"},
    {"PROJECT_CLOSED", "Your other projects: kezek whoami"},
    {"JOB_NOT_FOUND", "Those you may see: kezek queue --all --ended"},
    {"DEPENDENCY_NOT_FOUND", "Those you may see: kezek queue --all --ended"},
    {"DEPENDENCY_NEVER_MET", "Take the dependency out, or run that job again"},
    {"USER_NOT_FOUND", "Those you may see: kezek admin user list"},
    {"NODE_NOT_FOUND", "All of them: kezek nodes"},
    {"TOKEN_NOT_FOUND", "Yours: kezek token list --ended"},
    {"CLUSTER_NOT_FOUND", "Another cluster has another endpoint: --context or --endpoint"},
    {"CLASS_NOT_ALLOWED", "Leave --class out to take the project's own"},
    {"TIME_LIMIT_TOO_LONG", "Ask for less with --time, or for another --class"},
    {"NEVER_FITS_LIMIT", "What it may use: kezek quota --project PROJECT"},
    {"SECOND_PERSON_NEEDED", "Another cluster admin: kezek admin correction approve ID"},
    {"BUDGET_NOT_FOUND", "Those there are: kezek report budgets ACCOUNT --all-periods"},
    {"CORRECTION_NOT_FOUND", "All of them: kezek admin correction list --all"},
    {"CORRECTION_DECIDED", "What became of it: kezek admin correction list --all"},
    {"BUDGET_BELOW_SPENT", "What it has by now: kezek report budgets ACCOUNT"},
    {"BUDGET_CARRIED_INTO", "What it has by now: kezek report budgets ACCOUNT"},
    {"NEVER_FITS_BUDGET", "Ask for less with --time, or for fewer GPUs; budgets: kezek usage"},
    {"LIMIT_USER_JOBS", "Wait until some have started: kezek queue --state queued"},
    {"LIMIT_ACCOUNT_JOBS", "Wait until some of the project's have started"},
    {"DEADLINE_UNREACHABLE", "Ask for less with --time, or for a later --deadline"},
    {"NOT_OWNER", "Ask its owner, a lead of its project or an administrator"},
    {"HELD_BY_ADMIN", "kezek show tells who holds it, and why"},
    {"TOKEN_TOO_NARROW", "kezek whoami shows what the token is for"},
    {"TOKEN_WIDER", "Ask for no more than your own token may: kezek whoami"},
    {"SIGN_IN_OFF", "With a token: kezek login"},
    {"LAST_ADMIN", "Make another user a cluster admin first"},
    {"PLAN_CHANGED", "Look at the plan again, then apply it"},
    {"TOO_MANY_LEAVERS", "Is the list whole? Else an admin lets them go one by one"},
    {"TOO_MANY_STREAMS", "End some of your kezek logs -f and --watch"},
    {"JOB_FINAL", "To run it again: kezek show --script JOB > again.sh && kezek submit again.sh"},
    {"JOB_STARTED", "Cancel it and submit it anew, or leave it as it is"},
    {"NOT_RUNNING", "kezek show tells what state it is in"},
    {"ATTEMPT_ENDED", "Another attempt runs by now: kezek show lists them"},
    {"ELEMENT_NEEDED", "Name one element: 48300_7"},
    {"LOG_NOT_YET", "To wait for it: kezek logs --follow"},
    {"LOG_REMOVED", "Output is kept for a time only: kezek show has what else is known"},
    {"ATTEMPT_NOT_FOUND", "kezek show lists the attempts"},
    {"VERSION_CHANGED", "Who changed what: kezek admin history"},
    {"RESERVATION_NOT_FOUND", "All of them: kezek admin reservation list"},
    {"NO_SUCH_RESERVATION", "All of them: kezek admin reservation list"},
    {"RESERVATION_NOT_ALLOWED", "For whom it is: kezek admin reservation show NAME"},
    {"RESERVATION_AHEAD", "Ask for less with --time; a cluster admin may give more: --allow-delay"},
    {"RESERVATION_TOO_SHORT", "Ask for less with --time"},
    {"NODES_RESERVED", "All of them: kezek admin reservation list; --delay-jobs moves jobs'"},
    {"RUNNING_BEYOND", "--allow-running lets what runs there run on"},
    {"TOO_FEW_NODES", "Ask for fewer with --node-count, or name them with --nodes"},
    {"VERSION_NOT_FOUND", "All of them: kezek admin history"},
    {"UNIX_ACCOUNT_UNKNOWN", "Create it on the cluster's hosts, or name another one"},
    {"UNIX_ACCOUNT_SYSTEM", "Name an account of a person"},
    {"UNIX_ACCOUNT_TAKEN", "Each user has a Unix account of their own"},
    {"IDEMPOTENCY_MISMATCH", "Submit it once more"},
    {"READ_TOO_LONG", "Ask for a shorter time: --since, --until; or for one account"},
    {"RATE_LIMITED", "Wait a moment, then repeat it, with several jobs in one command"},
    {"NOT_YET", "This kezekd cannot do it yet: leave it out"},
    {"BOOKS_AWAY", "Do slurmrestd and slurmdbd run? kezek admin doctor looks at both"},
    {"NO_BOOKS", "kezek admin doctor looks at what slurmrestd serves"},
    {"TOO_MANY", "Do it in several commands"},
    {"PAGE_TOKEN_INVALID", "Start again"},
};

std::string_view ByCode(const Error& error) {
  switch (error.code) {
    case Code::kUnauthenticated:
      return "Sign in with: kezek login, or set KEZEK_TOKEN";
    case Code::kUnavailable:
      return error.details.empty() ? "Is kezekd running? The endpoint is set by --endpoint, "
                                     "KEZEK_ENDPOINT or kezek login"
                                   : "";
    case Code::kDeadlineExceeded:
      return !error.details.empty() ? "" : "It may be busy. Try again in a minute";
    case Code::kUnimplemented:
      return error.details.empty() ? "That kezekd may be older than this kezek: kezek --version"
                                   : "";
    case Code::kResourceExhausted:
      // gRPC's own words, before any of ours are read.
      return error.details.empty() && error.message.find("larger than max") != std::string::npos
                 ? "The server takes no more in one request (limits.request_kib): send less, such "
                   "as with --export=PATH,HOME"
                 : "";
    case Code::kOk:
    case Code::kCancelled:
    case Code::kUnknown:
    case Code::kInvalidArgument:
    case Code::kNotFound:
    case Code::kAlreadyExists:
    case Code::kPermissionDenied:
    case Code::kFailedPrecondition:
    case Code::kAborted:
    case Code::kOutOfRange:
    case Code::kInternal:
    case Code::kDataLoss:
      return "";
  }
  return "";
}

}  // namespace

Error WithFlags(Error error, const std::vector<std::pair<std::string, std::string>>& flags) {
  for (FieldError& detail : error.details) {
    for (const auto& [field, flag] : flags) {
      if (!detail.field.starts_with(field)) continue;
      if (error.message == detail.field + ": " + detail.message) {
        error.message = (flag.empty() ? "" : flag + ": ") + detail.message;
      }
      detail.field = flag;
      break;
    }
  }
  return error;
}

std::string WayOut(const Error& error) {
  std::string_view out = ByCode(error);
  for (const FieldError& detail : error.details) {
    for (const Way& way : kWays) {
      if (way.reason == detail.reason) out = way.out;
    }
  }
  // What the message says already is not said again.
  const std::string_view command = out.substr(0, out.find(','));
  if (out.empty() || error.message.find("kezek login") != std::string::npos) return "";
  return error.message.find(command) == std::string::npos ? std::string(out) : "";
}

}  // namespace kezek::cli
