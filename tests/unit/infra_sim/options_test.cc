#include "infra-sim/options.h"

#include <gtest/gtest.h>

#include "infra-sim/ctl.h"

namespace keystead::infra {
namespace {

RunArguments Good() {
  RunArguments out;
  out.tcp = {"name=wire,listen=127.0.0.1:0,upstream=127.0.0.1:7443"};
  out.balancers = {"name=front,listen=127.0.0.1:0,chain=c,key=k,roots=r"};
  out.upstreams = {
      "balancer=front,tenant=acme.keystead.example,address=127.0.0.1:1,chain=c,key=k,roots=r,"
      "server=spiffe://provider-one.example/service/*"};
  out.tenants = "tenants";
  return out;
}

TEST(OptionsTest, ReadsListenersAndUpstreams) {
  const auto options = ParseRunOptions(Good());
  ASSERT_TRUE(options.ok()) << options.status();
  ASSERT_EQ(options->relays.size(), 1u);
  EXPECT_EQ(options->relays[0].upstream, "127.0.0.1:7443");
  ASSERT_EQ(options->balancers.size(), 1u);
  ASSERT_EQ(options->balancers[0].upstreams.size(), 1u);
  EXPECT_EQ(options->balancers[0].upstreams[0].tenant.str(), "acme.keystead.example");
}

void ExpectRefused(const RunArguments& arguments, const std::string& says) {
  const auto options = ParseRunOptions(arguments);
  ASSERT_FALSE(options.ok());
  EXPECT_EQ(options.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(options.status().ToString().find(says), std::string::npos) << options.status();
}

TEST(OptionsTest, SaysWhatIsWrong) {
  ExpectRefused({}, "nothing to listen on");
  auto bad = Good();
  bad.tcp = {"name=wire,listen=127.0.0.1:0"};
  ExpectRefused(bad, "upstream=… is missing");
  bad = Good();
  bad.tcp[0] += ",colour=red";
  ExpectRefused(bad, "unknown key 'colour'");
  bad = Good();
  bad.tcp[0] += ",name=wire";
  ExpectRefused(bad, "twice");
  bad = Good();
  bad.tcp = {"name=front,listen=127.0.0.1:0,upstream=127.0.0.1:1"};
  ExpectRefused(bad, "two listeners are called 'front'");
  bad = Good();
  bad.upstreams.clear();
  ExpectRefused(bad, "has no --upstream");
  bad = Good();
  bad.upstreams[0].replace(9, 5, "other");
  ExpectRefused(bad, "no such balancer");
  bad = Good();
  bad.tenants.clear();
  ExpectRefused(bad, "--tenants");
  bad = Good();
  bad.control_listen = "127.0.0.1:0";
  ExpectRefused(bad, "--control-tls-chain");
}

TEST(OptionsTest, ReadsNamesOfAttacks) {
  EXPECT_EQ(*ParseAttackKind("ack_and_drop"), v1::ATTACK_ACK_AND_DROP);
  EXPECT_EQ(*ParseAttackTarget("cose_partial_iv"), v1::TARGET_COSE_PARTIAL_IV);
  EXPECT_FALSE(ParseAttackKind("unspecified").ok());
  const auto unknown = ParseAttackKind("bribe");
  ASSERT_FALSE(unknown.ok());
  EXPECT_NE(unknown.status().message().find("splice"), absl::string_view::npos);
}

}  // namespace
}  // namespace keystead::infra
