// What an app keeps between its starts, in a folder of mode 0700. Several processes may use one
// folder at a time (`watch` and `send` side by side): files are replaced whole, and what is read, changed and
// written back is so under a lock that is held only meanwhile.
//
//   joining   how far being let into somebody else's home has come: identity key, one-time label, offer
//   guest     who reads in somebody else's home, in place of `owner`: transport identity
//   owner     transport identity, nonce behind the instantiation id, thumbprint of the recovery key
//   member    Member::Serialize: keys of its own, commits, epoch keys
//   pending   commits of this app with one parent that were seen nowhere yet, each with its epoch secret
//   counters  commands and heads signed so far
//   streams   where this app's last stream in each topic ended
//   reader    what was read and how far (reader_memory.h)
//   kinds     what each device said it is, for people
//
// Each file is CBOR [1, content, SHA-256(content)], so that damage is noticed before anything is believed.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "core/program/state_folder.h"
#include "core/sealing/member.h"
#include "mobile-stub/reader_memory.h"

namespace keystead::mobile {

struct OwnerFacts {
  std::string transport;  // SPIFFE id the instantiation was made with
  Digest nonce;
  Digest recovery_ckt;
};

// Move-only. Thread-safe, as far as it is const. Errors: DATA_LOSS, naming the file, when one is damaged;
// FAILED_PRECONDITION when nothing was paired yet, or a file is of another format; otherwise what the system
// says.
class AppState {
 public:
  static absl::StatusOr<AppState> Open(const std::string& folder);

  const std::string& folder() const { return folder_.path(); }
  bool HasOwner() const { return folder_.Has("owner"); }
  bool IsGuest() const { return folder_.Has("guest"); }
  bool HasHome() const { return HasOwner() || IsGuest(); }  // its own, or one that it is a guest in
  absl::StatusOr<std::string> Transport() const;            // SPIFFE id of whoever this folder belongs to

  using Lock = StateFolder::Lock;
  // Changes of membership exclude each other from beginning to end. Waits a while for another process's
  // change, then UNAVAILABLE.
  absl::StatusOr<Lock> LockChanges(absl::Duration patience = absl::Seconds(10)) const;
  // One short read, change and write. Not nested; functions marked (own) take it themselves.
  absl::StatusOr<Lock> Begin() const { return folder_.Acquire("state.lock", true); }

  // FAILED_PRECONDITION, as of LoadOwner: of a guest.
  absl::Status CreateOwner(const OwnerFacts& facts, const Member& member) const;
  absl::StatusOr<OwnerFacts> LoadOwner() const;
  absl::StatusOr<Member> LoadMember() const;
  absl::Status SaveMember(const Member& member) const;

  // How far joining has come, as guest.h reads it; NOT_FOUND: nothing was begun.
  absl::StatusOr<SecretBytes> LoadJoining() const { return Load("joining"); }
  absl::Status SaveJoining(const SecretBytes& content) const { return Save("joining", content); }
  absl::Status DropJoining() const { return folder_.Remove("joining"); }
  absl::Status CreateGuest(const std::string& transport, const Member& member) const;

  // Oldest first; empty when there are none. At most kMaxPending.
  static constexpr size_t kMaxPending = 4;
  absl::StatusOr<std::vector<NewCommit>> LoadPending() const;
  absl::Status SavePending(const std::vector<NewCommit>& commits) const;
  absl::Status DropPending() const { return folder_.Remove("pending"); }

  absl::StatusOr<uint64_t> NextCommandCounter() const {
    return NextCounter(0);
  }  // (own) durable before it returns
  absl::StatusOr<uint64_t> NextHeadSequence() const { return NextCounter(1); }  // (own)

  absl::StatusOr<std::optional<PreviousStream>> LastStream(const Topic& topic) const;
  absl::Status SaveLastStream(const Topic& topic, const PreviousStream& stream) const;

  absl::StatusOr<ReaderMemory> LoadReaderMemory() const;  // empty when there is none
  // Held by the one process that remembers what is read. Does not wait: UNAVAILABLE.
  absl::StatusOr<Lock> LockReading() const { return folder_.Acquire("reading.lock", false); }
  // (own) In place of what `memory` was made from, and raises its generation. ABORTED when another process
  // has stored something since: then nothing is written, so that nothing seen is forgotten.
  absl::Status SaveReaderMemory(ReaderMemory& memory) const;

  absl::StatusOr<std::map<MemberId, std::string>> LoadKinds() const;
  absl::Status AddKind(const MemberId& member, const std::string& kind) const;  // (own)

 private:
  explicit AppState(StateFolder folder) : folder_(std::move(folder)) {}
  absl::StatusOr<SecretBytes> Load(std::string_view name) const;  // NOT_FOUND
  absl::Status Save(std::string_view name, const SecretBytes& content) const;
  absl::Status Damaged(std::string_view name, const absl::Status& why) const;
  absl::StatusOr<uint64_t> NextCounter(size_t which) const;
  absl::StatusOr<std::map<std::string, Bytes>> LoadStreams() const;

  StateFolder folder_;
};

}  // namespace keystead::mobile
