// Identities. Each kind is a type of its own, so that one cannot be passed for another.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace kezek {

template <class Tag>
struct Id {
  std::int64_t value = 0;  // 0: none
  auto operator<=>(const Id&) const = default;
  explicit operator bool() const { return value != 0; }
};

using JobId = Id<struct JobTag>;          // one submission; an array is one
using AccountId = Id<struct AccountTag>;  // a node of the account tree; the root is 1
using UserId = Id<struct UserTag>;
using TokenId = Id<struct TokenTag>;

inline constexpr std::int32_t kNoElement = -1;

// A job, or one element of an array. Text form: "48211", "48211_7".
struct JobRef {
  JobId id;
  std::int32_t element = kNoElement;
  auto operator<=>(const JobRef&) const = default;
};

// One run of a job. Attempts are numbered from 1.
struct AttemptRef {
  JobRef job;
  std::int32_t number = 0;
  auto operator<=>(const AttemptRef&) const = default;
};

inline std::string ToText(const JobRef& job) {
  std::string text = std::to_string(job.id.value);
  if (job.element != kNoElement) text += "_" + std::to_string(job.element);
  return text;
}

// "kezek-48211-1", "kezek-48211_7-2": the name an attempt bears in the cluster below.
inline std::string ClusterName(const AttemptRef& attempt) {
  return "kezek-" + ToText(attempt.job) + "-" + std::to_string(attempt.number);
}

}  // namespace kezek
