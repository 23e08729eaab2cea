#include "core/transport/status_mapping.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace keystead {
namespace {

TEST(StatusMappingTest, KeepsTheCodeAndNotTheText) {
  std::set<std::string> sentences;
  for (int code = 1; code <= 16; ++code) {
    const absl::Status status(static_cast<absl::StatusCode>(code), "secret detail");
    const grpc::Status peer = ToPeer(status);
    const int expected = code == 2 ? 13 : code;  // kUnknown is told as INTERNAL
    EXPECT_EQ(static_cast<int>(peer.error_code()), expected);
    EXPECT_EQ(peer.error_message().find("secret"), std::string::npos);
    EXPECT_FALSE(peer.error_message().empty());
    sentences.insert(peer.error_message());
    EXPECT_EQ(static_cast<int>(FromGrpc(peer).code()), expected);
  }
  EXPECT_EQ(sentences.size(), 15u);
  EXPECT_TRUE(ToPeer(absl::OkStatus()).ok());
  EXPECT_TRUE(FromGrpc(grpc::Status::OK).ok());
}

TEST(StatusMappingTest, EveryFailureOfOneCodeLooksTheSame) {
  EXPECT_EQ(ToPeer(absl::NotFoundError("not yours")).error_message(),
            ToPeer(absl::NotFoundError("absent")).error_message());
}

TEST(StatusMappingTest, TamesWhatAPeerSays) {
  const absl::Status status =
      FromGrpc({grpc::StatusCode::NOT_FOUND, "a\nb\x1b[31m\xff" + std::string(1000, 'x')});
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message().size(), 256u);
  EXPECT_EQ(status.message().substr(0, 9), "a?b?[31m?");
}

TEST(StatusMappingTest, UnknownCodesAreInternal) {
  for (const int code : {2, 17, 31, -1}) {  // beyond 31 gRPC's own header may not load it
    EXPECT_EQ(FromGrpc({static_cast<grpc::StatusCode>(code), "x"}).code(), absl::StatusCode::kInternal)
        << code;
  }
}

TEST(StatusMappingTest, KnowsWhatMayBeTriedAgain) {
  EXPECT_TRUE(IsTransient(absl::UnavailableError("")));
  EXPECT_TRUE(IsTransient(absl::ResourceExhaustedError("")));
  EXPECT_TRUE(IsTransient(absl::DeadlineExceededError("")));
  EXPECT_TRUE(IsTransient(absl::AbortedError("")));
  EXPECT_FALSE(IsTransient(absl::PermissionDeniedError("")));
  EXPECT_FALSE(IsTransient(absl::UnauthenticatedError("")));
  EXPECT_FALSE(IsTransient(absl::OkStatus()));
}

}  // namespace
}  // namespace keystead
