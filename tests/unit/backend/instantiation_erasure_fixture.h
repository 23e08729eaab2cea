// What a store has of acme, counted while the backend is stopped, and a home with whatever leaves rows.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "backend/rows.h"
#include "tests/unit/backend/erasure_fixture.h"

namespace keystead::testing {

inline constexpr uint32_t kAcmeNumber = 1;

class InstantiationErasureTest : public ErasureTest {
 protected:
  // By table, of acme; without the audit log, which grows with all that is done.
  std::map<uint32_t, size_t> Rows() const {
    const Offline offline(options_.store.path, KeysFolder());
    std::map<uint32_t, size_t> out;
    for (uint32_t table = 0; table < 256; ++table) {
      if (storage::Table{static_cast<uint8_t>(table)} == backend::kAuditTable) continue;
      const auto rows = offline.disk->Scan(kAcmeNumber, storage::Table{static_cast<uint8_t>(table)},
                                           {.prefix = "", .after = "", .max_rows = 100000});
      if (!rows->empty()) out[table] = rows->size();
    }
    return out;
  }
  size_t Salts() const {
    size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(KeysFolder() + "/00000001"))
      count += entry.path().filename().string().starts_with("salt-") ? 1 : 0;
    return count;
  }
  std::string SaltOf(const InstantiationId& id) const {
    const Offline offline(options_.store.path, KeysFolder());
    backend::at_rest::Ciphers ciphers(offline.keys.get());
    return KeysFolder() + "/00000001/salt-" + (*ciphers.Of(kAcmeNumber))->CompartmentOf(id).ToHex();
  }
  size_t Entries() const { return Open(options_.store.path, kAcmeNumber).there; }

  // A home with whatever leaves rows: a device that moves on to home_, records in order, late and twice.
  void Fill(Home& home, const Resident& lamp) {
    Commit(home);
    const Resident reader = MakeResident(MemberKind::kReader, Uri(kAcme, Role::kThirdParty, "reader"));
    Commit(home, {&lamp, &reader});
    Peer& device = As(kAcme, Role::kDevice, "lamp");
    const Topic telemetry = Topic::Of(TopicKind::kTelemetry, lamp.entry.member);
    const StreamId stream = NewStream();
    for (uint64_t i = 10; i < 150; ++i)
      ASSERT_TRUE(device.Publish(Group(home, lamp.entry.member, telemetry, 1, stream, i)).refusals.empty());
    ASSERT_TRUE(device.Publish(Group(home, lamp.entry.member, telemetry, 1, stream, 3)).refusals.empty());
    ASSERT_TRUE(
        device.Publish(Group(home, lamp.entry.member, telemetry, 1, stream, 3, "other")).refusals.empty());
  }

  // The rows of home_'s commits as they were.
  using CommitRows = std::map<uint64_t, std::string>;
  CommitRows CommitsOf(const Offline& offline) const {
    CommitRows out;
    for (uint64_t epoch = 0; epoch <= home_.chain().epoch(); ++epoch)
      out[epoch] =
          **offline.store.Get(kAcmeNumber, backend::kCommitTable, backend::CommitKey(home_.id(), epoch));
    return out;
  }

  const Resident lamp_ = MakeResident(MemberKind::kDevice, Uri(kAcme, Role::kDevice, "lamp"));
};

}  // namespace keystead::testing
