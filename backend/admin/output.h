// What the program prints: JSON for programs, units for people.
#pragma once

#include <google/protobuf/message.h>

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/time/time.h"

namespace keystead::admin {

// Every field by its name in the .proto, also those at their default; 64-bit numbers as numbers, which the
// mapping of protobuf itself makes strings; bytes in hex.
nlohmann::json ToJson(const google::protobuf::Message& message);
void PrintJson(const google::protobuf::Message& message);  // one line

std::string GroupedNumber(uint64_t number);                              // 1,234,567
std::string ByteCount(double bytes);                                     // 512 bytes, 1.5 MiB
std::string TimeText(absl::Time time);                                   // 2026-11-26T17:20:33.000000Z
std::string DurationText(uint64_t seconds);                              // 90 seconds, 36 hours, 7 days
std::string Plain(double number);                                        // without needless digits: 0.5, 100
std::string Aligned(const std::string& name, const std::string& value);  // one line, with its end

}  // namespace keystead::admin
