#include "slurm/api_version.h"

#include "slurm/codec.h"

namespace kezek::slurm {

Error NoAnswer(const HttpOutcome& outcome) { return {Code::kUnavailable, outcome.text, {}}; }

Result<std::string> FindApi(HttpClient& client, const std::string& user, DurationMs timeout_ms) {
  std::string all;
  for (const Codec& codec : Codecs()) {
    HttpRequest request;
    request.path = codec.Path("/ping");
    request.user = user;
    request.timeout_ms = timeout_ms;
    const HttpOutcome outcome = client.Do(request);
    if (outcome.kind != HttpOutcome::Kind::kAnswered) return NoAnswer(outcome);
    // Of a version that it lacks it says that there is no such path.
    if (outcome.status != 404) return std::string(codec.version());
    all += (all.empty() ? "" : ", ") + std::string(codec.version());
  }
  return FieldProblem(Code::kFailedPrecondition,
                      {"", "NO_API", "slurmrestd serves none of " + all, {}});
}

}  // namespace kezek::slurm
