// What becomes of submissions, releases, cancellations and signals.
#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <utility>

#include "slurm/codec.h"
#include "slurm/json_fields.h"

namespace kezek::slurm {
namespace {

bool ReadNumber(std::string_view text, std::int64_t* value) {
  if (text.empty() || text.size() > 18) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size() && *value >= 0;
}

// Refusals by slurmctld that another try may not meet; all its other numbers are about the request.
bool MayPass(std::int64_t number) {
  constexpr std::array<std::int64_t, 12> kPassing{
      2013 /* not top priority */, 2016 /* nodes busy */,    2019 /* writing a file */,
      2020 /* in transition */,    2024 /* job pending */,   2027 /* standby */,
      2028 /* node state */,       2037 /* nodes */,         2050 /* accounting policy */,
      2076 /* database */,         2079 /* QOS threshold */, 2091 /* power */};
  return std::find(kPassing.begin(), kPassing.end(), number) != kPassing.end();
}

bool IsSlurmctlds(std::int64_t number) { return number >= 2000 && number < 3000; }

// DELETE answers with a list of what it could not do.
std::optional<RestError> CancelError(const Json& body) {
  for (const auto& entry : ListAt(body, "status")) {
    if (!entry.is_object()) continue;
    const Json& error = ObjectAt(entry, "error");
    const std::int64_t number = IntegerAt(error, "code");
    if (number != 0) return RestError{number, TextAt(error, "string")};
  }
  return std::nullopt;
}

// The way out of what Slurm's accounting lacks, which whoever the job belongs to cannot mend.
std::string AdviceOn(std::int64_t number) {
  constexpr std::int64_t kInvalidAccount = 2045;
  constexpr std::int64_t kInvalidQos = 2066;
  if (number != kInvalidAccount && number != kInvalidQos) return "";
  return "; a cluster admin sees what Slurm's accounting lacks by kezek admin slurm plan";
}

}  // namespace

std::optional<AttemptRef> ParseClusterName(std::string_view name) {
  constexpr std::string_view kPrefix = "kezek-";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  const auto dash = name.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  std::string_view job = name.substr(0, dash);
  std::int64_t id = 0;
  std::int64_t element = kNoElement;
  std::int64_t number = 0;
  if (const auto bar = job.find('_'); bar != std::string_view::npos) {
    if (!ReadNumber(job.substr(bar + 1), &element) || element > INT32_MAX) return std::nullopt;
    job = job.substr(0, bar);
  }
  if (!ReadNumber(job, &id) || id == 0) return std::nullopt;
  if (!ReadNumber(name.substr(dash + 1), &number) || number == 0 || number > INT32_MAX) {
    return std::nullopt;
  }
  return AttemptRef{{JobId{id}, static_cast<std::int32_t>(element)},
                    static_cast<std::int32_t>(number)};
}

SubmitOutcome ParseSubmit(long status, std::string_view body) {
  const auto parsed = ParseAnswer(body);
  if (!parsed) {
    const std::string text = Unusable(status, body, parsed).message;
    if (status == 400 || status == 413) return SubmitRefused{true, text};
    if (status == 401 || status == 404) return SubmitRefused{false, text};
    return SubmitUnclear{text};
  }
  const std::int64_t id = IntegerAt(parsed->body, "job_id");
  if (id > 0) {
    // What slurmctld says of a job that it has made is how it stands; what slurmrestd says is about
    // the request: it has left something out.
    if (parsed->error && !IsSlurmctlds(parsed->error->number)) {
      return SubmitSpoilt{id, parsed->error->text};
    }
    if (parsed->warning) return SubmitSpoilt{id, parsed->warning->text};
    return SubmitAccepted{id};
  }
  if (!parsed->error) return SubmitUnclear{"neither a job nor an error"};
  const auto [number, text] = *parsed->error;
  const std::string words =
      text + " (Slurm error " + std::to_string(number) + ")" + AdviceOn(number);
  if (IsSlurmctlds(number)) return SubmitRefused{!MayPass(number), words};
  if (number == kErrorAuthentication) return SubmitRefused{false, words};
  if (status == 400 || (number >= 9000 && number < 10000)) return SubmitRefused{true, words};
  return SubmitUnclear{words};
}

Verdict ParseVerdict(long status, std::string_view body) {
  const auto parsed = ParseAnswer(body);
  if (!parsed) return {Verdict::Kind::kFailed, Unusable(status, body, parsed).message};
  auto error = parsed->error;
  if (!error) error = CancelError(parsed->body);
  if (!error) {
    if (status != 200) return {Verdict::Kind::kFailed, Unusable(status, body, parsed).message};
    if (parsed->warning) return {Verdict::Kind::kFailed, parsed->warning->text};
    return {Verdict::Kind::kDone, ""};
  }
  const auto& [number, text] = *error;
  if (number == kErrorUnknownJob) return {Verdict::Kind::kUnknownJob, text};
  if (number == kErrorAlreadyDone || number == kErrorJobFinished) {
    return {Verdict::Kind::kAlreadyOver, text};
  }
  return {Verdict::Kind::kFailed, text};
}

}  // namespace kezek::slurm
