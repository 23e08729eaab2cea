// What the attacker of a cell sends, what it must be answered, and the same for something that does not
// exist.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/isolation/matrix.h"

namespace keystead::testing {

// The names that one request aims with. Everything else in it stays the same for victim and decoy.
struct Aim {
  TenantName tenant;
  InstantiationId instantiation;
  MailboxName box;
  EnrollmentRequest product;
};

enum class Verdict {
  kRefused,    // with `code`, and one security event
  kKeptApart,  // answered from the attacker's own tenant: nothing there is the victim's, nothing to report
  kGranted,    // the caller's by right: nobody's data are touched, or it is the operator's office
};
struct Expectation {
  Verdict verdict = Verdict::kRefused;
  grpc::StatusCode code = grpc::StatusCode::OK;
  std::string event;  // kind
  std::string peer;   // whom the event names
};

class Attack {
 public:
  Attack(Provider& provider, const Cell& cell);

  const Expectation& expected() const { return expected_; }
  const Provider::Channel& channel() const { return channel_; }
  const std::string& request() const { return request_; }
  // The same aimed at what is not there; the answer must be the same, byte for byte.
  const std::vector<std::string>& decoys() const { return decoys_; }
  // Mailboxes that must hold a message of the attacker's own, so that Await has an answer at once.
  const std::vector<MailboxName>& boxes() const { return boxes_; }

 private:
  const Provider::Channel& ChannelOf(const Cell& cell) const;
  SpiffeId NameOf(const Cell& cell) const;  // that the attacker shows
  std::string RevocationsFor(const Cell& cell, const Aim& aim) const;
  std::string AdminRequestFor(const Cell& cell, const Aim& aim) const;
  Expectation Expect(const Cell& cell) const;
  std::vector<Aim> Decoys(const Cell& cell, const Aim& aim) const;
  std::string RequestFor(const Cell& cell, const Aim& aim) const;
  std::string PublishFor(const Cell& cell, const Aim& aim) const;
  std::string LookFor(const Cell& cell, const Aim& aim) const;

  Provider& provider_;
  const Household& victim_;
  Provider::Channel channel_;
  Expectation expected_;
  std::string bundle_;  // of Submit
  std::string request_;
  std::vector<std::string> decoys_;
  std::vector<MailboxName> boxes_;
};

inline constexpr std::string_view kAttackersMessage = "the attacker's own";

}  // namespace keystead::testing
