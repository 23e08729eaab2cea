// The real machine. Formats: proc(5); Documentation/driver-api/thermal/sysfs-api.rst and
// Documentation/hwmon/sysfs-interface.rst of the Linux kernel (both report thousandths of a degree Celsius).
#include <sys/statvfs.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "core/base/bytes.h"
#include "device-sim/signals/kinds.h"

namespace keystead::device_sim {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxPseudoFileBytes = 1 << 16;

// Empty when it cannot be read.
std::string ReadSmall(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text(kMaxPseudoFileBytes, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  return text;
}

// "MemTotal:       24684092 kB"
std::optional<double> MemInfo(const std::string& text, std::string_view key) {
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::StartsWith(line, Absl(key))) continue;
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ', absl::SkipEmpty());
    double value = 0;
    if (words.size() >= 2 && words[0] == Absl(key) && absl::SimpleAtod(words[1], &value)) return value;
  }
  return std::nullopt;
}

std::vector<fs::path> SortedEntries(const std::string& folder) {
  std::vector<fs::path> out;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    out.push_back(it->path());
  std::sort(out.begin(), out.end());
  return out;
}

bool ReadsAsNumber(const std::string& path) {
  double ignored = 0;
  return absl::SimpleAtod(absl::StripAsciiWhitespace(ReadSmall(path)), &ignored);
}

// The processor's sensor where one can be told, otherwise the first that answers; empty where there is none.
std::string FindThermometer(const std::string& sys_root) {
  std::string first;
  const auto consider = [&](const fs::path& value, const fs::path& label) -> bool {
    if (!ReadsAsNumber(value.string())) return false;
    if (first.empty()) first = value.string();
    const std::string name = absl::AsciiStrToLower(ReadSmall(label.string()));
    const bool processor = absl::StrContains(name, "cpu") || absl::StrContains(name, "x86_pkg") ||
                           absl::StrContains(name, "coretemp") || absl::StrContains(name, "k10temp");
    if (processor) first = value.string();
    return processor;
  };
  for (const fs::path& zone : SortedEntries(absl::StrCat(sys_root, "/class/thermal"))) {
    if (!absl::StartsWith(zone.filename().string(), "thermal_zone")) continue;
    if (consider(zone / "temp", zone / "type")) return first;
  }
  for (const fs::path& chip : SortedEntries(absl::StrCat(sys_root, "/class/hwmon"))) {
    for (const fs::path& file : SortedEntries(chip.string())) {
      const std::string name = file.filename().string();
      if (!absl::StartsWith(name, "temp") || !absl::EndsWith(name, "_input")) continue;
      if (consider(file, chip / "name")) return first;
    }
  }
  return first;
}

class Host final : public Signal {
 public:
  explicit Host(const SignalOptions& options)
      : proc_(options.proc_root), disk_(options.disk_path), thermometer_(FindThermometer(options.sys_root)) {}

  std::vector<Sample> Take(absl::Time now) override {
    std::vector<Sample> out = {Load(now), Memory(now), Disk(now)};
    if (!thermometer_.empty()) out.push_back(Temperature(now));
    return out;
  }

 private:
  Sample Load(absl::Time now) const {
    const std::string text = ReadSmall(proc_ + "/loadavg");
    const std::vector<absl::string_view> words = absl::StrSplit(text, ' ');
    double load = 0;
    if (!absl::SimpleAtod(words[0], &load)) return BadSample("load", "1", "loadavg cannot be read", now);
    return GoodSample("load", "1", load, now);
  }

  Sample Memory(absl::Time now) const {
    const std::string text = ReadSmall(proc_ + "/meminfo");
    const std::optional<double> total = MemInfo(text, "MemTotal:");
    const std::optional<double> available = MemInfo(text, "MemAvailable:");
    if (!total || !available || *total <= 0 || *available > *total) {
      return BadSample("memory-used", "%", "meminfo cannot be read", now);
    }
    return GoodSample("memory-used", "%", RoundTo(100 * (*total - *available) / *total, 0.01), now);
  }

  // As df(1) counts: of what an ordinary user may use.
  Sample Disk(absl::Time now) const {
    struct statvfs info {};
    if (statvfs(disk_.c_str(), &info) != 0 || info.f_blocks == 0) {
      return BadSample("disk-used", "%", "the file system cannot be examined", now);
    }
    const double used = static_cast<double>(info.f_blocks - info.f_bfree);
    const double usable = used + static_cast<double>(info.f_bavail);
    return GoodSample("disk-used", "%", usable > 0 ? RoundTo(100 * used / usable, 0.01) : 100, now);
  }

  Sample Temperature(absl::Time now) const {
    double millidegrees = 0;
    if (!absl::SimpleAtod(absl::StripAsciiWhitespace(ReadSmall(thermometer_)), &millidegrees)) {
      return BadSample("temperature", "Cel", "the thermometer cannot be read", now);
    }
    return GoodSample("temperature", "Cel", RoundTo(millidegrees / 1000, 0.001), now);
  }

  std::string proc_;
  std::string disk_;
  std::string thermometer_;
};

}  // namespace

std::unique_ptr<Signal> MakeHost(const SignalOptions& options) { return std::make_unique<Host>(options); }

}  // namespace keystead::device_sim
