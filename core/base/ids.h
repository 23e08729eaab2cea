// Identifiers as types: things that must not be swapped cannot be swapped.
#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "core/base/bytes.h"
#include "core/base/status.h"

namespace keystead {

// N public bytes that name something. Value type, ordered, hashable with Abseil's containers.
template <class Tag, size_t N>
class FixedBytes {
 public:
  static constexpr size_t kSize = N;

  constexpr FixedBytes() = default;  // all zero
  explicit constexpr FixedBytes(const std::array<uint8_t, N>& bytes) : bytes_(bytes) {}

  // INVALID_ARGUMENT unless there are exactly N bytes.
  static absl::StatusOr<FixedBytes> FromBytes(ByteView bytes) {
    if (bytes.size() != N) {
      return absl::InvalidArgumentError(
          absl::StrCat(Absl(Tag::kName), " must have ", N, " bytes, not ", bytes.size()));
    }
    FixedBytes out;
    std::copy(bytes.begin(), bytes.end(), out.bytes_.begin());
    return out;
  }
  static absl::StatusOr<FixedBytes> FromBytes(std::string_view bytes) { return FromBytes(AsBytes(bytes)); }
  // INVALID_ARGUMENT unless there are exactly 2 N hex digits.
  static absl::StatusOr<FixedBytes> FromHex(std::string_view hex) {
    if (hex.size() != 2 * N) {
      return absl::InvalidArgumentError(absl::StrCat(Absl(Tag::kName), " must have ", 2 * N, " hex digits"));
    }
    KS_ASSIGN_OR_RETURN(const Bytes bytes, keystead::FromHex(hex));
    return FromBytes(bytes);
  }

  ByteView view() const { return bytes_; }
  const std::array<uint8_t, N>& array() const { return bytes_; }
  std::string ToHex() const { return keystead::ToHex(bytes_); }
  std::string ToString() const { return keystead::ToString(bytes_); }
  std::string Short() const { return ToHex().substr(0, 8); }  // for people, never for comparison
  auto operator<=>(const FixedBytes&) const = default;

  template <class H>
  friend H AbslHashValue(H h, const FixedBytes& id) {
    return H::combine(std::move(h), id.bytes_);
  }

 private:
  std::array<uint8_t, N> bytes_{};
};

struct InstantiationTag {
  static constexpr std::string_view kName = "instantiation id";
};
struct MemberTag {
  static constexpr std::string_view kName = "member id";
};
struct StreamTag {
  static constexpr std::string_view kName = "stream id";
};
struct BootTag {
  static constexpr std::string_view kName = "boot id";
};
struct DigestTag {
  static constexpr std::string_view kName = "SHA-256 digest";
};
struct MailboxTag {
  static constexpr std::string_view kName = "mailbox name";
};
struct LogTag {
  static constexpr std::string_view kName = "log id";
};

using InstantiationId = FixedBytes<InstantiationTag, 16>;  // one customer's running product
using MemberId = FixedBytes<MemberTag, 16>;                // random, one per member of an instantiation
using StreamId = FixedBytes<StreamTag, 16>;                // new at every start and every epoch of a sender
using BootId = FixedBytes<BootTag, 16>;                    // new at every start of a device
using Digest = FixedBytes<DigestTag, 32>;                  // SHA-256, also RFC 9679 thumbprints (ckt)
using MailboxName = FixedBytes<MailboxTag, 16>;            // rendezvous box
using LogId = FixedBytes<LogTag, 16>;                      // one incarnation of one hop's log of a topic

// A manufacturer hosted on a shared backend: a DNS name in lower case, 3 to 253 characters, at least two
// labels, the last one not a number. It is the trust domain of the tenant's SPIFFE ids (so that X.509 name
// constraints can bind it).
class TenantName {
 public:
  TenantName() = default;                                          // empty: no tenant
  static absl::StatusOr<TenantName> Parse(std::string_view text);  // INVALID_ARGUMENT
  const std::string& str() const { return name_; }
  auto operator<=>(const TenantName&) const = default;
  template <class H>
  friend H AbslHashValue(H h, const TenantName& t) {
    return H::combine(std::move(h), t.name_);
  }

 private:
  std::string name_;
};

}  // namespace keystead
