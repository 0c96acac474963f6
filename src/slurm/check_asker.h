// How the checks of Slurm ask slurmrestd.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kezek/site_check.h"
#include "slurm/api_version.h"
#include "slurm/codec.h"
#include "slurm/credential.h"
#include "slurm/http.h"
#include "slurm/json_fields.h"
#include "slurm/site_checks.h"

namespace kezek::slurm {

using Findings = std::vector<Finding>;

inline Findings One(CheckState state, std::string found, std::string mend = "") {
  return {{state, std::move(found), std::move(mend)}};
}

inline Findings NotSeen(const Error& error) { return One(CheckState::kNotLookedAt, error.message); }

// What each check makes for itself: it may be given up, and then goes on alone.
class Asker {
 public:
  Asker(const CheckOptions& options, Clock& clock)
      : options_(options),
        credential_({options.token_file, options.jwt_key_file, options.user}, clock),
        client_({.url = options.url}, credential_) {}

  Result<std::string> Api() { return FindApi(client_, options_.user, options_.request_timeout_ms); }

  // In the name of `user`; empty: the token's own.
  Result<HttpOutcome> Get(const std::string& path, const std::string& user = "") {
    HttpRequest request;
    request.path = path;
    request.user = user.empty() ? options_.user : user;
    request.timeout_ms = options_.request_timeout_ms;
    HttpOutcome outcome = client_.Do(request);
    if (outcome.kind != HttpOutcome::Kind::kAnswered) return NoAnswer(outcome);
    return outcome;
  }

  // An answer of slurmctld, taken apart.
  Result<Json> Read(const std::string& tail, const std::string& user = "") {
    const auto api = Api();
    if (!api) return api.error();
    const auto outcome = Get("/slurm/" + *api + tail, user);
    if (!outcome) return outcome.error();
    const auto parsed = ParseAnswer(outcome->body);
    if (!parsed || parsed->error || outcome->status != 200) {
      return Unusable(outcome->status, outcome->body, parsed);
    }
    return parsed->body;
  }

  Result<std::string> Token() { return credential_.Token(); }

 private:
  CheckOptions options_;
  Credential credential_;
  HttpClient client_;
};

// privacy_check.cc: whether slurmdbd tells a user what is another's.
Findings LookAtPrivacy(const CheckOptions& options, Clock& clock,
                       const std::shared_ptr<const View>& view);

}  // namespace kezek::slurm
