#include "mobile-stub/app_state.h"

#include <array>

#include "absl/time/clock.h"
#include "core/cose/cbor.h"
#include "core/crypto/hash.h"
#include "mobile-stub/interrupter.h"

namespace keystead::mobile {
namespace {

constexpr uint64_t kVersion = 1;
constexpr absl::Duration kAskLock = absl::Milliseconds(50);

SecretBytes Wiped(Bytes plain) {
  SecretBytes out = SecretBytes::CopyOf(plain);
  SecureWipe(plain.data(), plain.size());
  return out;
}

absl::StatusOr<OwnerFacts> ParseOwner(ByteView content) {
  cose::CborReader r(content);
  OwnerFacts facts;
  KS_RETURN_IF_ERROR(r.ReadArrayOf(3));
  KS_ASSIGN_OR_RETURN(const std::string_view transport, r.ReadText());
  facts.transport = std::string(transport);
  KS_ASSIGN_OR_RETURN(facts.nonce, r.ReadId<Digest>());
  KS_ASSIGN_OR_RETURN(facts.recovery_ckt, r.ReadId<Digest>());
  KS_RETURN_IF_ERROR(r.Finish());
  return facts;
}

absl::StatusOr<std::vector<NewCommit>> ParsePending(ByteView content) {
  cose::CborReader r(content);
  std::vector<NewCommit> out;
  KS_ASSIGN_OR_RETURN(const size_t count, r.ReadArray());
  if (count == 0 || count > AppState::kMaxPending) return absl::InvalidArgumentError("number of commits");
  for (size_t i = 0; i < count; ++i) {
    KS_RETURN_IF_ERROR(r.ReadArrayOf(2));
    KS_ASSIGN_OR_RETURN(const ByteView bundle, r.ReadBytes());
    KS_ASSIGN_OR_RETURN(const ByteView secret, r.ReadBytes(kSecretBytes));
    NewCommit& commit = out.emplace_back();
    KS_ASSIGN_OR_RETURN(commit.bundle, CommitBundle::ParseContent(bundle));
    commit.secret = EpochSecret(SecretBytes::CopyOf(secret));
  }
  KS_RETURN_IF_ERROR(r.Finish());
  return out;
}

absl::StatusOr<PreviousStream> ParseStream(ByteView row) {
  cose::CborReader r(row);
  PreviousStream out;
  PreviousStream::End end;
  KS_RETURN_IF_ERROR(r.ReadArrayOf(3));
  KS_ASSIGN_OR_RETURN(out.stream, r.ReadId<StreamId>());
  KS_ASSIGN_OR_RETURN(end.last_sequence, r.ReadUint());
  KS_ASSIGN_OR_RETURN(end.hash, r.ReadId<Digest>());
  KS_RETURN_IF_ERROR(r.Finish());
  out.end = end;
  return out;
}

// An array of pairs [byte string or text, byte string or text].
absl::StatusOr<std::map<std::string, Bytes>> ParsePairs(ByteView content) {
  cose::CborReader r(content);
  std::map<std::string, Bytes> out;
  KS_ASSIGN_OR_RETURN(const size_t count, r.ReadArray());
  for (size_t i = 0; i < count; ++i) {
    KS_RETURN_IF_ERROR(r.ReadArrayOf(2));
    KS_ASSIGN_OR_RETURN(const ByteView key, r.ReadBytes());
    KS_ASSIGN_OR_RETURN(const ByteView value, r.ReadBytes());
    out[ToString(key)] = ToBytes(value);
  }
  KS_RETURN_IF_ERROR(r.Finish());
  return out;
}

SecretBytes EncodePairs(const std::map<std::string, Bytes>& pairs) {
  cose::CborWriter w;
  w.Array(pairs.size());
  for (const auto& [key, value] : pairs) w.Array(2).Bstr(AsBytes(key)).Bstr(value);
  return SecretBytes::CopyOf(w.bytes());
}

}  // namespace

absl::StatusOr<AppState> AppState::Open(const std::string& folder) {
  KS_ASSIGN_OR_RETURN(StateFolder opened, StateFolder::Open(folder));
  return AppState(std::move(opened));
}

absl::StatusOr<AppState::Lock> AppState::LockChanges(absl::Duration patience) const {
  const absl::Time deadline = absl::Now() + patience;
  while (true) {
    absl::StatusOr<Lock> lock = folder_.Acquire("changes.lock", false);
    if (!absl::IsUnavailable(lock.status())) return lock;
    if (absl::Now() >= deadline) {
      return absl::UnavailableError(
          absl::StrCat("another process is changing who belongs, with state folder ", folder(),
                       ": try again when it has ended"));
    }
    absl::SleepFor(kAskLock);  // the kernel tells nobody when a file lock is let go
  }
}

absl::Status AppState::Damaged(std::string_view name, const absl::Status& why) const {
  const std::string_view remedy =
      name == "reader" ? "delete it, and what was seen before is no longer remembered"
                       : "put the folder back from a copy, or start with a new one and pair anew";
  return absl::DataLossError(
      absl::StrCat("state file ", folder_.PathOf(name), " is damaged (", why.message(), "): ", Absl(remedy)));
}

absl::StatusOr<SecretBytes> AppState::Load(std::string_view name) const {
  KS_ASSIGN_OR_RETURN(const SecretBytes file, folder_.Read(name));
  cose::CborReader r(file.ExposeSecret());
  uint64_t version = kVersion;
  const auto read = [&]() -> absl::StatusOr<SecretBytes> {
    KS_RETURN_IF_ERROR(r.ReadArrayOf(3));
    KS_ASSIGN_OR_RETURN(version, r.ReadUint());
    if (version != kVersion) return absl::FailedPreconditionError("another format");
    KS_ASSIGN_OR_RETURN(const ByteView content, r.ReadBytes());
    KS_ASSIGN_OR_RETURN(const Digest digest, r.ReadId<Digest>());
    KS_RETURN_IF_ERROR(r.Finish());
    if (crypto::Sha256(content) != digest) return absl::DataLossError("checksum");
    return SecretBytes::CopyOf(content);
  };
  absl::StatusOr<SecretBytes> content = read();
  if (version != kVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("state file ", folder_.PathOf(name), " is of format ", version,
                     ", this program reads format ", kVersion, ": nothing was changed; use the ",
                     version > kVersion ? "newer" : "older", " program that wrote it"));
  }
  if (!content.ok()) return Damaged(name, content.status());
  return content;
}

absl::Status AppState::Save(std::string_view name, const SecretBytes& content) const {
  const WholeWrite whole;
  Bytes file;
  file.reserve(content.size() + 64);
  cose::CborWriter(file)
      .Array(3)
      .Uint(kVersion)
      .Bstr(content.ExposeSecret())
      .Bstr(crypto::Sha256(content.ExposeSecret()).view());
  return folder_.Write(name, Wiped(std::move(file)));
}

absl::Status AppState::CreateOwner(const OwnerFacts& facts, const Member& member) const {
  if (IsGuest()) return LoadOwner().status();
  const WholeWrite whole;
  KS_RETURN_IF_ERROR(SaveMember(member));
  const Bytes content = cose::EncodeArray(facts.transport, facts.nonce, facts.recovery_ckt);
  return Save("owner", SecretBytes::CopyOf(content));
}

absl::Status AppState::CreateGuest(const std::string& transport, const Member& member) const {
  const WholeWrite whole;
  KS_RETURN_IF_ERROR(SaveMember(member));
  return Save("guest", SecretBytes::CopyOf(AsBytes(transport)));
}

absl::StatusOr<std::string> AppState::Transport() const {
  if (IsGuest()) {
    KS_ASSIGN_OR_RETURN(const SecretBytes content, Load("guest"));
    return ToString(content.ExposeSecret());
  }
  KS_ASSIGN_OR_RETURN(const OwnerFacts facts, LoadOwner());
  return facts.transport;
}

absl::StatusOr<OwnerFacts> AppState::LoadOwner() const {
  if (IsGuest()) {
    return absl::FailedPreconditionError(
        "this app is a guest that reads what it was granted: who belongs, and what is commanded, is for the "
        "owner's app to say");
  }
  if (!HasOwner()) {
    return absl::FailedPreconditionError(
        absl::StrCat("nothing was paired with state folder ", folder(), " yet: run 'pair' first"));
  }
  KS_ASSIGN_OR_RETURN(const SecretBytes content, Load("owner"));
  absl::StatusOr<OwnerFacts> facts = ParseOwner(content.ExposeSecret());
  if (!facts.ok()) return Damaged("owner", facts.status());
  return facts;
}

absl::StatusOr<Member> AppState::LoadMember() const {
  if (!IsGuest()) KS_RETURN_IF_ERROR(LoadOwner().status());
  absl::StatusOr<SecretBytes> content = Load("member");
  if (absl::IsNotFound(content.status())) return Damaged("member", content.status());
  KS_RETURN_IF_ERROR(content.status());
  absl::StatusOr<Member> member = Member::Parse(*content);
  if (!member.ok()) return Damaged("member", member.status());
  return member;
}

absl::Status AppState::SaveMember(const Member& member) const { return Save("member", member.Serialize()); }

absl::StatusOr<std::vector<NewCommit>> AppState::LoadPending() const {
  if (!folder_.Has("pending")) return std::vector<NewCommit>();
  KS_ASSIGN_OR_RETURN(const SecretBytes content, Load("pending"));
  absl::StatusOr<std::vector<NewCommit>> commits = ParsePending(content.ExposeSecret());
  if (!commits.ok()) return Damaged("pending", commits.status());
  return commits;
}

absl::Status AppState::SavePending(const std::vector<NewCommit>& commits) const {
  std::vector<Bytes> bundles;
  size_t size = 64;
  for (const NewCommit& commit : commits) {
    bundles.push_back(commit.bundle.EncodeContent());
    size += bundles.back().size() + 64;
  }
  Bytes plain;
  plain.reserve(size);
  cose::CborWriter w(plain);
  w.Array(commits.size());
  for (size_t i = 0; i < commits.size(); ++i) {
    w.Array(2).Bstr(bundles[i]).Bstr(commits[i].secret.secret().ExposeSecret());
  }
  return Save("pending", Wiped(std::move(plain)));
}

absl::StatusOr<uint64_t> AppState::NextCounter(size_t which) const {
  KS_ASSIGN_OR_RETURN(const Lock lock, Begin());
  std::array<uint64_t, 2> counters{};
  absl::StatusOr<SecretBytes> content = Load("counters");
  if (content.ok()) {
    cose::CborReader r(content->ExposeSecret());
    absl::Status read = r.ReadArrayOf(counters.size());
    for (uint64_t& counter : counters) {
      const absl::StatusOr<uint64_t> value = r.ReadUint();
      if (value.ok()) counter = *value;
      read.Update(value.status());
    }
    read.Update(r.Finish());
    if (!read.ok()) return Damaged("counters", read);
  } else if (!absl::IsNotFound(content.status())) {
    return content.status();
  }
  ++counters[which];
  KS_RETURN_IF_ERROR(Save("counters", SecretBytes::CopyOf(cose::EncodeArray(counters[0], counters[1]))));
  return counters[which];
}

absl::StatusOr<std::map<std::string, Bytes>> AppState::LoadStreams() const {
  absl::StatusOr<SecretBytes> content = Load("streams");
  if (absl::IsNotFound(content.status())) return std::map<std::string, Bytes>();
  KS_RETURN_IF_ERROR(content.status());
  absl::StatusOr<std::map<std::string, Bytes>> rows = ParsePairs(content->ExposeSecret());
  if (!rows.ok()) return Damaged("streams", rows.status());
  return rows;
}

absl::StatusOr<std::optional<PreviousStream>> AppState::LastStream(const Topic& topic) const {
  KS_ASSIGN_OR_RETURN(const auto rows, LoadStreams());
  const auto row = rows.find(topic.str());
  if (row == rows.end()) return std::nullopt;
  absl::StatusOr<PreviousStream> stream = ParseStream(row->second);
  if (!stream.ok()) return Damaged("streams", stream.status());
  return std::optional<PreviousStream>(*stream);
}

absl::Status AppState::SaveLastStream(const Topic& topic, const PreviousStream& stream) const {
  KS_ASSIGN_OR_RETURN(auto rows, LoadStreams());
  rows[topic.str()] = cose::EncodeArray(stream.stream, stream.end->last_sequence, stream.end->hash);
  return Save("streams", EncodePairs(rows));
}

absl::StatusOr<ReaderMemory> AppState::LoadReaderMemory() const {
  absl::StatusOr<SecretBytes> content = Load("reader");
  if (absl::IsNotFound(content.status())) return ReaderMemory();
  KS_RETURN_IF_ERROR(content.status());
  absl::StatusOr<ReaderMemory> memory = ReaderMemory::Parse(content->ExposeSecret());
  if (!memory.ok()) return Damaged("reader", memory.status());
  return memory;
}

absl::Status AppState::SaveReaderMemory(ReaderMemory& memory) const {
  KS_ASSIGN_OR_RETURN(const Lock lock, Begin());
  KS_ASSIGN_OR_RETURN(const ReaderMemory stored, LoadReaderMemory());
  if (stored.generation != memory.generation) {
    return absl::AbortedError("another process has stored what it read meanwhile");
  }
  ++memory.generation;
  const absl::Status saved = Save("reader", SecretBytes::CopyOf(memory.Encode()));
  if (!saved.ok()) --memory.generation;
  return saved;
}

absl::StatusOr<std::map<MemberId, std::string>> AppState::LoadKinds() const {
  std::map<MemberId, std::string> out;
  absl::StatusOr<SecretBytes> content = Load("kinds");
  if (absl::IsNotFound(content.status())) return out;
  KS_RETURN_IF_ERROR(content.status());
  const auto pairs = ParsePairs(content->ExposeSecret());
  if (!pairs.ok()) return Damaged("kinds", pairs.status());
  for (const auto& [member, kind] : *pairs) {
    const absl::StatusOr<MemberId> id = MemberId::FromBytes(member);
    if (!id.ok()) return Damaged("kinds", id.status());
    out[*id] = ToString(kind);
  }
  return out;
}

absl::Status AppState::AddKind(const MemberId& member, const std::string& kind) const {
  KS_ASSIGN_OR_RETURN(const Lock lock, Begin());
  KS_ASSIGN_OR_RETURN(const auto kinds, LoadKinds());
  std::map<std::string, Bytes> pairs;
  for (const auto& [id, known] : kinds) pairs[id.ToString()] = ToBytes(known);
  pairs[member.ToString()] = ToBytes(kind);
  return Save("kinds", EncodePairs(pairs));
}

}  // namespace keystead::mobile
