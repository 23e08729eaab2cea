// A fleet of simulated devices, its hop and its owner, with real certificates and sockets.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "device-sim/fleet.h"
#include "tests/unit/member/test_owner.h"
#include "tests/unit/member/test_rendezvous.h"

namespace keystead::testing {

class Home {
 public:
  Home();
  ~Home();

  MemberHop& hop() { return hop_; }
  TestOwner& owner() { return *owner_; }
  void NewOwner() { owner_ = std::make_unique<TestOwner>(); }
  const std::string& folder() const { return folder_; }

  // For a fleet or the program: certificates are issued, the state folder is empty the first time.
  device_sim::Options OptionsFor(const std::string& id, const std::string& kind);
  device_sim::Options OptionsForMany(const std::string& prefix, size_t count);
  std::vector<std::string> ArgumentsFor(const device_sim::Options& options) const;

  // The owner's half of joining, without the commit: M1 is dropped, M2 awaited.
  JoinInitiator Claim(TestOwner& owner, const membership::Label& label);
  JoinedMember AwaitM2(const JoinInitiator& join);

  // Takes the label in hand, and adds the device. One commit for all.
  MemberId Pair(const membership::Label& label) { return PairAll({&label}).front(); }
  std::vector<MemberId> PairAll(const std::vector<const membership::Label*>& labels);

  size_t AnnouncementsOf(const membership::Label& label) const;
  std::string LastAnnouncementOf(const membership::Label& label) const;

  std::unique_ptr<OwnerReader> Read(const MemberId& device) {
    return owner_->Read(hop_,
                        {Topic::Of(TopicKind::kTelemetry, device), Topic::Of(TopicKind::kState, device)});
  }
  // The newest word of the device, once there is one of another boot than `not_boot`.
  Freshness AwaitWord(const MemberId& device, const BootId& not_boot = BootId());
  std::vector<Answer> AwaitAnswers(const MemberId& device, size_t count);

 private:
  TestRendezvous rendezvous_;
  MemberHop hop_;
  std::unique_ptr<TestOwner> owner_;
  std::string folder_;
};

}  // namespace keystead::testing
