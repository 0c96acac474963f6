// Integers wider than 64 bits, for products that decide something: no rounding, no overflow.
#pragma once

#include <array>
#include <compare>
#include <cstdint>

namespace kezek::quota {

__extension__ typedef __int128 Int128;
__extension__ typedef unsigned __int128 UInt128;

// Signed, two's complement, 256 bits. Callers keep magnitudes below 2^254; nothing here checks.
class Int256 {
 public:
  constexpr Int256() = default;
  constexpr explicit Int256(Int128 value) {
    const auto bits = static_cast<UInt128>(value);
    const std::uint64_t sign = value < 0 ? ~std::uint64_t{0} : 0;
    limbs_ = {static_cast<std::uint64_t>(bits), static_cast<std::uint64_t>(bits >> 64), sign, sign};
  }

  constexpr bool negative() const { return (limbs_[3] >> 63) != 0; }
  // Divided by 2^64, rounded down, if that fits in 64 bits.
  constexpr bool HasHigh() const {
    const std::uint64_t sign = (limbs_[1] >> 63) != 0 ? ~std::uint64_t{0} : 0;
    return limbs_[2] == sign && limbs_[3] == sign;
  }
  constexpr std::int64_t High() const { return static_cast<std::int64_t>(limbs_[1]); }

  constexpr Int256& operator+=(const Int256& other) {
    std::uint64_t carry = 0;
    for (std::size_t i = 0; i < limbs_.size(); ++i) {
      const UInt128 sum = static_cast<UInt128>(limbs_[i]) + other.limbs_[i] + carry;
      limbs_[i] = static_cast<std::uint64_t>(sum);
      carry = static_cast<std::uint64_t>(sum >> 64);
    }
    return *this;
  }

  // 0 <= bits < 64.
  constexpr Int256& operator<<=(unsigned bits) {
    if (bits == 0) return *this;
    for (std::size_t i = limbs_.size() - 1; i > 0; --i) {
      limbs_[i] = (limbs_[i] << bits) | (limbs_[i - 1] >> (64 - bits));
    }
    limbs_[0] <<= bits;
    return *this;
  }

  // Modulo 2^256, which is right for negative values too as long as the product fits.
  constexpr Int256& operator*=(std::uint64_t factor) {
    std::uint64_t carry = 0;
    for (std::uint64_t& limb : limbs_) {
      const UInt128 product = static_cast<UInt128>(limb) * factor + carry;
      limb = static_cast<std::uint64_t>(product);
      carry = static_cast<std::uint64_t>(product >> 64);
    }
    return *this;
  }

  constexpr bool operator==(const Int256&) const = default;
  constexpr std::strong_ordering operator<=>(const Int256& other) const {
    if (negative() != other.negative()) {
      return negative() ? std::strong_ordering::less : std::strong_ordering::greater;
    }
    for (std::size_t i = limbs_.size(); i-- > 0;) {
      if (limbs_[i] != other.limbs_[i]) return limbs_[i] <=> other.limbs_[i];
    }
    return std::strong_ordering::equal;
  }

  // For people; decides nothing.
  double ToDouble() const {
    Int256 magnitude = *this;
    if (negative()) {
      for (std::uint64_t& limb : magnitude.limbs_) limb = ~limb;
      magnitude += Int256{1};
    }
    double value = 0;
    for (std::size_t i = limbs_.size(); i-- > 0;) {
      value = value * 18446744073709551616.0 + static_cast<double>(magnitude.limbs_[i]);
    }
    return negative() ? -value : value;
  }

 private:
  std::array<std::uint64_t, 4> limbs_{};  // least significant first
};

}  // namespace kezek::quota
