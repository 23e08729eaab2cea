// main() of every test that links keystead_test_hop: in place of gtest_main's, so that what gRPC still takes down on threads of
// its own when the last test has ended is not taken for a leak.
#include <gmock/gmock.h>
#include <grpc/grpc.h>

int main(int argc, char** argv) {
  testing::InitGoogleMock(&argc, argv);
  const int code = RUN_ALL_TESTS();
  grpc_init();  // a use of our own to end: waits until channels and servers that were let go are gone
  grpc_shutdown_blocking();
  return code;
}
