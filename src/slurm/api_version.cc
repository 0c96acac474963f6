#include "slurm/api_version.h"

namespace kezek::slurm {

const std::vector<std::string>& KnownApis() {
  static const std::vector<std::string> versions = {"v0.0.38", "v0.0.42", "v0.0.43", "v0.0.44",
                                                    "v0.0.45", "v0.0.41", "v0.0.40"};
  return versions;
}

Error NoAnswer(const HttpOutcome& outcome) { return {Code::kUnavailable, outcome.text, {}}; }

Result<std::string> FindApi(HttpClient& client, const std::string& user, DurationMs timeout_ms) {
  for (const std::string& version : KnownApis()) {
    HttpRequest request;
    request.path = "/slurm/" + version + "/ping";
    request.user = user;
    request.timeout_ms = timeout_ms;
    const HttpOutcome outcome = client.Do(request);
    if (outcome.kind != HttpOutcome::Kind::kAnswered) return NoAnswer(outcome);
    // Of a version that it lacks it says that there is no such path.
    if (outcome.status != 404) return version;
  }
  std::string all;
  for (const std::string& version : KnownApis()) all += (all.empty() ? "" : ", ") + version;
  return FieldProblem(Code::kFailedPrecondition,
                      {"", "NO_API", "slurmrestd serves none of " + all, {}});
}

}  // namespace kezek::slurm
