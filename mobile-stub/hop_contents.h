// What the next hop holds, as it holds it; and the check that the seal alone binds every outer field.
#pragma once

#include <deque>
#include <vector>

#include "core/sealing/record_cipher.h"
#include "mobile-stub/engine.h"

namespace keystead::mobile {

struct HeldRecord {
  StreamPlace place;
  uint64_t sequence = 0;
  uint64_t offset = 0;  // of its group in the topic's log
  Bytes cose;
  Bytes kid;  // empty in keyring
};

// The newest `last` records of each topic that stand there now. DATA_LOSS for a group that does not
// parse; DEADLINE_EXCEEDED.
absl::StatusOr<std::vector<HeldRecord>> FetchRecords(const Engine& engine, const std::vector<Topic>& topics,
                                                     size_t last, absl::Duration patience);
// Every topic that a member ever could write, and keyring.
absl::StatusOr<std::vector<Topic>> AllTopics(const Engine& engine);

struct FieldBinding {
  std::string field;     // "tenant", "instantiation", "topic", "sender", "stream", "epoch", "sequence"
  uint64_t records = 0;  // tried
  uint64_t opened = 0;   // although the field was changed: must be 0
};
struct BindingReport {
  std::vector<FieldBinding> fields;
  uint64_t records = 0;     // real ones that open at their own place
  uint64_t unreadable = 0;  // ones without a key here, or that do not open
  bool bound() const;       // there were records, and none opened elsewhere
};

// For real records and with the key of their stream held constant: does any still open when one outer field
// is claimed to be another?
absl::StatusOr<BindingReport> CheckBinding(const Engine& engine, const std::vector<HeldRecord>& records);

}  // namespace keystead::mobile
