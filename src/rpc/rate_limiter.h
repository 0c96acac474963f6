// How often one caller may call: a bucket for each, filled at a steady rate, emptied by calls.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "kezek/ids.h"
#include "kezek/result.h"
#include "kezek/time.h"

namespace kezek::rpc {

// `per_second` 0: nobody is limited.
struct CallRate {
  std::int64_t per_second = 0;
  std::int64_t burst = 0;  // calls at once after a pause, at least 1
};

// Thread-safe; never blocks for long.
class RateLimiter {
 public:
  explicit RateLimiter(const CallRate& rate) : rate_(rate) {}
  // Counts one call. RESOURCE_EXHAUSTED RATE_LIMITED with `retry_after_ms`: too many, and this one
  // was not counted. A clock that goes back fills nothing.
  Result<void> Take(UserId user, TimeMs now) { return TakeOf({user, ""}, now); }
  // Of a caller who is not signed in: those of one address share a bucket. `peer` is gRPC's
  // `ipv4:10.0.0.1:40312`, of which the port does not count.
  Result<void> TakeOfPeer(std::string_view peer, TimeMs now) {
    return TakeOf({UserId{}, std::string(peer.substr(0, peer.rfind(':')))}, now);
  }

 private:
  using Who = std::pair<UserId, std::string>;
  // What is left, in thousandths of a call: a millisecond fills as many as there are calls a
  // second.
  struct Bucket {
    std::int64_t left_milli = 0;
    TimeMs at_ms = 0;
  };
  Result<void> TakeOf(Who who, TimeMs now);
  void ForgetFull(TimeMs now);
  std::int64_t FilledBy(const Bucket& bucket, TimeMs now) const;

  const CallRate rate_;
  std::mutex mutex_;
  std::map<Who, Bucket> buckets_;
  std::size_t look_at_size_ = 1024;
};

}  // namespace kezek::rpc
