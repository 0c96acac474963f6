#include "rpc/rate_limiter.h"

#include <algorithm>
#include <string>
#include <utility>

namespace kezek::rpc {
namespace {

constexpr std::int64_t kCall = 1000;

}  // namespace

std::int64_t RateLimiter::FilledBy(const Bucket& bucket, TimeMs now) const {
  const std::int64_t full = std::max<std::int64_t>(rate_.burst, 1) * kCall;
  // So long a pause fills any bucket; the product below stays small.
  const TimeMs pause = std::clamp<TimeMs>(now - bucket.at_ms, 0, full);
  return std::min(full, bucket.left_milli + pause * rate_.per_second);
}

Result<void> RateLimiter::TakeOf(Who who, TimeMs now) {
  if (rate_.per_second <= 0) return {};
  const std::lock_guard lock(mutex_);
  const std::int64_t full = std::max<std::int64_t>(rate_.burst, 1) * kCall;
  Bucket& bucket = buckets_.try_emplace(std::move(who), Bucket{full, now}).first->second;
  bucket.left_milli = FilledBy(bucket, now);
  bucket.at_ms = std::max(bucket.at_ms, now);
  if (bucket.left_milli < kCall) {
    const std::int64_t missing = kCall - bucket.left_milli;
    const std::string wait = std::to_string((missing + rate_.per_second - 1) / rate_.per_second);
    return FieldProblem(Code::kResourceExhausted,
                        {"",
                         "RATE_LIMITED",
                         "too many calls: " + std::to_string(rate_.per_second) +
                             " a second are allowed; try again in " + wait + " ms",
                         {{"retry_after_ms", wait}, {"limit", std::to_string(rate_.per_second)}}});
  }
  bucket.left_milli -= kCall;
  if (buckets_.size() > look_at_size_) ForgetFull(now);
  return {};
}

void RateLimiter::ForgetFull(TimeMs now) {
  const std::int64_t full = std::max<std::int64_t>(rate_.burst, 1) * kCall;
  std::erase_if(buckets_, [&](const auto& entry) { return FilledBy(entry.second, now) >= full; });
  look_at_size_ = std::max<std::size_t>(1024, 2 * buckets_.size());
}

}  // namespace kezek::rpc
