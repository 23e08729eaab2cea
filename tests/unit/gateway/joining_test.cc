// Whose a gateway may become: what somebody with a photograph of its label can and cannot do.
#include <filesystem>

#include "core/sealing/joining.h"
#include "tests/unit/gateway/gateway_fixture.h"

namespace keystead::testing {
namespace {

class GatewayJoiningTest : public GatewayTest {
 protected:
  // The commit has come down, and is nobody's way in: not now and not after another start.
  void ExpectNobodysAfter(const Payload& commit) {
    const uint64_t before = gateway_->GetStats().down.stored;
    upstream_.Place({commit});
    Await([&] { return gateway_->GetStats().down.stored > before; }, "the commit in the local keyring");
    EXPECT_FALSE(gateway_->GetStats().lan.belongs);
    for (int i = 0; i < 2; ++i) {
      Stop();
      EXPECT_FALSE(std::filesystem::exists(options_.state + "/member"));
      Start();
      EXPECT_FALSE(gateway_->GetStats().lan.belongs);
    }
  }
};

TEST_F(GatewayJoiningTest, AContestedGatewayIsNobodysHoweverLateTheFirstClaimantsCommitComes) {
  Start();
  home_.PairByLabel(options_.label_out, upstream_.Mailboxes());
  Household rival;
  rival.Claim(options_.label_out, upstream_.Mailboxes());
  Await([&] { return Events(SecurityEventKind::kJoinRefused) == 1; }, "contested");
  ExpectNobodysAfter(home_.Commit());
}

TEST_F(GatewayJoiningTest, AnOfferThatNobodyTookUpInADayIsOver) {
  Start();
  home_.PairByLabel(options_.label_out, upstream_.Mailboxes());
  clock_.Advance(kOfferedFor + absl::Minutes(1));
  ExpectNobodysAfter(home_.Commit());
}

TEST_F(GatewayJoiningTest, ItIsTheOwnersFromTheCommitOnWhateverComesAfterIt) {
  StartInHome();
  Household rival;
  rival.Claim(options_.label_out, upstream_.Mailboxes());
  clock_.Advance(kOfferedFor + absl::Minutes(1));
  Stop();
  Start();
  AwaitBelonging();
}

}  // namespace
}  // namespace keystead::testing
