#include "tests/load/terminal.h"

#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/base/bytes.h"

namespace keystead::load {
namespace {

using nlohmann::json;

constexpr int kBar = 28;
constexpr char kRed[] = "\x1b[31;1m";
constexpr char kGreen[] = "\x1b[32m";
constexpr char kDim[] = "\x1b[2m";
constexpr char kPlain[] = "\x1b[0m";

std::string Paint(const std::string& text, const char* colour, bool colours) {
  return colours ? absl::StrCat(colour, text, kPlain) : text;
}

std::string Milliseconds(const json& us) {
  return us.is_number() ? absl::StrFormat("%.2f", us.get<double>() / 1000) : "-";
}

std::string Number(const json& value, int digits) {
  return value.is_number() ? absl::StrFormat("%.*f", digits, value.get<double>()) : "-";
}

std::string Bar(double share) {
  std::string out;
  for (int i = 0; i < kBar; ++i) out += i < share * kBar ? "█" : "░";
  return out;
}

class Terminal final : public Progress {
 public:
  explicit Terminal(bool live) : live_(live) {}
  ~Terminal() override { Erase(); }

  void Step(const std::string& what) override {
    Erase();
    std::printf("%s\n", what.c_str());
    std::fflush(stdout);
  }

  void Now(const Moment& moment) override {
    if (!live_) return Line(moment);
    Erase();
    std::printf("[%zu/%zu] %-18s %s %3.0f %%  %s\n", moment.episode + 1, moment.episodes,
                std::string(BehaviourName(moment.behaviour)).c_str(), Bar(moment.share).c_str(),
                100 * moment.share, std::string(PhaseName(moment.phase)).c_str());
    std::printf("      victims: %.0f/s acknowledged, p99 %s ms", moment.goodput_per_second,
                moment.p99_us ? absl::StrFormat("%.2f", *moment.p99_us / 1000.0).c_str() : "-");
    if (moment.alone_per_second > 0) std::printf("   (alone: %.0f/s)", moment.alone_per_second);
    std::printf("\n");
    std::fflush(stdout);
    drawn_ = 2;
  }

  void Episode(const json& episode) override {
    Erase();
    const json& ratios = episode["ratios"];
    bool met = true;
    for (const json& aim : episode["aims"]) met = met && aim["met"].get<bool>();
    const std::string verdict = met ? Paint("aims met", kGreen, live_) : Paint("an aim missed", kRed, live_);
    std::printf("%-18s p99 %s ms alone, × %s with neighbour; goodput × %s; Jain %s; back in %s s: %s\n",
                episode["behaviour"].get<std::string>().c_str(),
                Milliseconds(episode["phases"]["alone"]["p99_us"]).c_str(), Number(ratios["p99"], 2).c_str(),
                Number(ratios["goodput"], 3).c_str(), Number(episode["jain"], 4).c_str(),
                Number(episode["recovery_seconds"], 2).c_str(), verdict.c_str());
    std::fflush(stdout);
  }

 private:
  void Line(const Moment& moment) {
    if (moment.phase == phase_ && moment.episode == episode_) return;
    phase_ = moment.phase;
    episode_ = moment.episode;
    std::printf("%s: %s\n", std::string(BehaviourName(moment.behaviour)).c_str(),
                std::string(PhaseName(moment.phase)).c_str());
    std::fflush(stdout);
  }

  void Erase() {
    for (; drawn_ > 0; --drawn_) std::printf("\x1b[1A\x1b[2K");
  }

  const bool live_;
  int drawn_ = 0;  // lines that the next picture replaces
  std::optional<Phase> phase_;
  size_t episode_ = 0;
};

void PrintEpisodes(const json& episodes, bool colours) {
  std::printf("\n%-18s %9s %9s %7s %7s %7s %7s %8s %7s %9s %5s %5s\n", "behaviour", "p99 alone", "p99 with",
              "×p50", "×p90", "×p99", "×p99.9", "goodput", "Jain", "back in s", "gen", "srv");
  for (const json& episode : episodes) {
    const json& ratios = episode["ratios"];
    const json& with = episode["phases"]["neighbour"];
    const json& cpu = with["cpu"];
    std::printf(
        "%-18s %9s %9s %7s %7s %7s %7s %8s %7s %9s %4.0f%% %5s",
        episode["behaviour"].get<std::string>().c_str(),
        Milliseconds(episode["phases"]["alone"]["p99_us"]).c_str(), Milliseconds(with["p99_us"]).c_str(),
        Number(ratios["p50"], 2).c_str(), Number(ratios["p90"], 2).c_str(), Number(ratios["p99"], 2).c_str(),
        Number(ratios["p99_9"], 2).c_str(), Number(ratios["goodput"], 3).c_str(),
        Number(episode["jain"], 4).c_str(), Number(episode["recovery_seconds"], 2).c_str(),
        100 * cpu["generator"].get<double>(),
        cpu["server"].is_number() ? absl::StrFormat("%.0f%%", 100 * cpu["server"].get<double>()).c_str()
                                  : "-");
    for (const json& aim : episode["aims"]) {
      if (!aim["met"].get<bool>())
        std::printf(" %s", Paint("✗ " + aim["name"].get<std::string>(), kRed, colours).c_str());
    }
    std::printf("\n");
  }
}

void PrintErrors(const json& episodes) {
  for (const json& episode : episodes) {
    for (const auto& [code, of] : episode["errors"].items()) {
      std::printf("%s: victims' %s of 1,000 records: %s alone, %s with the neighbour (× %s)\n",
                  episode["behaviour"].get<std::string>().c_str(), code.c_str(),
                  Number(of["alone_per_1000"], 2).c_str(), Number(of["with_per_1000"], 2).c_str(),
                  Number(of["ratio"], 2).c_str());
    }
  }
}

void PrintSweep(const json& sweep, bool colours) {
  std::printf("\n%7s %12s %10s %13s %13s %11s %13s %11s %12s %5s\n", "tenants", "connections", "records/s",
              "srv µs/record", "gen µs/record", "µs/connect", "bytes/connect", "µs/tenant", "bytes/tenant",
              "gen");
  for (const json& row : sweep["rows"]) {
    std::printf("%7d %12.0f %10.0f %13.2f %13.2f %11.0f %13.0f %11.0f %12.0f %4.0f%%\n",
                row["tenants"].get<int>(), row["connections"].get<double>(),
                row["records_per_second"].get<double>(), row["server_cpu_us_per_record"].get<double>(),
                row["generator_cpu_us_per_record"].get<double>(),
                row["per_connection"]["cpu_us"].get<double>(), row["per_connection"]["bytes"].get<double>(),
                row["per_tenant"]["cpu_us"].get<double>(), row["per_tenant"]["bytes"].get<double>(),
                100 * row["generator_share"].get<double>());
  }
  for (const json& aim : sweep["aims"]) {
    const bool met = aim["met"].get<bool>();
    std::printf("throughput %s: × %s %s\n", aim["aim"].get<std::string>().c_str(),
                Number(aim["measured"], 3).c_str(),
                Paint(met ? "✓" : "✗", met ? kGreen : kRed, colours).c_str());
  }
}

void PrintConnections(const json& connections, bool colours) {
  std::printf("%d devices, each with a certificate and a connection of its own",
              connections["devices"].get<int>());
  if (!connections["verified"].get<bool>()) {
    std::printf("; not verified with the backend's own counts (%s)\n",
                connections["not_verified_because"].get<std::string>().c_str());
    return;
  }
  const std::string text =
      absl::StrFormat("the backend itself counts %d connections and %d certificates, and should count %d",
                      connections["backend_connections"].get<int>(),
                      connections["backend_certificates"].get<int>(), connections["expected"].get<int>());
  const bool equal = connections["equal"].get<bool>();
  std::printf("; %s\n", Paint(text, equal ? kGreen : kRed, colours).c_str());
}

}  // namespace

std::unique_ptr<Progress> MakeTerminal(bool live) { return std::make_unique<Terminal>(live); }

void PrintReport(const json& report, bool colours) {
  if (report.contains("connections")) PrintConnections(report["connections"], colours);
  if (!report["episodes"].empty()) PrintEpisodes(report["episodes"], colours);
  PrintErrors(report["episodes"]);
  if (report.contains("sweep")) PrintSweep(report["sweep"], colours);
  for (const json& why : report["doubts"])
    std::printf("%s\n", Paint("doubtful: " + why.get<std::string>(), kDim, colours).c_str());
  for (const json& why : report["invalid"])
    std::printf("%s\n", Paint("INVALID: " + why.get<std::string>(), kRed, colours).c_str());
  std::fflush(stdout);
}

}  // namespace keystead::load
