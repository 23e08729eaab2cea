// An owner with its instantiation, for tests of members: pairs devices, commits, reads everything strictly,
// and writes into the topics of a MemberHop what a registry or an app would.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/sealing/command.h"
#include "core/sealing/commit_secrets.h"
#include "core/sealing/joining.h"
#include "core/sealing/member.h"
#include "core/sealing/reader.h"
#include "core/sealing/stream_writer.h"
#include "tests/unit/member/member_hop.h"

namespace keystead::testing {

template <class T>
T Must(absl::StatusOr<T> value) {
  if (!value.ok()) {
    std::fprintf(stderr, "test: %s\n", value.status().ToString().c_str());
    std::abort();
  }
  return *std::move(value);
}

// What the owner made of what it read.
class OwnerReader : public ReaderListener {
 public:
  struct Seen {
    StreamPlace place;
    uint64_t sequence = 0;
    std::string kind;
    std::string body;
    bool confirmed = false;
  };
  std::vector<Seen> records;
  std::vector<std::pair<StreamId, SequenceRange>> missing;
  std::map<std::string, int> alarms;  // by event name
  uint64_t duplicates = 0;

  std::vector<std::string> BodiesOf(std::string_view kind) const;
  uint64_t Missing() const;  // records
  int AlarmsBut(std::vector<std::string> expected) const;

 private:
  void OnRecord(const ReadRecord& record) override;
  void OnConfirmed(const StreamPlace&, const SequenceRange&) override {}
  void OnMissing(const StreamPlace& place, const SequenceRange& range) override {
    missing.emplace_back(place.stream, range);
  }
  void OnDuplicate(const StreamPlace&, uint64_t) override { ++duplicates; }
  void OnAlarm(SecurityEventKind kind, const StreamPlace&, uint64_t, std::string_view detail) override;
};

class TestOwner {
 public:
  TestOwner();

  const InstantiationId& id() const { return member_->identity().id; }
  const MemberId& self() const { return member_->identity().self; }
  Member& member() { return *member_; }

  // Commit 0 and n+1; each goes into the keyring of `hop`, if there is one.
  void Commit(CommitRequest request, MemberHop* hop);
  // The two-message exchange without a network, and the commit that adds the device.
  MemberId Pair(JoinResponder& device, const membership::Label& label, const BootId& boot,
                absl::Duration uptime, MemberHop* hop);
  // The owner's half of it, for devices that are reached otherwise.
  JoinInitiator StartJoin(const membership::Label& label, ByteView announcement, const MemberId& newcomer);
  void Add(const JoinedMember& joined, MemberHop* hop) { AddAll({&joined, 1}, hop); }
  void AddAll(std::span<const JoinedMember> joined, MemberHop* hop);
  void Remove(const MemberId& member, MemberHop* hop);

  // A signed command in a stream of the owner's own, written into the hop's log. SHA-256 of the signed
  // object.
  Digest SendCommand(const MemberId& target, const Command& command, MemberHop& hop) {
    return SendCommandAs(self(), ik_, target, command, hop);
  }
  // Likewise by a second phone, which may command `target`.
  struct Phone {
    MemberId id;
    crypto::EcdsaKeyPair ik;
  };
  Phone AddPhone(const MemberId& target, MemberHop* hop);
  Digest SendCommandAs(const MemberId& signer, const crypto::EcdsaKeyPair& ik, const MemberId& target,
                       const Command& command, MemberHop& hop);
  void SendHead(uint64_t hseq, MemberHop& hop);
  void SendProbe(MemberHop& hop);

  // All that stands in the hop's logs of these topics, judged by a fresh reader that has all the time it
  // needs.
  std::unique_ptr<OwnerReader> Read(MemberHop& hop, const std::vector<Topic>& topics);

 private:
  crypto::EcdsaKeyPair ik_;
  crypto::EcdhKeyPair k_;
  Digest nonce_;
  std::unique_ptr<Member> member_;
  std::map<std::pair<MemberId, MemberId>, std::unique_ptr<StreamWriter>> commands_;  // signer, target
  std::vector<std::unique_ptr<Reader>> readers_;
};

// Waits for what another thread brings about; false after half a minute.
bool Eventually(const std::function<bool()>& condition);

// A device's factory identity and arming, without files.
struct TestDevice {
  TestDevice(std::string device_id, std::string transport);
  membership::Label label() const;

  std::string id;
  crypto::EcdsaKeyPair ik;
  SecretBytes setup_code;
  BootId boot;
  std::unique_ptr<JoinResponder> responder;
};

}  // namespace keystead::testing
