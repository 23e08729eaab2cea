// Every cell of the attack matrix against a real backend.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "backend/policy.h"
#include "tests/isolation/matrix.h"
#include "tests/unit/identity/test_pki.h"

namespace keystead::testing {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

// A new RPC needs rows in the policy and here before anything else is asked.
TEST(MatrixTest, EveryServedRpcHasItsObjects) {
  std::set<std::string> aimed_at;
  for (const auto& [method, kinds] : Targets()) {
    EXPECT_THAT(kinds, Not(IsEmpty())) << method;
    aimed_at.insert(method);
  }
  for (const std::string& method : ServedMethods())
    EXPECT_EQ(aimed_at.erase(method), 1u) << method << " has no objects: add a row to Targets()";
  EXPECT_THAT(aimed_at, IsEmpty()) << "not served";
  EXPECT_THAT(backend::MakePolicy().Methods(), SizeIs(ServedMethods().size()));
}

// The command of docs/operations.md with which an operator gives a tenant its own lines of the log.
std::string DocumentedFilter() {
  std::ifstream in(std::string(std::getenv("KEYSTEAD_SOURCE_DIR")) + "/docs/operations.md");
  std::string text(std::istreambuf_iterator<char>(in), {});
  const size_t begin = text.find("jq -c --arg tenant ");
  return begin == std::string::npos ? "" : text.substr(begin, text.find("\n```", begin) - begin);
}

std::vector<std::string> LinesFor(const std::string& tenant, const std::string& log) {
  const std::string folder = TestPki::Shared().NewFolder();
  std::ofstream(folder + "/backend.log") << log;
  const std::string command = absl::StrReplaceAll(
      DocumentedFilter(), {{"acme.example", tenant}, {"backend.log", folder + "/backend.log"}});
  EXPECT_EQ(std::system((command + " > " + folder + "/lines").c_str()), 0) << command;
  std::vector<std::string> out;
  std::ifstream lines(folder + "/lines");
  for (std::string line; std::getline(lines, line);) out.push_back(line);
  return out;
}

// After all attacks: what each tenant is given names no other, and of its own peers nothing is missing.
void ExpectLinesOfItsOwn(Provider& provider) {
  const std::string log = provider.backend().Log();
  for (size_t own = 0; own < kTenants; ++own) {
    const std::string tenant = provider.tenant(own).str();
    const std::string other = provider.tenant(1 - own).str();
    const std::vector<std::string> lines = LinesFor(tenant, log);
    size_t of_strangers = 0;
    for (const std::string& line : lines) {
      EXPECT_EQ(line.find(other), std::string::npos) << line;
      if (line.find("(somebody of another tenant)") != std::string::npos) ++of_strangers;
    }
    EXPECT_GT(of_strangers, 0u) << "it is not seen that somebody tried";
    const std::string mark = absl::StrCat("\"tenant\":\"", tenant, "\"");
    size_t wanted = 0;
    for (const absl::string_view line : absl::StrSplit(log, '\n')) wanted += absl::StrContains(line, mark);
    EXPECT_EQ(lines.size(), wanted);
    EXPECT_GT(wanted, kTenants * kVictims) << log.substr(0, 1000);
  }
}

TEST(MatrixTest, EveryCellHolds) {
  Provider provider;
  const std::string revoked[kTenants] = {provider.RevocationsOf(0), provider.RevocationsOf(1)};
  std::set<std::string> observed;
  std::map<std::pair<std::string, Role>, std::set<grpc::StatusCode>> answers;
  RunCells(provider, AllCells(), [&](const Finding& finding) {
    EXPECT_TRUE(finding.wrong.empty()) << finding.cell.Name() << ": " << absl::StrJoin(finding.wrong, "; ");
    EXPECT_TRUE(observed.insert(finding.cell.Name()).second) << finding.cell.Name() << " came twice";
    if (finding.cell.standing != Standing::kForger && !finding.cell.IsFalseOperator())
      answers[{finding.cell.method, finding.cell.role}].insert(finding.code);
  });
  EXPECT_EQ(observed.size(), ExpectedCells());
  ExpectLinesOfItsOwn(provider);
  for (size_t tenant = 0; tenant < kTenants; ++tenant)
    EXPECT_EQ(provider.RevocationsOf(tenant), revoked[tenant]);
  RecordProperty("cells", static_cast<int>(observed.size()));

  // The policy table against what was answered: every denial was met by a real call, every grant got further.
  const AuthorizationPolicy policy = backend::MakePolicy();
  for (const std::string& method : ServedMethods()) {
    for (const Role role : AllRoles()) {
      const auto& codes = answers[{method, role}];
      ASSERT_THAT(codes, Not(IsEmpty())) << method << " was never called as " << RoleName(role);
      if (policy.Allows(method, role)) {
        EXPECT_FALSE(codes.contains(grpc::StatusCode::PERMISSION_DENIED)) << method << " " << RoleName(role);
      } else {
        EXPECT_THAT(codes, ::testing::ElementsAre(grpc::StatusCode::PERMISSION_DENIED))
            << method << " " << RoleName(role);
      }
    }
  }
}

}  // namespace
}  // namespace keystead::testing
