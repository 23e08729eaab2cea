// keystead-isolation-timing: does the time of an answer tell "not yours" from "not there"? Asks a real
// backend both in turn and prints the difference, how sure it is, and the least difference that this run
// would have found.
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <random>

#include "tests/isolation/attack.h"

namespace keystead::testing {
namespace {

constexpr int kWarmUp = 50;
constexpr size_t kSubmitPairs = 200;  // a peer may try 500 commits before its rate holds
constexpr double kKept = 0.9;         // of the pairs: the slowest are the machine's
constexpr int kFlips = 2000;
constexpr double kTwoSided95 = 1.96;
constexpr double kFoundIn80 = 1.96 + 0.84;  // standard errors that a test at 5 % finds four times in five

struct Pair {
  double not_yours = 0;  // µs
  double not_there = 0;
};

double MicrosecondsOf(const Attack& attack, const std::string& method, const std::string& request) {
  const absl::Time begin = absl::Now();
  Exchange(attack.channel(), method, request);
  return absl::ToDoubleMicroseconds(absl::Now() - begin);
}

std::vector<Pair> Measure(Provider& provider, const Cell& cell, size_t pairs, std::mt19937& random) {
  const Attack attack(provider, cell);
  const std::string& decoy = attack.decoys().front();
  for (int i = 0; i < kWarmUp; ++i) {
    MicrosecondsOf(attack, cell.method, attack.request());
    MicrosecondsOf(attack, cell.method, decoy);
  }
  std::vector<Pair> out(pairs);
  for (Pair& pair : out) {
    const bool first = (random() & 1) != 0;
    if (first) pair.not_yours = MicrosecondsOf(attack, cell.method, attack.request());
    pair.not_there = MicrosecondsOf(attack, cell.method, decoy);
    if (!first) pair.not_yours = MicrosecondsOf(attack, cell.method, attack.request());
    provider.backend().TakeEvents();
  }
  return out;
}

struct Difference {
  size_t pairs = 0;
  double answer = 0;  // median time of "not there"
  double mean = 0;    // not yours, less not there
  double error = 0;   // standard error of the mean
  double chance = 0;  // of so large a mean if the two were the same
};

Difference Compare(std::vector<Pair> pairs, std::mt19937& random) {
  const auto slower = [](const Pair& p) { return std::max(p.not_yours, p.not_there); };
  std::sort(pairs.begin(), pairs.end(), [&](const Pair& a, const Pair& b) { return slower(a) < slower(b); });
  pairs.resize(static_cast<size_t>(static_cast<double>(pairs.size()) * kKept));
  Difference out;
  out.pairs = pairs.size();
  out.answer = pairs[pairs.size() / 2].not_there;
  const auto n = static_cast<double>(pairs.size());
  std::vector<double> differences;
  for (const Pair& p : pairs) differences.push_back(p.not_yours - p.not_there);
  out.mean = std::accumulate(differences.begin(), differences.end(), 0.0) / n;
  double squares = 0;
  for (const double d : differences) squares += (d - out.mean) * (d - out.mean);
  out.error = std::sqrt(squares / (n - 1) / n);
  // If both are answered alike, each difference could as well have the other sign.
  int as_large = 0;
  for (int flip = 0; flip < kFlips; ++flip) {
    double sum = 0;
    for (const double d : differences) sum += (random() & 1) != 0 ? d : -d;
    as_large += std::abs(sum / n) >= std::abs(out.mean) ? 1 : 0;
  }
  out.chance = (as_large + 1.0) / (kFlips + 1.0);
  return out;
}

int Run(size_t pairs, uint32_t seed) {
  std::mt19937 random(seed);
  Provider provider;
  std::printf(
      "not yours - not there, in microseconds; %zu pairs, seed %u, the slowest %.0f %% of pairs left out\n",
      pairs, seed, 100 * (1 - kKept));
  std::printf("%-8s %-10s %6s %8s %8s %20s %7s %12s\n", "standing", "rpc", "pairs", "answer", "mean",
              "95 % interval", "p", "would find");
  for (const Standing standing : {Standing::kForeign, Standing::kSibling}) {
    for (const char* rpc :
         {"Transport/Publish", "Transport/Subscribe", "Registry/Submit", "Registry/Fetch"}) {
      const std::string method = std::string("/keystead.v1.") + rpc;
      const ObjectKind kind = Targets().at(method).front();
      const Cell cell{standing, 0, standing == Standing::kSibling ? size_t{0} : size_t{1}, Role::kApp, method,
                      kind,     0};
      const size_t count = method.ends_with("/Submit") ? std::min(pairs, kSubmitPairs) : pairs;
      const Difference d = Compare(Measure(provider, cell, count, random), random);
      std::printf("%-8s %-10s %6zu %8.1f %+8.2f    [%+7.2f, %+7.2f] %7.3f %12.2f\n",
                  std::string(StandingName(standing)).c_str(), rpc + std::string(rpc).find('/') + 1, d.pairs,
                  d.answer, d.mean, d.mean - kTwoSided95 * d.error, d.mean + kTwoSided95 * d.error, d.chance,
                  kFoundIn80 * d.error);
      std::fflush(stdout);
    }
  }
  return ::testing::Test::HasFailure() ? 1 : 0;
}

}  // namespace
}  // namespace keystead::testing

int main(int argc, char** argv) {
  CLI::App app("Times what a backend answers about another's instantiation against one that does not exist.");
  size_t pairs = 5000;
  uint32_t seed = 1;
  app.add_option("--pairs", pairs, "Pairs of calls of each kind")
      ->check(CLI::Range(100, 10'000'000))
      ->capture_default_str();
  app.add_option("--seed", seed, "Of the order within pairs")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return keystead::testing::Run(pairs, seed);
}
