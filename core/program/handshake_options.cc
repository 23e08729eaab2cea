#include "core/program/handshake_options.h"

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace keystead {
namespace {

constexpr double kMost = 1e6;
constexpr size_t kMostAtOnce = 256;  // each has TLS credentials of its own
constexpr size_t kMostPending = 65536;

void TakeBalancers(const std::vector<std::string>& texts, HandshakeLimits& limits) {
  limits.balancers.clear();
  for (const std::string& text : texts) {
    const absl::StatusOr<AddressRange> range = AddressRange::Parse(text);
    if (!range.ok()) throw CLI::ValidationError("--trusted-balancers", std::string(range.status().message()));
    limits.balancers.push_back(*range);
  }
}

}  // namespace

void AddHandshakeOptions(CLI::App& app, HandshakeLimits& limits) {
  app.add_option("--handshakes-per-second", limits.per_second,
                 "New connections of one source address, beyond a burst; 0: no bound")
      ->check(CLI::Range(0.0, kMost))
      ->capture_default_str();
  app.add_option("--handshakes-burst", limits.burst, "That burst")
      ->check(CLI::Range(1.0, kMost))
      ->capture_default_str();
  app.add_option("--handshakes-pending", limits.pending,
                 "Connections of one source address that are not through TLS yet")
      ->check(CLI::Range(size_t{1}, kMostPending))
      ->capture_default_str();
  app.add_option("--all-handshakes-per-second", limits.all_per_second,
                 "Handshakes begun for all addresses together, the others wait; 0: no bound")
      ->check(CLI::Range(0.0, kMost))
      ->capture_default_str();
  app.add_option("--all-handshakes-at-once", limits.at_once,
                 "Handshakes under way; one address has at most a quarter of them")
      ->check(CLI::Range(size_t{1}, kMostAtOnce))
      ->capture_default_str();
  app.add_option("--all-handshakes-pending", limits.all_pending,
                 "Connections that are not through TLS yet; each is an open file")
      ->check(CLI::Range(size_t{1}, kMostPending))
      ->capture_default_str();
  app.add_option("--source-ipv6-prefix", limits.ipv6_prefix, "Bits of an IPv6 address that are one source")
      ->check(CLI::Range(1, AddressRange::kV6Bits))
      ->capture_default_str();
  app.add_option("--source-ipv4-prefix", limits.ipv4_prefix, "Likewise of an IPv4 address")
      ->check(CLI::Range(1, AddressRange::kV4Bits))
      ->capture_default_str();
  app.add_option_function<std::vector<std::string>>(
         "--trusted-balancers",
         [&limits](const std::vector<std::string>& texts) { TakeBalancers(texts, limits); },
         "Addresses or networks of balancers that connect for many: no rate of their own, half of all places")
      ->delimiter(',');
}

}  // namespace keystead
