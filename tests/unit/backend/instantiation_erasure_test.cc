// One instantiation, erased: nothing is left but a mark, however often it was cut short, and nobody brings it
// back.
#include <gmock/gmock.h>

#include <atomic>
#include <functional>
#include <map>
#include <thread>
#include <utility>

#include "absl/synchronization/notification.h"
#include "backend/erasure.h"
#include "backend/instantiations.h"
#include "core/cose/cbor.h"
#include "tests/unit/backend/instantiation_erasure_fixture.h"

namespace keystead::testing {
namespace {

using ::testing::Optional;

TEST_F(InstantiationErasureTest, NothingIsLeftOfItButAMark) {
  StopBackend();
  const std::map<uint32_t, size_t> before = Rows();
  const size_t salts = Salts();
  const size_t entries = Entries();
  Start();
  Home target(kAcme, Uri(kAcme, Role::kApp, "phone"));
  Fill(target, lamp_);
  const Resident plug = MakeResident(MemberKind::kDevice, Uri(kAcme, Role::kDevice, "plug"));
  Commit(target, {&plug});
  const Resident moved = AfterReset(lamp_);
  Commit(home_, {&moved});
  StopBackend();
  const std::map<uint32_t, size_t> full = Rows();
  for (const storage::Table table :
       {kTopicTable, kStreamTable, backend::kCommitTable, backend::kDeviceTable, backend::kEvictedTable}) {
    const auto number = static_cast<uint32_t>(table);
    const auto had = before.find(number);
    const auto has = full.find(number);
    ASSERT_TRUE(has != full.end()) << "table " << number;
    ASSERT_GT(has->second, had == before.end() ? 0 : had->second + 1) << "table " << number;
  }
  Start();
  std::string receipt;
  ASSERT_TRUE(EraseHome(Operator(), target.id(), &receipt).ok());
  StopBackend();
  std::map<uint32_t, size_t> expected = before;
  ++expected[static_cast<uint32_t>(backend::kGoneTable)];
  ++expected[static_cast<uint32_t>(backend::kCommitTable)];  // home_ has one more, and the device
  ++expected[static_cast<uint32_t>(backend::kDeviceTable)];
  EXPECT_EQ(Rows(), expected);
  EXPECT_EQ(Salts(), salts);
  EXPECT_EQ(Entries(), entries + 1);
  Start();
  EXPECT_TRUE(Phone().FetchFrom(kAcme, home_.id()).ok());
  EXPECT_THAT(Phone().Subscribe(home_, {telemetry_})->Next(), Optional(FromBulb(0)));
}

// Whoever kept its commits, the owner or a courier, founds nothing with them.
TEST_F(InstantiationErasureTest, ItIsNeverFoundedAgain) {
  Home target(kAcme, Uri(kAcme, Role::kApp, "phone"));
  const std::string founding = target.Make();
  ASSERT_TRUE(Phone().Submit(target, founding).ok());
  target.Take(founding);
  const std::string second = target.Make({&lamp_});
  ASSERT_TRUE(Phone().Submit(target, second).ok());
  target.Take(second);
  std::string receipt;
  ASSERT_TRUE(EraseHome(Operator(), target.id(), &receipt).ok());
  const Home absent(kAcme, Uri(kAcme, Role::kApp, "phone"));
  const grpc::Status unknown = Phone().FetchFrom(kAcme, absent.id());
  for (int i = 0; i < 2; ++i) {
    for (Peer* peer : {&Phone(), &Balancer()}) {
      const grpc::Status answer = peer->Submit(target, founding);
      EXPECT_EQ(answer.error_code(), grpc::StatusCode::NOT_FOUND);
      EXPECT_EQ(answer.error_message(), unknown.error_message());
    }
    EXPECT_EQ(Phone().Submit(target, second).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(Phone().Submit(target, target.Make()).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(Phone().FetchFrom(kAcme, target.id()).error_code(), grpc::StatusCode::NOT_FOUND);
    EXPECT_EQ(UsageOf(kAcme).instantiations(), 1u);
    Restart();
  }
  StopBackend();
  EXPECT_EQ(Salts(), 1u) << "only that of home_";
  Start();
  Home fresh(kAcme, Uri(kAcme, Role::kApp, "phone"));
  EXPECT_TRUE(Phone().Submit(fresh, fresh.Make()).ok());
}

TEST_F(InstantiationErasureTest, OneThatNeverWasIsNotFoundAndLeavesNoMark) {
  Home later(kAcme, Uri(kAcme, Role::kApp, "phone"));
  std::string receipt;
  EXPECT_EQ(EraseHome(Operator(), later.id(), &receipt).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(receipt, "");
  EXPECT_TRUE(Phone().Submit(later, later.Make()).ok());
}

// While it is erased, its owner and a courier send its commits again and again.
TEST_F(InstantiationErasureTest, NobodyBringsItBackMeanwhile) {
  options_.intake.tries_of_peer = {.per_second = 1e6, .burst = 1e6};
  options_.intake.commits = {.per_second = 1e6, .burst = 1e6};
  options_.instantiations.max_commits_on_writer = 0;  // every look at it loads it behind
  Restart();
  for (int round = 0; round < 8; ++round) {
    Home target(kAcme, Uri(kAcme, Role::kApp, "phone"));
    std::vector<std::string> commits;
    for (int i = 0; i < 4; ++i) {
      commits.push_back(target.Make());
      ASSERT_TRUE(Phone().Submit(target, commits.back()).ok());
      target.Take(commits.back());
    }
    commits.push_back(target.Make());
    std::atomic<bool> erased = false;
    Peer& phone = Phone();
    Peer& balancer = Balancer();
    const auto insist = [&](Peer& peer) {
      for (int more = 3; more > 0; more -= erased ? 1 : 0) {
        for (const std::string& commit : commits) peer.Submit(target, commit);
        peer.FetchFrom(kAcme, target.id());
      }
    };
    std::thread owner([&] { insist(phone); });
    std::thread courier([&] { insist(balancer); });
    std::string receipt;
    EXPECT_TRUE(EraseHome(Operator(), target.id(), &receipt).ok());
    erased = true;
    owner.join();
    courier.join();
    EXPECT_EQ(Phone().FetchFrom(kAcme, target.id()).error_code(), grpc::StatusCode::NOT_FOUND);
    EXPECT_EQ(Phone()
                  .Publish(Group(target, target.owner(), Topic::Of(TopicKind::kCommand, target.owner()), 3,
                                 NewStream(), 0))
                  .code(),
              grpc::StatusCode::NOT_FOUND);
    EXPECT_EQ(UsageOf(kAcme).instantiations(), 1u);
  }
  StopBackend();
  EXPECT_EQ(Salts(), 1u);
  EXPECT_EQ(Rows()[static_cast<uint32_t>(backend::kCommitTable)], 2u);
}

// The keystore fails half-way. From the mark on nobody reads it; the receipt waits until it is gone.
TEST_F(InstantiationErasureTest, WhatFailsHalfWayGoesOnAtTheNextStart) {
  const uint64_t had = UsageOf(kAcme).stored_groups();
  StopBackend();
  const std::string salt = SaltOf(home_.id());
  const std::string away = options_.store.path + ".salt";
  std::filesystem::rename(salt, away);
  std::filesystem::create_symlink(away, salt);  // to be read, and not to be destroyed
  Start();
  std::string receipt, first;
  for (int i = 0; i < 2; ++i) {
    EXPECT_FALSE(EraseHome(Operator(), home_.id(), &receipt).ok());
    EXPECT_EQ(receipt, "");
    EXPECT_EQ(Phone().FetchFrom(kAcme, home_.id()).error_code(), grpc::StatusCode::NOT_FOUND);
    EXPECT_EQ(Bulb().Publish(FromBulb(1)).code(), grpc::StatusCode::NOT_FOUND);
    EXPECT_EQ(UsageOf(kAcme).instantiations(), 0u);
    Restart();
  }
  StopBackend();
  EXPECT_EQ(Rows()[static_cast<uint32_t>(backend::kErasingTable)], 1u);
  std::filesystem::remove(salt);
  std::filesystem::rename(away, salt);
  const absl::Time marked = clock_.Now();
  clock_.Advance(absl::Hours(1));
  Start();
  StopBackend();  // after what it had to go on with
  EXPECT_FALSE(std::filesystem::exists(salt));
  EXPECT_EQ(Rows().count(static_cast<uint32_t>(backend::kErasingTable)), 0u);
  EXPECT_EQ(Rows().count(static_cast<uint32_t>(backend::kCommitTable)), 0u);
  EXPECT_EQ(Entries(), 0u);
  Start();
  ASSERT_TRUE(EraseHome(Operator(), home_.id(), &receipt).ok());
  const Bytes signed_bytes = ToBytes(AsBytes(receipt));
  const auto payload = cose::OpenSign1(signed_bytes, signer_.public_key(), backend::kReceiptTyp, {});
  ASSERT_TRUE(payload.ok()) << payload.status();
  cose::CborReader r(*payload);
  EXPECT_TRUE(r.ReadArrayOf(6).ok());
  EXPECT_EQ(*r.ReadText(), kAcme);
  EXPECT_EQ(*r.ReadUint(), kAcmeNumber);
  EXPECT_EQ(ToString(*r.ReadBytes()), home_.id().ToString());
  EXPECT_EQ(*r.ReadUint(), static_cast<uint64_t>(absl::ToUnixMicros(marked)));
  EXPECT_EQ(*r.ReadUint(), had);
}

// A store of which the salt is lost is nobody's any more, and can be cleared away all the same.
TEST_F(InstantiationErasureTest, WhatDoesNotOpenIsErasedAllTheSame) {
  StopBackend();
  std::filesystem::remove(SaltOf(home_.id()));
  Start();
  std::string receipt;
  const grpc::Status erased = EraseHome(Operator(), home_.id(), &receipt);
  ASSERT_TRUE(erased.ok()) << erased.error_message();
  StopBackend();
  EXPECT_EQ(Entries(), 0u);
  EXPECT_EQ(Rows().count(static_cast<uint32_t>(backend::kCommitTable)), 0u);
  EXPECT_EQ(Rows().count(static_cast<uint32_t>(kTopicTable)), 1u);
}

// Read before, and taken in after: it stays out of memory, whether a mark says so or only the head is not
// there.
TEST_F(InstantiationErasureTest, AChainThatWasReadBeforeIsNotTakenInAfter) {
  StopBackend();
  Offline offline(options_.store.path, KeysFolder());
  TenantDirectory directory;
  ASSERT_TRUE(directory.LoadFolder(TestPki::Shared().folder() + "/tenants").ok());
  const auto tenants = *backend::Tenants::Open(offline.store, directory, {.keys = offline.keys.get()});
  const backend::TenantView acme = *tenants->Known(Tenant(kAcme));
  Executor executor(1);
  backend::Instantiations instantiations(&offline.store, &executor, {});
  const CommitRows rows = CommitsOf(offline);
  const std::string key = home_.id().ToString();
  const auto commit = [&](uint64_t epoch) { return backend::CommitKey(home_.id(), epoch); };
  const std::function<void(storage::Transaction&)> mark = [&](storage::Transaction& transaction) {
    transaction.Put(kAcmeNumber, backend::kGoneTable, key, backend::EncodeGone({}));
    transaction.Delete(kAcmeNumber, backend::kCommitTable, commit(0));
  };
  const std::function<void(storage::Transaction&)> cut = [&](storage::Transaction& transaction) {
    transaction.Delete(kAcmeNumber, backend::kCommitTable, commit(1));
  };
  const std::function<void(storage::Transaction&)> nothing = [](storage::Transaction&) {};
  for (const auto& [change, taken] :
       {std::pair(nothing, true), std::pair(cut, false), std::pair(mark, false)}) {
    absl::Notification held, go_on;
    ASSERT_TRUE(offline.store
                    .Submit(storage::MakeTask(
                        0,
                        [&](storage::Transaction& transaction) {
                          held.Notify();
                          go_on.WaitForNotification();
                          instantiations.Forget(acme, home_.id());
                          change(transaction);
                          return absl::OkStatus();
                        },
                        [](const absl::Status&) {}))
                    .ok());
    held.WaitForNotification();
    const auto chain =
        instantiations.ChainOf(acme, home_.id());  // as it still is; to be kept, behind the task
    ASSERT_TRUE(chain.ok() && *chain != nullptr);
    go_on.Notify();
    bool in_memory = false;
    ASSERT_TRUE(offline.store
                    .Commit([&](storage::Transaction&) {
                      in_memory = instantiations.InMemory(acme, home_.id()) != nullptr;
                      instantiations.Forget(acme, home_.id());
                      return absl::OkStatus();
                    })
                    .ok());
    EXPECT_EQ(in_memory, taken);
    ASSERT_TRUE(offline.store
                    .Commit([&](storage::Transaction& transaction) {  // for the next round
                      for (const auto& [epoch, row] : rows)
                        transaction.Put(kAcmeNumber, backend::kCommitTable, commit(epoch), row);
                      return absl::OkStatus();
                    })
                    .ok());
  }
}

// A keystore that lets the salts of one tenant go when it is told to.
class HeldKeyStore final : public backend::at_rest::KeyStore {
 public:
  HeldKeyStore(KeyStore* inner, uint32_t held) : inner_(inner), tenant_(held) {}
  absl::Status Create(uint32_t tenant) override { return inner_->Create(tenant); }
  absl::StatusOr<uint32_t> CurrentVersion(uint32_t tenant) const override {
    return inner_->CurrentVersion(tenant);
  }
  absl::StatusOr<uint32_t> Rotate(uint32_t tenant) override { return inner_->Rotate(tenant); }
  absl::StatusOr<SecretBytes> Derive(uint32_t tenant, uint32_t version, ByteView info) const override {
    return inner_->Derive(tenant, version, info);
  }
  absl::Status Destroy(uint32_t tenant) override { return inner_->Destroy(tenant); }
  absl::StatusOr<SecretBytes> Salt(uint32_t tenant, const backend::at_rest::CompartmentId& compartment,
                                   bool create) override {
    return inner_->Salt(tenant, compartment, create);
  }
  absl::Status DestroySalt(uint32_t tenant, const backend::at_rest::CompartmentId& compartment) override {
    if (tenant == tenant_) {
      if (!held_.HasBeenNotified()) held_.Notify();
      go_on_.WaitForNotification();
    }
    return inner_->DestroySalt(tenant, compartment);
  }
  void AwaitHeld() const { held_.WaitForNotification(); }
  void LetGo() { go_on_.Notify(); }

 private:
  KeyStore* const inner_;
  const uint32_t tenant_;
  absl::Notification held_;
  absl::Notification go_on_;
};

TEST_F(InstantiationErasureTest, OneTenantsErasureDoesNotWaitForThatOfAnother) {
  StopBackend();
  Offline offline(options_.store.path, KeysFolder());
  TenantDirectory directory;
  ASSERT_TRUE(directory.LoadFolder(TestPki::Shared().folder() + "/tenants").ok());
  const auto tenants = *backend::Tenants::Open(offline.store, directory, {.keys = offline.keys.get()});
  HeldKeyStore keys(offline.keys.get(), kAcmeNumber);
  backend::at_rest::Ciphers ciphers(&keys);
  RecordLog log(&offline.store);
  Executor executor(1);
  backend::Instantiations instantiations(&offline.store, &executor, {});
  backend::Erasure erasure({.tenants = tenants.get(),
                            .store = &offline.store,
                            .ciphers = &ciphers,
                            .log = &log,
                            .instantiations = &instantiations,
                            .end_calls = [](const TenantName&, const InstantiationId*) {},
                            .sign = options_.sign,
                            .clock = &clock_});
  const auto erase = [&](std::string_view tenant, const InstantiationId& id) {
    const Principal owner = Principal::ForTesting(*SpiffeId::Of(Tenant(tenant), Role::kAdmin, "owner"));
    return erasure.EraseInstantiation(*tenants->Known(Tenant(tenant)), id, owner).status();
  };
  absl::Status of_acme, of_globex;
  absl::Notification theirs_is_gone;
  std::thread ours([&] { of_acme = erase(kAcme, home_.id()); });
  keys.AwaitHeld();
  std::thread theirs([&] {
    of_globex = erase(kGlobex, their_home_->id());
    theirs_is_gone.Notify();
  });
  EXPECT_TRUE(theirs_is_gone.WaitForNotificationWithTimeout(absl::Seconds(20)));
  keys.LetGo();
  ours.join();
  theirs.join();
  EXPECT_TRUE(of_acme.ok()) << of_acme;
  EXPECT_TRUE(of_globex.ok()) << of_globex;
}

}  // namespace
}  // namespace keystead::testing
