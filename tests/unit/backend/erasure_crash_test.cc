// The power fails while an instantiation is erased.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

#include "core/base/random.h"
#include "core/storage/fault_injection_fs.h"
#include "tests/unit/backend/instantiation_erasure_fixture.h"

namespace keystead::testing {
namespace {

// The power fails after every write in turn: it is either all there, or nobody's and soon gone.
class InstantiationErasureCrashTest : public InstantiationErasureTest {
 protected:
  InstantiationErasureCrashTest() {
    options_.store.path = TestPki::Shared().NewFolder() + "/crashing";
    options_.store.file_system = fs_;
    options_.store.retry_interval = absl::Milliseconds(20);
    Restart();
  }
  void LosePower() {
    StopBackend();
    fs_->DropUnsynced(random_);
    fs_->PowerOffAfter(UINT64_MAX);
  }
  const std::shared_ptr<storage::FaultInjectionFs> fs_ = std::make_shared<storage::FaultInjectionFs>();
  SeededRandom random_{7};
};

TEST_F(InstantiationErasureCrashTest, ACutShortErasureIsFinishedByTheNextStart) {
  Home witness(kAcme, Uri(kAcme, Role::kApp, "phone"));
  Commit(witness);  // what a tenant has once is there from now on
  size_t erased = 0;
  size_t kept = 0;
  size_t resumed = 0;
  for (uint64_t writes = 1;; ++writes) {
    SCOPED_TRACE(writes);
    StopBackend();
    const std::map<uint32_t, size_t> before = Rows();
    const size_t salts = Salts();
    Start();
    const Resident lamp = MakeResident(MemberKind::kDevice, Uri(kAcme, Role::kDevice, "lamp"));
    Home target(kAcme, Uri(kAcme, Role::kApp, "phone"));
    Fill(target, lamp);
    if (HasFatalFailure()) return;
    std::string receipt;
    fs_->PowerOffAfter(writes);
    const bool answered = EraseHome(Operator(), target.id(), &receipt).ok();
    const bool crashed = fs_->powered_off();
    EXPECT_EQ(answered, !receipt.empty());
    LosePower();
    const bool marked = Rows().count(static_cast<uint32_t>(backend::kErasingTable)) > 0;
    resumed += marked ? 1 : 0;
    Start();
    const grpc::StatusCode found = Phone().FetchFrom(kAcme, target.id()).error_code();
    if (found == grpc::StatusCode::OK) {
      ++kept;
      EXPECT_FALSE(answered);
      const Topic telemetry = Topic::Of(TopicKind::kTelemetry, lamp.entry.member);
      EXPECT_TRUE(Phone().Subscribe(target, {telemetry})->Next().has_value());
      ASSERT_TRUE(EraseHome(Operator(), target.id(), &receipt).ok());
    } else {
      ++erased;
      EXPECT_EQ(found, grpc::StatusCode::NOT_FOUND);
    }
    StopBackend();
    std::map<uint32_t, size_t> expected = before;
    ++expected[static_cast<uint32_t>(backend::kGoneTable)];
    EXPECT_EQ(Rows(), expected);
    EXPECT_EQ(Salts(), salts);
    Start();
    if (!crashed) break;
  }
  EXPECT_GT(kept, 0u);
  EXPECT_GT(erased, 0u);
  EXPECT_GT(resumed, 0u);
}

}  // namespace
}  // namespace keystead::testing
