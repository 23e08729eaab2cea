#include "backend/admin/output.h"

#include <google/protobuf/descriptor.h>

#include <array>
#include <iostream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "core/base/bytes.h"

namespace keystead::admin {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

std::string Text(const FieldDescriptor& field, const std::string& value) {
  return field.type() == FieldDescriptor::TYPE_BYTES ? ToHex(AsBytes(value)) : value;
}

nlohmann::json Scalar(const Message& message, const FieldDescriptor& field) {
  const Reflection& r = *message.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_UINT64:
      return r.GetUInt64(message, &field);
    case FieldDescriptor::CPPTYPE_UINT32:
      return r.GetUInt32(message, &field);
    case FieldDescriptor::CPPTYPE_INT64:
      return r.GetInt64(message, &field);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return r.GetDouble(message, &field);
    case FieldDescriptor::CPPTYPE_BOOL:
      return r.GetBool(message, &field);
    case FieldDescriptor::CPPTYPE_STRING:
      return Text(field, r.GetString(message, &field));
    case FieldDescriptor::CPPTYPE_ENUM:
      return r.GetEnum(message, &field)->name();
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return ToJson(r.GetMessage(message, &field));
    default:
      return nullptr;  // the interface has no others
  }
}

nlohmann::json Repeated(const Message& message, const FieldDescriptor& field) {
  const Reflection& r = *message.GetReflection();
  nlohmann::json out = field.is_map() ? nlohmann::json::object() : nlohmann::json::array();
  for (int i = 0; i < r.FieldSize(message, &field); ++i) {
    if (field.is_map()) {
      const Message& entry = r.GetRepeatedMessage(message, &field, i);
      const auto& type = *entry.GetDescriptor();
      out[Scalar(entry, *type.map_key()).get<std::string>()] = Scalar(entry, *type.map_value());
    } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      out.push_back(ToJson(r.GetRepeatedMessage(message, &field, i)));
    } else {
      out.push_back(Text(field, r.GetRepeatedString(message, &field, i)));
    }
  }
  return out;
}

}  // namespace

nlohmann::json ToJson(const Message& message) {
  nlohmann::json out = nlohmann::json::object();
  const auto& type = *message.GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    out[field.name()] = field.is_repeated() ? Repeated(message, field) : Scalar(message, field);
  }
  return out;
}

void PrintJson(const Message& message) { std::cout << ToJson(message).dump() << std::endl; }

std::string GroupedNumber(uint64_t number) {
  std::string digits = absl::StrCat(number);
  for (size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, ",");
  return digits;
}

std::string ByteCount(double bytes) {
  constexpr std::array<const char*, 5> kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB"};
  if (bytes < 1024) return absl::StrCat(Plain(bytes), bytes == 1 ? " byte" : " bytes");
  size_t unit = 0;
  for (bytes /= 1024; bytes >= 1024 && unit + 1 < kUnits.size(); ++unit) bytes /= 1024;
  return absl::StrFormat("%.4g %s", bytes, kUnits[unit]);
}

std::string TimeText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", time, absl::UTCTimeZone());
}

std::string DurationText(uint64_t seconds) {
  constexpr uint64_t kMinute = 60, kHour = 60 * kMinute, kDay = 24 * kHour;
  const auto in = [](uint64_t count, const char* unit) {
    return absl::StrCat(count, " ", unit, count == 1 ? "" : "s");
  };
  if (seconds >= 2 * kDay && seconds % kDay == 0) return in(seconds / kDay, "day");
  if (seconds >= 2 * kHour && seconds % kHour == 0) return in(seconds / kHour, "hour");
  if (seconds >= 2 * kMinute && seconds % kMinute == 0) return in(seconds / kMinute, "minute");
  return in(seconds, "second");
}

std::string Plain(double number) { return absl::StrFormat("%.10g", number); }

std::string Aligned(const std::string& name, const std::string& value) {
  return absl::StrFormat("  %-20s %s\n", name, value);
}

}  // namespace keystead::admin
