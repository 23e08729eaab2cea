// The small rows that the gateway keeps beside the logs of core/transport. All numbers are big-endian.
//
//   table           key                        value
//   kCursorTable    log(8)                     offset(8): the next hop has everything below it
//   kSkipTable      log(8) offset(8)           empty: this entry came from the next hop and does not go back
//   kParkedTable    log(8) offset(8)           status code(8): refused by the next hop, given up
//   kPositionTable  instantiation(16) topic    log id(16) next offset(8): how far the next hop was read
//   kFollowTable    instantiation(16)          offset(8): how far the own membership has read the keyring
//   kCommitTable    instantiation(16) epoch(8) taken(8, µs since 1970) offset(8) group: a verified commit,
//   and
//                                              where it stands in the topic's log now
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/base/ids.h"
#include "core/base/topic.h"
#include "core/transport/record_log.h"

namespace keystead::gateway {

inline constexpr uint32_t kTenantNumber = 1;  // a gateway serves one tenant

inline constexpr storage::Table kCursorTable{16};
inline constexpr storage::Table kSkipTable{17};
inline constexpr storage::Table kParkedTable{18};
inline constexpr storage::Table kPositionTable{19};
inline constexpr storage::Table kFollowTable{20};
inline constexpr storage::Table kCommitTable{21};

// DATA_LOSS from every Decode: the store holds what this program did not write.
std::string EncodeNumber(uint64_t number);
absl::StatusOr<uint64_t> DecodeNumber(std::string_view bytes);

std::string LogKey(uint64_t log);
std::string EntryKey(uint64_t log, uint64_t offset);
absl::StatusOr<uint64_t> DecodeEntryOffset(std::string_view key);

struct Position {
  LogId log_id;
  uint64_t next_offset = 0;
};
std::string PositionKey(const InstantiationId& id, const Topic& topic);
std::string EncodePosition(const Position& position);
absl::StatusOr<Position> DecodePosition(std::string_view bytes);

struct CommitRow {
  absl::Time taken;  // when it came here, by the gateway's own clock
  uint64_t offset = 0;
  std::string group;
};
std::string CommitKey(const InstantiationId& id, uint64_t epoch);
std::string EncodeCommit(const CommitRow& row);
absl::StatusOr<CommitRow> DecodeCommit(std::string_view bytes);

}  // namespace keystead::gateway
