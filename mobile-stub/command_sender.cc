#include "mobile-stub/command_sender.h"

#include "core/crypto/hash.h"
#include "core/observe/log.h"
#include "core/sealing/stream_writer.h"
#include "mobile-stub/members.h"

namespace keystead::mobile {
namespace {

constexpr size_t kMaxAnswers = 256;

// What a command's own session tells.
class Aside final : public WatchObserver {
 public:
  Aside(CommandAnswers* answers, WatchObserver* aside) : answers_(*answers), aside_(aside) {}

  void OnAlarm(const SecurityEvent& event) override {
    if (aside_ != nullptr) aside_->OnAlarm(event);
  }
  void OnMembership(const MembershipChain& chain) override {
    if (aside_ != nullptr) aside_->OnMembership(chain);
  }
  void OnMissing(const StreamPlace& place, const SequenceRange& range) override {
    if (aside_ != nullptr) aside_->OnMissing(place, range);
  }
  void OnRecord(const ReadRecord& record) override { answers_.Take(record); }

 private:
  CommandAnswers& answers_;
  WatchObserver* const aside_;
};

// Hands one group to the hop, for as long as it lives. What the hop says is for people: it may refuse aloud
// and forward all the same, or the other way round.
class Delivery {
 public:
  Delivery(const Engine& engine, Payload group) {
    PublisherCallbacks on;
    on.on_durable = [this](uint64_t) {
      absl::MutexLock lock(&mutex_);
      done_ = true;
    };
    on.on_refused = [this](uint64_t, const GroupRefusal& refusal) {
      Log(LogLevel::kWarning, "hop_refuses_command", {{"reason", Std(refusal.status.message())}});
      absl::MutexLock lock(&mutex_);
      refused_.Update(refusal.status);
    };
    PublisherOptions options;
    options.backoff = {.initial = absl::Milliseconds(100), .max = absl::Seconds(1)};
    publisher_ = std::make_unique<Publisher>(engine.channel(), std::move(on), options);
    publisher_->Start();
    if (const auto queued = publisher_->Enqueue(std::move(group)); !queued.ok()) {
      absl::MutexLock lock(&mutex_);
      refused_.Update(queued.status());
    }
  }
  ~Delivery() { publisher_->Stop(); }
  Delivery(const Delivery&) = delete;
  Delivery& operator=(const Delivery&) = delete;

  std::string HopsWord() const {
    absl::MutexLock lock(&mutex_);
    if (!refused_.ok()) return absl::StrCat("the next hop says it refused the command: ", refused_.message());
    return done_ ? "the next hop says it took the command"
                 : "the next hop has not said that it took the command";
  }

 private:
  mutable absl::Mutex mutex_;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status refused_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<Publisher> publisher_;
};

bool Usable(const std::optional<Reader::SenderWord>& word, const std::optional<BootId>& not_boot) {
  return word.has_value() && word->liveness == Liveness::kLive &&
         (!not_boot.has_value() || word->freshness.boot != *not_boot);
}

// The device's newest verified word: it has echoed a probe of this session, so it was said just now.
absl::StatusOr<Reader::SenderWord> AwaitWord(WatchSession& session, const MemberId& target,
                                             const std::optional<BootId>& not_boot, bool force,
                                             absl::Time deadline) {
  if (std::optional<Reader::SenderWord> word = session.LastWord(target); Usable(word, not_boot))
    return *std::move(word);
  while (absl::Now() < deadline) {
    session.ProbeNow();
    const absl::Time slice = std::min(deadline, absl::Now() + absl::Seconds(1));
    while (absl::Now() < slice) {
      std::optional<Reader::SenderWord> word = session.LastWord(target);
      if (Usable(word, not_boot)) return *std::move(word);
      session.AwaitStreams([first = true](const auto&) mutable { return !std::exchange(first, false); },
                           slice - absl::Now());
    }
  }
  std::optional<Reader::SenderWord> word = session.LastWord(target);
  if (Usable(word, not_boot)) return *std::move(word);
  if (!word.has_value()) {
    return absl::FailedPreconditionError("nothing verified was heard from the device: is it on?");
  }
  if (force && (!not_boot.has_value() || word->freshness.boot != *not_boot)) return *std::move(word);
  return absl::FailedPreconditionError(
      "the device did not answer a probe: its last word may be old, and nothing was sent");
}

// The answer names the signed object, which the writer made and sealed: so the record is opened again.
absl::StatusOr<Digest> HashOfSigned(const SenderKey& key, const StreamPlace& place, uint64_t sequence,
                                    ByteView record) {
  KS_ASSIGN_OR_RETURN(RecordCipher cipher, RecordCipher::Create(key, place));
  Bytes content;
  KS_RETURN_IF_ERROR(cipher.Open(sequence, record, content));
  KS_ASSIGN_OR_RETURN(const ContentView view, ParseContent(content));
  return crypto::Sha256(view.body);
}

}  // namespace

absl::StatusOr<SealedCommand> SealCommand(const Engine& engine, const Command& command) {
  KS_ASSIGN_OR_RETURN(const AppState::Lock lock, engine.state().Begin());
  KS_ASSIGN_OR_RETURN(const Member member, engine.state().LoadMember());
  const Topic topic = Topic::Of(TopicKind::kCommand, command.target);
  const Member::Identity& self = member.identity();
  KS_ASSIGN_OR_RETURN(const SenderKey key,
                      member.ring().SenderKeyFor(member.ring().epoch(), topic, self.self));
  Opening opening;
  KS_ASSIGN_OR_RETURN(opening.previous, engine.state().LastStream(topic));
  const auto freshness = [&] {
    return member.MakeFreshness(engine.boot(), engine.clock().Uptime(),
                                absl::ToUnixSeconds(engine.clock().Now()));
  };
  opening.freshness = freshness();

  Bytes record;
  const StreamWriter::Config config{self.tenant, self.id, topic, self.self, member.ring().epoch(), {}};
  KS_ASSIGN_OR_RETURN(const auto writer, StreamWriter::Open(config, key, self.ik, opening, engine.clock(),
                                                            engine.random(), record));
  const StreamPlace& place = writer->place();
  GroupBuilder group(
      GroupHeader{place.tenant, place.id, place.topic, place.sender, place.epoch, place.stream});
  KS_RETURN_IF_ERROR(group.Append(0, record));

  record.clear();
  KS_ASSIGN_OR_RETURN(uint64_t at, writer->SealSigned(kinds::kCommand, EncodeCommand(command), record));
  KS_RETURN_IF_ERROR(group.Append(at, record));
  const uint64_t sequence = at;
  KS_ASSIGN_OR_RETURN(const Digest hash, HashOfSigned(key, place, at, record));
  record.clear();
  KS_ASSIGN_OR_RETURN(at, writer->SealCheckpoint(freshness(), true, record));
  KS_RETURN_IF_ERROR(group.Append(at, record));
  KS_RETURN_IF_ERROR(engine.state().SaveLastStream(topic, writer->AsPrevious()));
  return SealedCommand{group.Take(), place.stream, sequence, hash};
}

void CommandAnswers::Take(const ReadRecord& record) {
  const MemberId& sender = record.place->sender;
  if (record.kind != kinds::kAnswer || record.after_removal) return;
  if (record.place->topic != Topic::Of(TopicKind::kState, sender)) return;
  const absl::StatusOr<Answer> answer = ParseAnswer(record.body);
  if (!answer.ok()) return;
  absl::MutexLock lock(&mutex_);
  const Key key(sender, answer->command_hash);
  if (answers_.insert_or_assign(key, *answer).second) oldest_first_.push_back(key);
  if (oldest_first_.size() <= kMaxAnswers) return;
  answers_.erase(oldest_first_.front());
  oldest_first_.pop_front();
}

std::optional<Answer> CommandAnswers::Await(const MemberId& target, const Digest& command,
                                            absl::Time deadline) {
  const Key key(target, command);
  const auto there = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return answers_.contains(key); };
  absl::MutexLock lock(&mutex_);
  if (!mutex_.AwaitWithDeadline(absl::Condition(&there), deadline)) return std::nullopt;
  return answers_[key];
}

absl::StatusOr<SendOutcome> SendCommand(const Engine& engine, const SendRequest& request,
                                        const ProgressFn& progress, WatchObserver* aside) {
  KS_RETURN_IF_ERROR(engine.RequireHop());
  KS_RETURN_IF_ERROR(engine.state().LoadOwner().status());
  WatchOptions watch;
  {
    KS_ASSIGN_OR_RETURN(const Member member, engine.state().LoadMember());
    KS_ASSIGN_OR_RETURN(const MemberId target, FindMember(member.chain(), request.target));
    watch.only = {target};
  }
  watch.heads = false;
  watch.remember = false;
  watch.from_the_beginning = request.force;     // the last word there is may have been read long ago
  watch.probe_interval = absl::ZeroDuration();  // AwaitWord asks itself
  watch.limits.stale_age = absl::InfiniteDuration();
  CommandAnswers answers;
  Aside observer(&answers, aside);
  KS_ASSIGN_OR_RETURN(const auto session, WatchSession::Start(engine, &observer, watch));
  return SendCommandThrough(engine, *session, answers, request, progress);
}

absl::StatusOr<SendOutcome> SendCommandThrough(const Engine& engine, WatchSession& session,
                                               CommandAnswers& answers, const SendRequest& request,
                                               const ProgressFn& progress) {
  KS_RETURN_IF_ERROR(engine.RequireHop());
  KS_RETURN_IF_ERROR(engine.state().LoadOwner().status());
  const absl::Time deadline = absl::Now() + request.timeout;
  SendOutcome outcome;
  MemberId self;
  {
    KS_ASSIGN_OR_RETURN(const Member member, engine.state().LoadMember());
    self = member.identity().self;
    KS_ASSIGN_OR_RETURN(outcome.target, FindMember(member.chain(), request.target));
    const RosterEntry& entry = *member.chain().roster().Find(outcome.target);
    outcome.device_id = DeviceIdOf(entry);
    if (entry.kind != MemberKind::kDevice) {
      return absl::InvalidArgumentError(
          absl::StrCat(outcome.device_id, " is no device: it takes no commands"));
    }
  }
  std::optional<BootId> not_boot;
  for (outcome.attempts = 1;; ++outcome.attempts) {
    if (progress) progress({"probing", outcome.device_id, ""});
    // Leaves time for the answer.
    const absl::Time word_by = request.force ? absl::Now() + (deadline - absl::Now()) / 3 : deadline;
    KS_ASSIGN_OR_RETURN(const Reader::SenderWord word,
                        AwaitWord(session, outcome.target, not_boot, request.force, word_by));
    outcome.word = word.liveness;
    KS_ASSIGN_OR_RETURN(outcome.counter, engine.state().NextCommandCounter());
    const absl::Duration since = engine.clock().Uptime() - word.received_at;
    const Command command{outcome.target,
                          self,
                          outcome.counter,
                          word.freshness.boot,
                          CommandDeadline(word.freshness.uptime, since, request.time_to_live),
                          request.operation};
    const absl::Time begun = absl::Now();
    KS_ASSIGN_OR_RETURN(const SealedCommand sealed, SealCommand(engine, command));
    outcome.command_hash = sealed.hash;
    if (progress) {
      progress({"sent", outcome.device_id,
                absl::StrCat("stream ", sealed.stream.ToHex(), " sequence ", sealed.sequence, " command ",
                             sealed.hash.ToHex())});
    }
    const Delivery delivery(engine, sealed.group);
    const std::optional<Answer> answer = answers.Await(outcome.target, sealed.hash, deadline);
    if (!answer.has_value()) {
      return absl::DeadlineExceededError(
          absl::StrCat(outcome.device_id, " did not answer in time: whether it acted is not known (",
                       delivery.HopsWord(), ")"));
    }
    outcome.answer = *answer;
    outcome.round_trip = absl::Now() - begun;
    if (outcome.answer.result != CommandResult::kReboot || outcome.attempts > 1) return outcome;
    not_boot = word.freshness.boot;
  }
}

}  // namespace keystead::mobile
