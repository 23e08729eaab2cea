// Telling a device to do something, and hearing from it that it did.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>

#include "core/sealing/command.h"
#include "mobile-stub/watch_session.h"

namespace keystead::mobile {

struct SendRequest {
  std::string target;  // a member, by any of its names (members.h)
  Operation operation;
  absl::Duration time_to_live = absl::Seconds(30);  // how long it may take to reach the device
  absl::Duration timeout = absl::Seconds(30);       // how long to wait for the device's word and its answer
  bool force = false;  // also when the device's last word is no echo of this app's probe
};

struct SendOutcome {
  MemberId target;
  std::string device_id;
  uint64_t counter = 0;
  Digest command_hash;  // SHA-256 of the signed command
  Answer answer;
  int attempts = 1;  // 2: the device had been restarted meanwhile
  Liveness word = Liveness::kHistory;
  absl::Duration round_trip;  // from the last sealing to the verified answer
};

// Blocks. FAILED_PRECONDITION: nothing live was heard from the device (see force), and nothing was sent;
// DEADLINE_EXCEEDED: no signed answer, so whether it acted is not known, whatever the hop said of the
// command. What the device answered, be it a refusal, is an outcome. `aside` (may be null) is told of alarms
// and gaps that the session meets.
absl::StatusOr<SendOutcome> SendCommand(const Engine& engine, const SendRequest& request,
                                        const ProgressFn& progress, WatchObserver* aside = nullptr);

// The answers that a session reads, by who gave them and to which command. Thread-safe.
class CommandAnswers {
 public:
  // For a WatchObserver's OnRecord. What is no answer in its sender's own state topic is passed over.
  void Take(const ReadRecord& record);
  // None: not until the deadline. An answer that came before it was asked for is kept for a while: of 256,
  // the oldest goes.
  std::optional<Answer> Await(const MemberId& target, const Digest& command, absl::Time deadline);

 private:
  using Key = std::pair<MemberId, Digest>;
  absl::Mutex mutex_;
  std::map<Key, Answer> answers_ ABSL_GUARDED_BY(mutex_);
  std::deque<Key> oldest_first_ ABSL_GUARDED_BY(mutex_);
};

// The same through a session that runs already and reads the target, and whose observer hands its records to
// `answers`: nothing is read twice, and a device that is live is sent the command at once.
absl::StatusOr<SendOutcome> SendCommandThrough(const Engine& engine, WatchSession& session,
                                               CommandAnswers& answers, const SendRequest& request,
                                               const ProgressFn& progress);

// The command as a whole stream of its own (opening, command, end), sealed under the newest keys. Remembers
// where the stream ends before it returns, so the next one can say what came before it.
struct SealedCommand {
  Payload group;
  StreamId stream;
  uint64_t sequence = 0;  // where in the stream the command stands
  Digest hash;            // of the signed command
};
absl::StatusOr<SealedCommand> SealCommand(const Engine& engine, const Command& command);

}  // namespace keystead::mobile
