// With one protection switched off exactly the cells named for it fail: the matrix sees, and no protection
// stands in for another unnoticed. Only where the preset builds mutants.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_join.h"
#include "backend/policy.h"
#include "keystead/v1/transport.pb.h"
#include "tests/isolation/matrix.h"

namespace keystead::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

bool IsOf(const Cell& cell, std::string_view service) {
  return cell.method.find(service) != std::string::npos;
}
bool IsAllowed(const Cell& cell) { return backend::MakePolicy().Allows(cell.method, cell.role); }

// What each mutant lets through.
struct Broken {
  std::string mutant;
  std::function<bool(const Cell&)> fails;
};

std::vector<Broken> Mutants() {
  return {
      // Apps and gateways of another tenant (core/transport/roster_gate.cc). Commits still want the owner's
      // signature, but the answer now tells that the tenant was looked at.
      {"tenant_filter_off",
       [](const Cell& cell) {
         return cell.standing == Standing::kForeign && IsAllowed(cell) &&
                (cell.role == Role::kApp || cell.role == Role::kGateway) &&
                (IsOf(cell, ".Transport/") || IsOf(cell, ".Registry/"));
       }},
      // Whatever the name on the certificate may do, the forger may.
      {"issuer_binding_off", [](const Cell& cell) { return cell.standing == Standing::kForger; }},
      // Within a tenant nothing but the roster tells households apart. Commits are decided by signature.
      {"roster_ignored",
       [](const Cell& cell) {
         return cell.standing == Standing::kSibling && IsAllowed(cell) &&
                (IsOf(cell, ".Transport/") || IsOf(cell, ".Registry/Fetch"));
       }},
  };
}

class MutantsTest : public ::testing::TestWithParam<Broken> {};

TEST_P(MutantsTest, FailsInExactlyTheCellsNamedForIt) {
  Provider provider(GetParam().mutant);
  std::set<std::string> named;
  for (const Cell& cell : AllCells()) {
    if (GetParam().fails(cell)) named.insert(cell.Name());
  }
  std::set<std::string> failed;
  RunCells(provider, AllCells(), [&](const Finding& finding) {
    if (finding.wrong.empty()) return;
    const std::string name = finding.cell.Name();
    failed.insert(name);
    EXPECT_TRUE(named.contains(name))
        << name << " does not hold, and should: " << absl::StrJoin(finding.wrong, "; ");
  });
  for (const std::string& name : named) EXPECT_TRUE(failed.contains(name)) << name << " does not notice";
  EXPECT_THAT(named, Not(IsEmpty()));
}

INSTANTIATE_TEST_SUITE_P(All, MutantsTest, ::testing::ValuesIn(Mutants()),
                         [](const auto& info) { return info.param.mutant; });

// As it is, in hex, and in base64 wherever it may begin.
std::vector<std::string> FormsOf(std::string_view text) {
  const std::string hex = ToHex(AsBytes(text));
  std::vector<std::string> out = {std::string(text), hex, absl::AsciiStrToUpper(hex)};
  for (size_t shift = 0; shift < 3; ++shift) {
    // Of whole groups of three bytes: what stands beside the text does not change these characters.
    const size_t from = (3 - shift) % 3;
    out.push_back(absl::Base64Escape(Absl(text.substr(from, (text.size() - from) / 3 * 3))));
  }
  return out;
}

bool Holds(const std::string& bytes, std::string_view text) {
  const std::vector<std::string> forms = FormsOf(text);
  return std::any_of(forms.begin(), forms.end(),
                     [&](const std::string& form) { return bytes.find(form) != std::string::npos; });
}

std::vector<std::string> Subscribed(const Provider::Channel& as, const Household& to, const Topic& topic) {
  v1::SubscribeRequest request;
  request.set_tenant(to.tenant().str());
  request.set_instantiation(to.id().ToString());
  request.add_topics()->set_topic(topic.str());
  std::vector<std::string> groups;
  Exchange(as, "/keystead.v1.Transport/Subscribe", request.SerializeAsString(),
           [&](const std::string& bytes) {
             v1::SubscribeResponse response;
             response.ParseFromString(bytes);
             for (const v1::TopicEntries& entries : response.topics()) {
               groups.insert(groups.end(), entries.groups().begin(), entries.groups().end());
               if (entries.caught_up()) return true;
             }
             return false;
           });
  return groups;
}

TEST(KeysAloneTest, WhereTheTenantFilterIsBrokenContentStillDoesNotOpen) {
  for (const std::string before : {"", "x", "xy"}) {
    const std::string planted = before + std::string(kCanary) + "z";
    EXPECT_TRUE(Holds(planted, kCanary) && Holds(ToHex(AsBytes(planted)), kCanary) &&
                Holds(absl::Base64Escape(planted), kCanary))
        << "the search does not see";
  }
  Provider provider("tenant_filter_off");
  for (size_t attacker = 0; attacker < kTenants; ++attacker) {
    const size_t victim = 1 - attacker;
    const Household& theirs = provider.household(victim, 1);
    const std::vector<std::string> groups =
        Subscribed(provider.MemberOf(provider.household(attacker, 0), Role::kApp), theirs,
                   theirs.TopicOf(TopicKind::kTelemetry));
    ASSERT_THAT(groups, Not(IsEmpty())) << "the filter is not broken";
    for (const std::string& group : groups) {
      EXPECT_FALSE(Holds(group, kCanary));
      for (size_t h = 0; h < kHouseholds; ++h) {
        for (const Role role : {Role::kApp, Role::kDevice, Role::kGateway, Role::kThirdParty, Role::kService})
          EXPECT_THAT(provider.household(attacker, h).Opened(role, group), IsEmpty());
      }
      // Whom it is for reads it: owner, device and the two readers, and the courier does not.
      EXPECT_THAT(absl::StrJoin(theirs.Opened(Role::kApp, group), ""), HasSubstr(std::string(kCanary)));
      EXPECT_THAT(absl::StrJoin(theirs.Opened(Role::kService, group), ""), HasSubstr(std::string(kCanary)));
      EXPECT_THAT(theirs.Opened(Role::kGateway, group), IsEmpty());
    }
  }
}

}  // namespace
}  // namespace keystead::testing
