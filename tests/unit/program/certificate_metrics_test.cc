#include "core/program/certificate_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/identity/certificate_files.h"
#include "tests/unit/identity/test_pki.h"

namespace keystead {
namespace {

using ::testing::HasSubstr;
using testing::kAcme;
using ::testing::Not;
using testing::TestPki;

class CertificateMetricsTest : public ::testing::Test {
 protected:
  std::string ChainThatLasts(absl::Duration lifetime) {
    LeafRequest request = pki_.Request("spiffe://acme.keystead.example/device/d1");
    request.not_after = clock_.Now() + lifetime;
    return pki_.Store(*pki_.Issuer(pki_.tenant_folder(kAcme)).Issue(request), pki_.provider_roots()).chain;
  }
  // What is served for `use`.
  static double Remaining(std::string_view use) {
    const std::string line =
        absl::StrCat("\nkeystead_certificate_remaining_seconds{use=\"", std::string(use), "\"} ");
    const std::string text = RenderMetrics();
    const size_t at = text.find(line);
    EXPECT_NE(at, std::string::npos) << text;
    return at == std::string::npos ? 0 : std::stod(text.substr(at + line.size()));
  }

  TestPki& pki_ = TestPki::Shared();
  ManualClock clock_{absl::Now()};
};

TEST_F(CertificateMetricsTest, ServesTheTimeThatIsLeftAlsoWhenThereIsNoneLeft) {
  const std::string chain = ChainThatLasts(absl::Hours(5));
  const CertificateMetrics metrics({{"own", chain}, {"factory", ""}}, &clock_);
  EXPECT_NEAR(Remaining("own"), 5 * 3600, 2);
  EXPECT_THAT(RenderMetrics(), Not(HasSubstr("use=\"factory\"")));
  EXPECT_THAT(RenderMetrics(), HasSubstr("keystead_certificate_unreadable_files 0\n"));
  clock_.Advance(absl::Hours(6));
  EXPECT_NEAR(Remaining("own"), -3600, 2);
}

TEST_F(CertificateMetricsTest, OfSeveralTheOneCountsThatEndsFirst) {
  const CertificateMetrics metrics(
      {{"own", ChainThatLasts(absl::Hours(5))}, {"own", ChainThatLasts(absl::Hours(2))}}, &clock_);
  EXPECT_NEAR(Remaining("own"), 2 * 3600, 2);
}

TEST_F(CertificateMetricsTest, FollowsAFileThatIsRenewedInPlace) {
  const std::string chain = ChainThatLasts(absl::Hours(1));
  const CertificateMetrics metrics({{"own", chain}}, &clock_);
  EXPECT_NEAR(Remaining("own"), 3600, 2);
  testing::WriteAll(chain, testing::ReadAll(ChainThatLasts(absl::Hours(9))));
  clock_.Advance(absl::Seconds(11));
  EXPECT_NEAR(Remaining("own"), 9 * 3600 - 11, 2);
  testing::WriteAll(chain, "not a certificate");
  clock_.Advance(absl::Seconds(11));
  EXPECT_THAT(RenderMetrics(), HasSubstr("keystead_certificate_unreadable_files 1\n"));
  EXPECT_THAT(RenderMetrics(), Not(HasSubstr("keystead_certificate_remaining_seconds{")));
}

// The leaf is good for longer than what leads to its root.
TEST_F(CertificateMetricsTest, AChainLastsAsLongAsItsShortestCertificate) {
  const std::string chain = ChainThatLasts(absl::Hours(9));
  testing::WriteAll(chain, testing::ReadAll(chain) + testing::ReadAll(ChainThatLasts(absl::Hours(3))));
  const CertificateMetrics metrics({{"own", chain}}, &clock_);
  EXPECT_NEAR(Remaining("own"), 3 * 3600, 2);
}

}  // namespace
}  // namespace keystead
