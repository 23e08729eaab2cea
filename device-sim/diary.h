// What a device that belongs to nobody's home keeps of what it measured: bounded, sealed under a key that
// only this device has, readable here and nowhere else. Nothing of it ever leaves the device.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "core/base/random.h"
#include "core/program/state_folder.h"
#include "core/sealing/record_cipher.h"
#include "core/storage/log_store.h"

namespace keystead::device_sim {

// On disk: <id>.diary, the key; <id>.diary-<name of the key>/, the records under it. A record is
// stream(16) ‖ sequence(8) ‖ COSE_Encrypt0, as docs/protocol.md has them, in an instantiation of all zeros;
// every start is a stream. The key is protected by the file's mode alone. Thread-compatible.
class Diary {
 public:
  struct Stats {
    uint64_t kept = 0;     // records there
    size_t bytes = 0;      // of them, sealed
    uint64_t dropped = 0;  // since Open: the oldest, for want of room
  };

  // Opens what was kept, or begins. Forgets first where `forget`: the new key takes the old one's place in
  // one step, so a loss of power leaves either. DATA_LOSS: the key is damaged or missing beside records, with
  // what to do; as LogStore::Open.
  static absl::StatusOr<std::unique_ptr<Diary>> Open(const StateFolder& folder, const std::string& id,
                                                     size_t max_bytes, bool forget,
                                                     RandomSource& random = RandomSource::System());

  // Seals a record and drops the oldest beyond `max_bytes`. Survives the process, not the power. Errors as of
  // LogStore::Commit; INVALID_ARGUMENT: alone larger than `max_bytes`.
  absl::Status Keep(ByteView plaintext);
  // Makes all that was kept survive the power, and lets the store give back what was dropped.
  absl::Status Sync();

  // Every record that opens, oldest first; how many do not, which were damaged or are not of this device.
  absl::StatusOr<uint64_t> Read(const std::function<void(ByteView plaintext)>& take) const;
  Stats stats() const { return {sizes_.size(), bytes_, dropped_}; }

 private:
  Diary(SenderKey key, std::string id, size_t max_bytes);
  absl::Status Begin(const std::string& path, RandomSource& random);
  absl::Status ForEach(const std::function<absl::Status(std::string_view entry)>& take) const;
  StreamPlace PlaceOf(const StreamId& stream) const;

  const SenderKey key_;
  const std::string id_;
  const size_t max_bytes_;
  std::unique_ptr<storage::LogStore> store_;
  StreamId stream_;
  uint64_t sequence_ = 0;
  std::unique_ptr<RecordCipher> cipher_;
  std::deque<size_t> sizes_;  // of the records, oldest first
  size_t bytes_ = 0;
  uint64_t dropped_ = 0;
  size_t unsynced_ = 0;  // bytes
};

// The key first; OK also when there was none.
absl::Status ForgetDiary(const StateFolder& folder, const std::string& id);

}  // namespace keystead::device_sim
