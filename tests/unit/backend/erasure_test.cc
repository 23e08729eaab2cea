// What is left of a tenant, or of one instantiation, that was erased: a receipt, and nothing else in any
// copy.
#include <gmock/gmock.h>

#include <filesystem>

#include "backend/at_rest/encrypted_store.h"
#include "backend/at_rest/file_keystore.h"
#include "backend/erasure.h"
#include "core/cose/cbor.h"
#include "core/cose/sign1.h"
#include "core/storage/log_store.h"
#include "keystead/v1/admin.grpc.pb.h"
#include "tests/unit/backend/backend_fixture.h"

namespace keystead::testing {
namespace {

using ::testing::Optional;

constexpr char kCanary[] = "canary-sealed-elsewhere";

class ErasureTest : public BackendTest {
 protected:
  ErasureTest() {
    options_.sign = [this](std::string_view typ, ByteView payload) {
      return cose::SignSign1(signer_, typ, payload, {});
    };
    Restart();
    Furnish(home_);
    their_home_.emplace(kGlobex, Uri(kGlobex, Role::kApp, "spy"));
    const std::string founded = their_home_->Make();
    EXPECT_TRUE(Spy().Submit(*their_home_, founded).ok());
    their_home_->Take(founded);
    EXPECT_TRUE(Bulb().Publish(FromBulb(0)).status.ok());
  }
  std::string FromBulb(uint64_t sequence, std::string_view cose = kCanary) const {
    return Group(home_, bulb_.entry.member, telemetry_, 1, stream_, sequence, cose);
  }
  template <class Request>
  static grpc::Status Call(Peer& peer,
                           grpc::Status (v1::TenantAdmin::Stub::*method)(grpc::ClientContext*, const Request&,
                                                                         v1::EraseResponse*),
                           const Request& request, std::string* receipt) {
    v1::TenantAdmin::Stub stub(peer.channel());
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    v1::EraseResponse response;
    const grpc::Status status = (stub.*method)(&context, request, &response);
    *receipt = response.receipt();
    return status;
  }
  grpc::Status EraseTenant(Peer& peer, std::string_view tenant, std::string* receipt) {
    v1::EraseTenantRequest request;
    request.set_tenant(std::string(tenant));
    return Call(peer, &v1::TenantAdmin::Stub::EraseTenant, request, receipt);
  }
  grpc::Status EraseHome(Peer& peer, const InstantiationId& id, std::string* receipt) {
    v1::EraseInstantiationRequest request;
    request.set_tenant(kAcme);
    request.set_instantiation(id.ToString());
    return Call(peer, &v1::TenantAdmin::Stub::EraseInstantiation, request, receipt);
  }
  // What is stored of a tenant in a copy of the store: every entry and row that opens with the keys there are
  // now.
  struct Found {
    size_t readable = 0;
    size_t there = 0;
  };
  Found Open(const std::string& path, uint32_t number) const {
    storage::Options options;
    options.path = path;
    options.format_name = "keystead-backend";
    options.format_version = 4;
    const auto disk = *storage::LogStore::Open(options);
    const auto keys = *backend::at_rest::FileKeyStore::Open(options_.store.path + ".keys");
    backend::at_rest::Ciphers ciphers(keys.get());
    const backend::at_rest::EncryptedStore store(disk.get(), &ciphers);
    Found found;
    for (uint64_t log = 0; log < 16; ++log) {
      const auto raw = disk->Read({number, log}, 0, 1 << 20);
      if (!raw.ok() || raw->empty()) continue;
      found.there += raw->size();
      const auto opened = store.Read({number, log}, 0, 1 << 20);
      if (opened.ok()) found.readable += opened->size();
    }
    return found;
  }
  static std::string CopyOf(const std::string& folder, const std::string& name) {
    std::filesystem::copy(folder, folder + name, std::filesystem::copy_options::recursive);
    return folder + name;
  }
  static bool OnDisk(const std::string& folder, std::string_view needle) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      if (entry.is_regular_file() && ReadAll(entry.path().string()).find(needle) != std::string::npos)
        return true;
    }
    return false;
  }

  const crypto::EcdsaKeyPair signer_ = *crypto::EcdsaKeyPair::Generate(RandomSource::System());
  Home home_{kAcme, Uri(kAcme, Role::kApp, "phone")};
  std::optional<Home> their_home_;
  const StreamId stream_ = NewStream();
  const Topic telemetry_ = Topic::Of(TopicKind::kTelemetry, bulb_.entry.member);
};

TEST_F(ErasureTest, OfAnErasedTenantNothingOpensInAnyCopy) {
  constexpr uint32_t kAcmeNumber = 1;
  StopBackend();
  const std::string backup = CopyOf(options_.store.path, ".backup");
  const Found before = Open(backup, kAcmeNumber);
  EXPECT_GT(before.readable, 2u);
  EXPECT_EQ(before.readable, before.there);
  Start();
  const auto open = Phone().Subscribe(home_, {telemetry_});
  ASSERT_TRUE(open->CaughtUp());
  const v1::UsageResponse had = UsageOf(kAcme);

  std::string receipt, again, denied;
  EXPECT_EQ(EraseTenant(As(kGlobex, Role::kAdmin, "eve"), kAcme, &denied).error_code(),
            grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(EraseTenant(Phone(), kAcme, &denied).error_code(), grpc::StatusCode::PERMISSION_DENIED);
  const grpc::Status erased = EraseTenant(Operator(), kAcme, &receipt);
  ASSERT_TRUE(erased.ok()) << erased.error_message();
  EXPECT_EQ(open->End().error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(Phone().FetchFrom(kAcme, home_.id()).error_code(), grpc::StatusCode::UNAUTHENTICATED);

  const Bytes signed_bytes = ToBytes(AsBytes(receipt));
  const auto payload = cose::OpenSign1(signed_bytes, signer_.public_key(), backend::kReceiptTyp, {});
  ASSERT_TRUE(payload.ok()) << payload.status();
  cose::CborReader r(*payload);
  EXPECT_TRUE(r.ReadArrayOf(6).ok());
  EXPECT_EQ(*r.ReadText(), kAcme);
  EXPECT_EQ(*r.ReadUint(), kAcmeNumber);
  EXPECT_TRUE(r.ReadBytes()->empty());
  EXPECT_EQ(absl::FromUnixMicros(static_cast<int64_t>(*r.ReadUint())),
            absl::FromUnixMicros(absl::ToUnixMicros(clock_.Now())));
  EXPECT_EQ(*r.ReadUint(), had.stored_groups());
  EXPECT_EQ(*r.ReadUint(), had.stored_bytes());
  EXPECT_TRUE(EraseTenant(Operator(), kAcme, &again).ok());  // lost on its way: asked for again

  EXPECT_TRUE(Spy().FetchFrom(kGlobex, their_home_->id()).ok());
  for (int i = 0; i < 2; ++i) {  // the configuration still names it
    Restart();
    EXPECT_EQ(Phone().FetchFrom(kAcme, home_.id()).error_code(), grpc::StatusCode::UNAUTHENTICATED);
    EXPECT_TRUE(Spy().FetchFrom(kGlobex, their_home_->id()).ok());
  }
  StopBackend();
  EXPECT_EQ(Open(options_.store.path, kAcmeNumber).there, 0u);
  const Found after = Open(backup, kAcmeNumber);
  EXPECT_EQ(after.there, before.there);
  EXPECT_EQ(after.readable, 0u);
  for (const std::string& folder : {options_.store.path, backup, options_.store.path + ".keys"})
    EXPECT_FALSE(OnDisk(folder, kCanary)) << folder;
}

TEST_F(ErasureTest, AnErasedNameCanBeCreatedAnewAndFindsNothing) {
  std::string receipt;
  ASSERT_TRUE(EraseTenant(Operator(), kAcme, &receipt).ok());
  v1::TenantAdmin::Stub stub(Operator().channel());
  v1::CreateTenantRequest request;
  request.set_tenant(kAcme);
  request.set_ca_pem(ReadAll(TestPki::Shared().tenant_folder(kAcme) + "/ca.pem"));
  v1::CreateTenantResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(stub.Create(&context, request, &response).ok());
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Phone().FetchFrom(kAcme, home_.id()).error_code(), grpc::StatusCode::NOT_FOUND);
    EXPECT_EQ(UsageOf(kAcme).stored_bytes(), 0u);
    Restart();
  }
  Home fresh(kAcme, Uri(kAcme, Role::kApp, "phone"));
  EXPECT_TRUE(Phone().Submit(fresh, fresh.Make()).ok());
}

// What fails half-way gives no receipt, and goes on where it stopped.
TEST_F(ErasureTest, AReceiptIsOnlyOfWhatIsErased) {
  const std::string in_the_way = options_.store.path + ".keys/00000001/in-the-way";
  std::filesystem::create_directory(in_the_way);
  std::string receipt;
  v1::TenantAdmin::Stub stub(Operator().channel());
  v1::CreateTenantRequest create;
  create.set_tenant(kAcme);
  create.set_ca_pem(ReadAll(TestPki::Shared().tenant_folder(kAcme) + "/ca.pem"));
  for (int i = 0; i < 2; ++i) {
    EXPECT_FALSE(EraseTenant(Operator(), kAcme, &receipt).ok());
    EXPECT_EQ(receipt, "");
    EXPECT_EQ(Phone().FetchFrom(kAcme, home_.id()).error_code(), grpc::StatusCode::UNAUTHENTICATED);
    v1::CreateTenantResponse created;
    grpc::ClientContext context;
    EXPECT_EQ(stub.Create(&context, create, &created).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  }
  std::filesystem::remove(in_the_way);
  EXPECT_TRUE(EraseTenant(Operator(), kAcme, &receipt).ok());
  EXPECT_NE(receipt, "");
  StopBackend();
  EXPECT_EQ(Open(options_.store.path, 1).there, 0u);
}

TEST_F(ErasureTest, ATenantWhoseKeyIsGoneDoesNotKeepTheOthersFromBeingServed) {
  StopBackend();
  std::filesystem::rename(options_.store.path + ".keys/00000001", options_.store.path + ".keys/elsewhere");
  Start();
  EXPECT_EQ(Phone().FetchFrom(kAcme, home_.id()).error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_TRUE(Spy().FetchFrom(kGlobex, their_home_->id()).ok());
  StopBackend();
  std::filesystem::rename(options_.store.path + ".keys/elsewhere", options_.store.path + ".keys/00000001");
  Start();
  EXPECT_TRUE(Phone().FetchFrom(kAcme, home_.id()).ok());
}

TEST_F(ErasureTest, WithoutAKeyToSignWithNothingIsErased) {
  options_.sign = nullptr;
  Restart();
  std::string receipt;
  EXPECT_EQ(EraseTenant(Operator(), kAcme, &receipt).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(EraseHome(Operator(), home_.id(), &receipt).error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(Phone().Subscribe(home_, {telemetry_})->Next(), Optional(FromBulb(0)));
}

TEST_F(ErasureTest, OneInstantiationGoesAndItsNeighbourStays) {
  Home other(kAcme, Uri(kAcme, Role::kApp, "phone"));
  const std::string founded = other.Make();
  ASSERT_TRUE(Phone().Submit(other, founded).ok());
  other.Take(founded);
  StopBackend();
  const std::string backup = CopyOf(options_.store.path, ".backup");
  const Found before = Open(backup, 1);
  Start();
  const auto open = Phone().Subscribe(home_, {telemetry_});
  ASSERT_TRUE(open->CaughtUp());
  const uint64_t had = UsageOf(kAcme).stored_groups();
  std::string receipt;
  ASSERT_TRUE(EraseHome(As(kAcme, Role::kAdmin, "alice"), home_.id(), &receipt).ok());
  EXPECT_EQ(open->End().error_code(), grpc::StatusCode::NOT_FOUND);
  const Bytes signed_bytes = ToBytes(AsBytes(receipt));
  EXPECT_TRUE(cose::OpenSign1(signed_bytes, signer_.public_key(), backend::kReceiptTyp, {}).ok());
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Phone().FetchFrom(kAcme, home_.id()).error_code(), grpc::StatusCode::NOT_FOUND);
    EXPECT_EQ(Bulb().Publish(FromBulb(1)).code(), grpc::StatusCode::NOT_FOUND);
    EXPECT_TRUE(Phone().FetchFrom(kAcme, other.id()).ok());
    EXPECT_EQ(UsageOf(kAcme).instantiations(), 1u);
    EXPECT_EQ(UsageOf(kAcme).stored_groups(), 1u);
    Restart();
  }
  EXPECT_TRUE(EraseHome(Operator(), home_.id(), &receipt).ok());  // nothing is left of it: the same answer
  StopBackend();
  const Found after = Open(backup, 1);
  EXPECT_EQ(after.there, before.there);
  EXPECT_EQ(after.readable, before.readable - (had - 1));
}

}  // namespace
}  // namespace keystead::testing
