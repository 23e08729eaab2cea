// Where connections come from, as far as they are counted together: an IPv4 address, or an IPv6 network,
// since whoever has one address of IPv6 has at least a /64 of them (RFC 6177).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

struct sockaddr;

namespace keystead {

// A network of IP addresses. IPv4 stands in its place among IPv6 addresses (RFC 4291, section 2.5.5.2), so a
// dual-stack socket's "::ffff:192.0.2.1" is 192.0.2.1. A value; thread-safe.
class AddressRange {
 public:
  static constexpr int kV4Bits = 32;
  static constexpr int kV6Bits = 128;

  AddressRange() = default;  // ::/128
  // The network around the address of a peer. Families other than IP are one address, ::
  static AddressRange Of(const sockaddr& address, int v4_prefix, int v6_prefix);
  // "192.0.2.7", "192.0.2.0/24", "2001:db8::/48"; INVALID_ARGUMENT for all else, also for bits behind the
  // prefix.
  static absl::StatusOr<AddressRange> Parse(std::string_view text);

  bool Contains(const AddressRange& other) const;
  std::string str() const;  // as Parse takes it; no prefix where it is one address

  friend bool operator==(const AddressRange& a, const AddressRange& b) {
    return a.bytes_ == b.bytes_ && a.prefix_ == b.prefix_;
  }
  template <class H>
  friend H AbslHashValue(H h, const AddressRange& a) {
    return H::combine(std::move(h), a.bytes_, a.prefix_);
  }

 private:
  using Bytes16 = std::array<uint8_t, 16>;
  AddressRange(const Bytes16& bytes, int prefix);
  bool IsV4() const;

  Bytes16 bytes_{};
  int prefix_ = kV6Bits;  // of 128 bits, for IPv4 too
};

}  // namespace keystead
