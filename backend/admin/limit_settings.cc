#include "backend/admin/limit_settings.h"

#include <google/protobuf/descriptor.h>

#include <cmath>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "backend/admin/output.h"
#include "core/base/status.h"

namespace keystead::admin {
namespace {

using google::protobuf::FieldDescriptor;

bool IsBytes(const std::string& name) { return name.find("bytes") != std::string::npos; }
bool IsTime(const std::string& name) { return name == "retention_seconds"; }

struct Unit {
  const char* name;
  double factor;
};
constexpr Unit kThousands[] = {{"k", 1e3}, {"M", 1e6}, {"G", 1e9}};
constexpr Unit kByteUnits[] = {{"KiB", 1024.0},
                               {"MiB", 1024.0 * 1024},
                               {"GiB", 1024.0 * 1024 * 1024},
                               {"TiB", 1024.0 * 1024 * 1024 * 1024}};
constexpr Unit kTimeUnits[] = {{"s", 1}, {"min", 60}, {"h", 3600}, {"d", 86400}};

// 0: no such unit.
double FactorOf(const std::string& unit, const std::string& field) {
  if (unit.empty()) return 1;
  for (const Unit& known : kThousands) {
    if (unit == known.name) return known.factor;
  }
  if (IsBytes(field)) {
    for (const Unit& known : kByteUnits) {
      if (unit == known.name) return known.factor;
    }
  }
  if (IsTime(field)) {
    for (const Unit& known : kTimeUnits) {
      if (unit == known.name) return known.factor;
    }
  }
  return 0;
}

absl::StatusOr<double> ParseValue(const std::string& setting, const std::string& field,
                                  const std::string& text) {
  if (text == "none") return 0.0;
  const size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  const double factor = FactorOf(text.substr(digits), field);
  double number = 0;
  if (factor == 0 || !absl::SimpleAtod(text.substr(0, digits), &number) || !std::isfinite(number * factor)) {
    return absl::InvalidArgumentError(absl::StrCat("'", setting, "' has no number that ", field,
                                                   " can be: give one of 0 or more, such as 50",
                                                   IsBytes(field)  ? ", 64k or 2GiB"
                                                   : IsTime(field) ? ", 90min or 30d"
                                                                   : " or 20k",
                                                   ", or none"));
  }
  return number * factor;
}

absl::Status Apply(const std::string& setting, v1::TenantLimits* limits) {
  const size_t equals = setting.find('=');
  const std::string name = setting.substr(0, equals);
  const FieldDescriptor* const field = v1::TenantLimits::descriptor()->FindFieldByName(name);
  if (equals == std::string::npos || field == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", setting, "' sets no limit: give KEY=VALUE with one of ", SettingsHelp()));
  }
  KS_ASSIGN_OR_RETURN(const double value, ParseValue(setting, name, setting.substr(equals + 1)));
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE) {
    limits->GetReflection()->SetDouble(limits, field, value);
    return absl::OkStatus();
  }
  constexpr double kMaxExact = 9007199254740992.0;  // 2^53: beyond it a double skips whole numbers
  if (value > kMaxExact || value != std::floor(value))
    return absl::InvalidArgumentError(absl::StrCat("'", setting, "': give a whole number below 2^53"));
  limits->GetReflection()->SetUInt64(limits, field, static_cast<uint64_t>(value));
  return absl::OkStatus();
}

std::string Describe(const std::string& name, double value) {
  if (value == 0) {
    if (name == "weight") return "1";
    return name == "records_burst" || name == "bytes_burst" ? "one second of the rate" : "no limit";
  }
  const std::string rate = name.ends_with("_per_second") ? " a second" : "";
  if (IsTime(name)) return DurationText(static_cast<uint64_t>(value));
  if (IsBytes(name)) return ByteCount(value) + rate;
  if (value == std::floor(value)) return GroupedNumber(static_cast<uint64_t>(value)) + rate;
  return Plain(value) + rate;
}

}  // namespace

absl::Status ApplySettings(const std::vector<std::string>& settings, v1::TenantLimits* limits) {
  v1::TenantLimits changed = *limits;
  for (const std::string& setting : settings) KS_RETURN_IF_ERROR(Apply(setting, &changed));
  *limits = std::move(changed);
  return absl::OkStatus();
}

std::string DescribeLimits(const v1::TenantLimits& limits) {
  std::string out;
  const auto& type = *v1::TenantLimits::descriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor* const field = type.field(i);
    const double value = field->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE
                             ? limits.GetReflection()->GetDouble(limits, field)
                             : static_cast<double>(limits.GetReflection()->GetUInt64(limits, field));
    out += Aligned(field->name(), Describe(field->name(), value));
  }
  return out;
}

std::string SettingsHelp() {
  std::string out;
  const auto& type = *v1::TenantLimits::descriptor();
  for (int i = 0; i < type.field_count(); ++i)
    absl::StrAppend(&out, i == 0 ? "" : ", ", type.field(i)->name());
  return out;
}

}  // namespace keystead::admin
