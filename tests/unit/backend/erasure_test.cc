// What is left of a tenant, or of one instantiation, that was erased: a receipt, and nothing else in any
// copy.
#include <gmock/gmock.h>

#include <filesystem>

#include "core/cose/cbor.h"
#include "tests/unit/backend/erasure_fixture.h"

namespace keystead::testing {
namespace {

using ::testing::Optional;

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
