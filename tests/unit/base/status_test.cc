#include "core/base/status.h"

#include <memory>

#include "gtest/gtest.h"

namespace keystead {
namespace {

absl::StatusOr<std::unique_ptr<int>> Make(bool good) {
  if (!good) return absl::DataLossError("lost");
  return std::make_unique<int>(7);
}

absl::Status Check(bool good, int* reached) {
  KS_RETURN_IF_ERROR(Make(good).status());
  ++*reached;
  return absl::OkStatus();
}

absl::StatusOr<int> Twice(bool first, bool second, int* reached) {
  KS_ASSIGN_OR_RETURN(const std::unique_ptr<int> a, Make(first));
  ++*reached;
  std::unique_ptr<int> b;
  KS_ASSIGN_OR_RETURN(b, Make(second));
  ++*reached;
  return *a + *b;
}

TEST(StatusMacrosTest, ReturnIfErrorStopsOnlyOnErrors) {
  int reached = 0;
  EXPECT_TRUE(Check(true, &reached).ok());
  EXPECT_EQ(reached, 1);
  EXPECT_EQ(Check(false, &reached), absl::DataLossError("lost"));
  EXPECT_EQ(reached, 1);
}

TEST(StatusMacrosTest, AssignOrReturnMovesTheValueOrReturnsTheStatus) {
  int reached = 0;
  EXPECT_EQ(*Twice(true, true, &reached), 14);
  EXPECT_EQ(reached, 2);
  reached = 0;
  EXPECT_EQ(Twice(true, false, &reached).status(), absl::DataLossError("lost"));
  EXPECT_EQ(reached, 1);
  reached = 0;
  EXPECT_EQ(Twice(false, true, &reached).status(), absl::DataLossError("lost"));
  EXPECT_EQ(reached, 0);
}

}  // namespace
}  // namespace keystead
