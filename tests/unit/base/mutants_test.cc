#include "core/base/mutants.h"

#include <cstdlib>

#include "gtest/gtest.h"

namespace keystead {
namespace {

#ifdef KEYSTEAD_MUTANTS

class MutantsDeathTest : public ::testing::Test {
 protected:
  // The environment is read once per process, so every case runs in a process of its own.
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

TEST_F(MutantsDeathTest, SelectedOneIsActiveAndNamedAndNoOther) {
  EXPECT_EXIT(
      {
        setenv("KEYSTEAD_MUTANT", "constant_nonce", 1);
        const bool right = MutantActive(Mutant::kConstantNonce) && !MutantActive(Mutant::kNoSealing) &&
                           !MutantActive(Mutant::kAadOmitsStream) && ActiveMutantName() == "constant_nonce";
        _exit(right ? 0 : 1);
      },
      ::testing::ExitedWithCode(0), "MUTANT constant_nonce");
}

TEST_F(MutantsDeathTest, UnsetOrEmptyMeansNone) {
  for (const char* value : {static_cast<const char*>(nullptr), ""}) {
    EXPECT_EXIT(
        {
          unsetenv("KEYSTEAD_MUTANT");
          if (value != nullptr) setenv("KEYSTEAD_MUTANT", value, 1);
          _exit(ActiveMutantName().empty() && !MutantActive(Mutant::kConstantNonce) ? 0 : 1);
        },
        ::testing::ExitedWithCode(0), "");
  }
}

TEST_F(MutantsDeathTest, UnknownNameEndsTheProcess) {
  EXPECT_EXIT(
      {
        setenv("KEYSTEAD_MUTANT", "constant_nonce2", 1);
        ActiveMutantName();
        _exit(0);
      },
      ::testing::ExitedWithCode(2), "is not known");
}

#else

// In an ordinary build the broken branch is gone before the program starts, whatever the environment says.
static_assert(!MutantActive(Mutant::kAadOmitsStream));
static_assert(!MutantActive(Mutant::kNoSealing));

TEST(MutantsTest, EnvironmentHasNoPowerOverOrdinaryBuilds) {
  setenv("KEYSTEAD_MUTANT", "no_sealing", 1);
  EXPECT_FALSE(MutantActive(Mutant::kNoSealing));
  EXPECT_TRUE(ActiveMutantName().empty());
  unsetenv("KEYSTEAD_MUTANT");
}

#endif

}  // namespace
}  // namespace keystead
