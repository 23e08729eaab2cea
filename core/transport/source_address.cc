#include "core/transport/source_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/base/bytes.h"

namespace keystead {
namespace {

constexpr std::array<uint8_t, 12> kV4Mapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr int kV4Offset = 96;  // bits of kV4Mapped

// The bits behind the prefix are none of the network's.
std::array<uint8_t, 16> Masked(std::array<uint8_t, 16> bytes, int prefix) {
  for (int bit = prefix; bit < AddressRange::kV6Bits; ++bit) {
    bytes[static_cast<size_t>(bit / 8)] &= static_cast<uint8_t>(~(0x80 >> (bit % 8)));
  }
  return bytes;
}

std::array<uint8_t, 16> Mapped(const in_addr& address) {
  std::array<uint8_t, 16> out{};
  std::copy(kV4Mapped.begin(), kV4Mapped.end(), out.begin());
  std::memcpy(out.data() + kV4Mapped.size(), &address, sizeof(address));
  return out;
}

}  // namespace

AddressRange::AddressRange(const Bytes16& bytes, int prefix)
    : bytes_(Masked(bytes, prefix)), prefix_(prefix) {}

bool AddressRange::IsV4() const {
  return prefix_ >= kV4Offset && std::equal(kV4Mapped.begin(), kV4Mapped.end(), bytes_.begin());
}

AddressRange AddressRange::Of(const sockaddr& address, int v4_prefix, int v6_prefix) {
  Bytes16 bytes{};
  if (address.sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof(v4));
    bytes = Mapped(v4.sin_addr);
  } else if (address.sa_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &address, sizeof(v6));
    std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
  }
  const bool is_v4 = std::equal(kV4Mapped.begin(), kV4Mapped.end(), bytes.begin());
  return {bytes, is_v4 ? kV4Offset + v4_prefix : v6_prefix};
}

absl::StatusOr<AddressRange> AddressRange::Parse(std::string_view text) {
  const absl::Status bad =
      absl::InvalidArgumentError(absl::StrCat("not an address or a network as 192.0.2.0/24: ", Absl(text)));
  const size_t slash = text.find('/');
  const std::string host(text.substr(0, slash));
  Bytes16 bytes{};
  in_addr v4{};
  const bool is_v4 = inet_pton(AF_INET, host.c_str(), &v4) == 1;
  if (is_v4) bytes = Mapped(v4);
  if (!is_v4 && inet_pton(AF_INET6, host.c_str(), bytes.data()) != 1) return bad;
  const int most = is_v4 ? kV4Bits : kV6Bits;
  int prefix = most;
  if (slash != std::string_view::npos &&
      (!absl::SimpleAtoi(Absl(text.substr(slash + 1)), &prefix) || prefix < 0 || prefix > most))
    return bad;
  const AddressRange out(bytes, is_v4 ? kV4Offset + prefix : prefix);
  if (out.bytes_ != bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("bits behind the prefix are set: ", Absl(text), "; write ", out.str()));
  }
  return out;
}

bool AddressRange::Contains(const AddressRange& other) const {
  return other.prefix_ >= prefix_ && Masked(other.bytes_, prefix_) == bytes_;
}

std::string AddressRange::str() const {
  char text[INET6_ADDRSTRLEN] = "";
  const bool v4 = IsV4();
  inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? bytes_.data() + kV4Mapped.size() : bytes_.data(), text,
            sizeof(text));
  return prefix_ == kV6Bits ? std::string(text) : absl::StrCat(text, "/", v4 ? prefix_ - kV4Offset : prefix_);
}

}  // namespace keystead
