// Random but well-formed values of the words everybody uses, for property tests: every member gets
// values now and then that are empty, zero, negative, long, or need quoting.
#pragma once

#include <cstdint>
#include <random>
#include <string>

#include "kezek/account.h"
#include "kezek/admin_reservation.h"
#include "kezek/event.h"
#include "kezek/job.h"
#include "kezek/node.h"
#include "kezek/reservation.h"
#include "kezek/user.h"

namespace kezek::test {

class RandomValues {
 public:
  explicit RandomValues(std::uint64_t seed) : bits_(seed) {}

  std::int64_t Int(std::int64_t least, std::int64_t most);
  bool Chance(int percent) { return Int(0, 99) < percent; }
  std::string Text();  // UTF-8, without NUL
  Reason ReasonValue();
  JobSpec Spec();
  Placement PlacementValue();
  AccountSettings Settings();
  Job JobRow(JobRef ref);
  Attempt AttemptRow(AttemptRef ref, AttemptState state);
  Reservation ReservationRow(JobRef row);
  AdminReservation AdminReservationRow(const std::string& name);
  Event EventRow();
  LedgerEntry Entry();
  Node NodeRow(std::string name);
  Token TokenRow(TokenId id, UserId user);

 private:
  template <class E>
  E Enum(E last) {
    return static_cast<E>(Int(0, static_cast<std::int64_t>(last)));
  }
  std::int32_t Small() { return static_cast<std::int32_t>(Int(-3, 100)); }
  std::int64_t Big() { return Chance(30) ? 0 : Int(-(1LL << 62), 1LL << 62); }
  JobRef Ref() { return {JobId{Int(1, 1LL << 40)}, static_cast<std::int32_t>(Int(-1, 9))}; }
  Limits LimitsValue();
  std::vector<IndexRange> Ranges();

  std::mt19937_64 bits_;
};

}  // namespace kezek::test
