// Backup and restore of one tenant: it comes back as it was, what must not go back stays, a backup that is
// not good changes nothing, and the rows of all others are the same bytes as before.
#include <gmock/gmock.h>

#include <algorithm>
#include <map>

#include "backend/at_rest/tenant_cipher.h"
#include "core/copies/export_verify.h"
#include "core/copies/frame_file.h"
#include "core/identity/revocations.h"
#include "keystead/v1/revocation.grpc.pb.h"
#include "tests/unit/backend/backup_fixture.h"

namespace keystead::testing {
namespace {

using ::testing::Contains;

constexpr auto kRestored = v1::RESTORE_OUTCOME_RESTORED;
constexpr auto kDamaged = v1::RESTORE_OUTCOME_DAMAGED;
constexpr auto kKeyGone = v1::RESTORE_OUTCOME_KEY_GONE;

// The frames of a file, and a file of frames whose end fits it: what an editor without the key can make.
struct OwnedFrame {
  char kind = 0;
  std::string payload;
};
std::vector<OwnedFrame> FramesOf(const std::string& file) {
  copies::FrameReader reader;
  reader.Feed(file);
  std::vector<OwnedFrame> out;
  while (true) {
    const auto frame = reader.Next();
    if (!frame.ok() || !frame->has_value()) return out;
    out.push_back({(*frame)->kind, std::string((*frame)->payload)});
  }
}
std::string FileOf(const std::vector<OwnedFrame>& frames) {
  copies::FrameWriter writer;
  std::string out;
  copies::BackupTrailer trailer;
  for (const OwnedFrame& frame : frames) {
    if (frame.kind == copies::kTrailerKind) {
      trailer = *copies::DecodeBackupTrailer({frame.kind, frame.payload});
    } else {
      writer.Append(out, frame.kind, frame.payload);
    }
  }
  trailer.frames = writer.frames();
  trailer.digest = writer.digest();
  writer.AppendTrailer(out, copies::EncodeBackupTrailer(trailer));
  return out;
}

TEST_F(BackupTest, ATenantComesBackAndAllOthersAreTheSameBytes) {
  StopBackend();
  const std::string others = EverybodyElse(kAcmeNumber);
  ASSERT_GT(others.size(), 500u);
  Start();
  const std::vector<std::string> had = Telemetry();
  ASSERT_EQ(had.size(), 3u);
  const v1::UsageResponse used = UsageOf(kAcme);
  const std::string backup = Backup();
  StopBackend();
  EXPECT_EQ(EverybodyElse(kAcmeNumber), others);
  Start();
  std::string exported;
  ASSERT_TRUE(TryExport(Operator(), kAcme, &exported).ok());
  StopBackend();
  EXPECT_EQ(EverybodyElse(kAcmeNumber), others);
  Start();

  Publish(3, 7);
  Home later(kAcme, Uri(kAcme, Role::kApp, "phone"));
  const std::string founded = later.Make();
  ASSERT_TRUE(Phone().Submit(later, founded).ok());
  later.Take(founded);
  EXPECT_EQ(Telemetry().size(), 7u);
  const Restored restored = Restore(backup);
  ASSERT_EQ(restored.outcome(), kRestored) << restored.status.error_message();
  EXPECT_EQ(restored.response.groups(), used.stored_groups());
  EXPECT_EQ(restored.response.instantiations(), 1u);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Telemetry(), had);
    EXPECT_EQ(UsageOf(kAcme).stored_bytes(), used.stored_bytes());
    EXPECT_EQ(UsageOf(kAcme).stored_groups(), used.stored_groups());
    EXPECT_EQ(UsageOf(kAcme).instantiations(), 1u);
    EXPECT_EQ(Phone().FetchFrom(kAcme, later.id()).error_code(), grpc::StatusCode::NOT_FOUND);
    EXPECT_TRUE(Spy().FetchFrom(kGlobex, their_home_->id()).ok());
    StopBackend();
    EXPECT_EQ(EverybodyElse(kAcmeNumber), others);
    Start();
  }
  Publish(3, 5);  // it goes on from there
  EXPECT_EQ(Telemetry().size(), 5u);
  EXPECT_EQ(UsageOf(kAcme).stored_groups(), used.stored_groups() + 2);
  ASSERT_TRUE(Phone().Submit(later, founded).ok());
  EXPECT_EQ(UsageOf(kAcme).instantiations(), 2u);
}

TEST_F(BackupTest, ABackupIsOfOneMomentAndHoldsNothingInTheClear) {
  const std::string backup = Backup();
  EXPECT_EQ(backup.find("sealed elsewhere"), std::string::npos);
  EXPECT_EQ(backup.find(home_.id().ToString()), std::string::npos);
  EXPECT_EQ(backup.find("telemetry/"), std::string::npos);
  std::string denied;
  EXPECT_EQ(TryBackup(As(kAcme, Role::kAdmin, "alice"), kAcme, &denied).error_code(),
            grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(TryBackup(Phone(), kAcme, &denied).error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(TryBackup(Operator(), "absent.example", &denied).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(denied, "");
  EXPECT_THAT(AuditActions(kAcme), Contains("backup_taken"));
}

TEST_F(BackupTest, AnExportHoldsWhatWasHandedInAndNothingOfOthers) {
  std::string exported, denied;
  ASSERT_TRUE(TryExport(Operator(), kAcme, &exported).ok());
  copies::ExportVerifier verifier;
  ASSERT_TRUE(verifier.Feed(exported).ok());
  const auto good = verifier.Finish(ReadAll(TestPki::Shared().provider_roots()));
  ASSERT_TRUE(good.ok()) << good.status();
  EXPECT_EQ(good->groups, UsageOf(kAcme).stored_groups());
  EXPECT_EQ(good->bytes, UsageOf(kAcme).stored_bytes());
  EXPECT_EQ(good->instantiations, 1u);
  for (uint64_t sequence = 0; sequence < 3; ++sequence)
    EXPECT_NE(exported.find(FromBulb(sequence)), std::string::npos) << sequence;
  EXPECT_EQ(exported.find(kGlobex), std::string::npos);
  for (Peer* const peer : {&As(kAcme, Role::kAdmin, "alice"), &Phone()})
    EXPECT_EQ(TryExport(*peer, kAcme, &denied).error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(denied, "");
  EXPECT_THAT(AuditActions(kAcme), Contains("data_exported"));
  for (size_t at = 0; at < exported.size(); at += 97) {
    std::string edited = exported;
    edited[at] = static_cast<char>(edited[at] ^ 1);
    copies::ExportVerifier sees;
    EXPECT_FALSE(sees.Feed(edited).ok() && sees.Finish(ReadAll(TestPki::Shared().provider_roots())).ok())
        << at;
  }
  EraseHome(home_.id());
  ASSERT_TRUE(TryExport(Operator(), kAcme, &exported).ok());
  EXPECT_EQ(exported.find(FromBulb(0)), std::string::npos);
}

TEST_F(BackupTest, OpenCallsEndAndReadersBeginAnew) {
  const std::string backup = Backup();
  Publish(3, 4);
  v1::SubscribeRequest request;
  request.set_tenant(kAcme);
  request.set_instantiation(home_.id().ToString());
  request.add_topics()->set_topic(telemetry_.str());
  std::string log_id;
  uint64_t next = 0;
  {
    grpc::ClientContext context;
    const auto reader = Phone().transport().Subscribe(&context, request);
    v1::SubscribeResponse message;
    while (next < 4 && reader->Read(&message)) {
      for (const v1::TopicEntries& topic : message.topics()) {
        if (!topic.log_id().empty()) log_id = topic.log_id();
        next += static_cast<uint64_t>(topic.groups_size());
      }
    }
    const auto theirs = Spy().Subscribe(*their_home_, {Topic::Keyring()});
    ASSERT_TRUE(theirs->CaughtUp());
    ASSERT_EQ(Restore(backup).outcome(), kRestored);
    while (reader->Read(&message)) {
    }
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
    Home& home = *their_home_;
    const std::string bundle = home.Make();  // the other tenant's call is open still
    EXPECT_TRUE(Spy().Submit(home, bundle).ok());
    EXPECT_TRUE(theirs->Next().has_value());
  }
  // At the offset where it stood there will be another record: who asks for it gets all from the beginning.
  ASSERT_FALSE(log_id.empty());
  Publish(10, 12);
  request.mutable_topics(0)->set_log_id(log_id);
  request.mutable_topics(0)->set_next_offset(next);
  OpenSubscription again(Phone().transport(), request);
  ASSERT_TRUE(again.CaughtUp());
  EXPECT_EQ(again.TakePending().size(), 5u);
}

TEST_F(BackupTest, WhatIsNotGoodChangesNothing) {
  const std::string good = Backup(), theirs = Backup(kGlobex);
  Publish(3, 5);
  const std::string later = Backup();
  const std::vector<std::string> now = Telemetry();
  const v1::UsageResponse used = UsageOf(kAcme);

  std::map<std::string, std::string> bad;
  bad["empty"] = "";
  bad["no backup"] = std::string(5000, 'x');
  bad["cut off"] = good.substr(0, good.size() / 2);
  bad["without its end"] = good.substr(0, good.size() - FramesOf(good).back().payload.size() - 5);
  bad["without its last byte"] = good.substr(0, good.size() - 1);
  bad["with something behind"] = good + "x";
  for (const size_t part : {1, 3, 5, 7, 9}) {
    std::string& flipped = bad["with bit " + std::to_string(part)] = good;
    flipped[good.size() * part / 10] = static_cast<char>(flipped[good.size() * part / 10] ^ 4);
  }
  const std::vector<OwnedFrame> frames = FramesOf(good), frames_later = FramesOf(later);
  ASSERT_EQ(FileOf(frames), good);
  for (const char kind : {'E', 'R'}) {
    std::vector<OwnedFrame> fewer = frames, twice = frames;
    const auto of_kind = [kind](const OwnedFrame& frame) { return frame.kind == kind; };
    fewer.erase(std::find_if(fewer.begin(), fewer.end(), of_kind));
    bad[std::string("less one of ") + kind] = FileOf(fewer);
    const auto first = std::find_if(twice.begin(), twice.end(), of_kind);
    std::swap(*first, *(first + 1));
    bad[std::string("exchanged two of ") + kind] = FileOf(twice);
  }
  std::vector<OwnedFrame> spliced = frames;
  spliced.insert(spliced.end() - 1, frames_later[frames_later.size() - 2]);
  bad["spliced"] = FileOf(spliced);
  std::vector<OwnedFrame> older = frames_later;  // one value of another time, which opens at its place
  for (OwnedFrame& frame : older) {
    for (const OwnedFrame& was : frames) {
      if (frame.kind == 'R' && was.kind == 'R' && frame.payload.substr(0, 19) == was.payload.substr(0, 19))
        frame = was;
    }
  }
  ASSERT_NE(FileOf(older), later);
  bad["of two times"] = FileOf(older);
  std::vector<OwnedFrame> header = frames;
  copies::BackupHeader other = *copies::DecodeBackupHeader({header[0].kind, header[0].payload});
  other.taken += absl::Hours(1);
  header[0].payload = copies::EncodeBackupHeader(other);
  bad["of another time"] = FileOf(header);
  for (const auto& [name, file] : bad) {
    const Restored refused = Restore(file);
    EXPECT_EQ(refused.outcome(), kDamaged) << name << refused.status.error_message();
    EXPECT_TRUE(refused.status.ok()) << name;
  }
  EXPECT_EQ(Restore(theirs).outcome(), v1::RESTORE_OUTCOME_OTHER_TENANT);
  std::vector<OwnedFrame> renamed = FramesOf(theirs);
  other = *copies::DecodeBackupHeader({renamed[0].kind, renamed[0].payload});
  other.tenant = Tenant(kAcme);
  renamed[0].payload = copies::EncodeBackupHeader(other);
  EXPECT_EQ(Restore(FileOf(renamed)).outcome(), kKeyGone);  // of a number that acme never had here
  other.number = kAcmeNumber;
  renamed[0].payload = copies::EncodeBackupHeader(other);
  EXPECT_EQ(Restore(FileOf(renamed)).outcome(), kDamaged);  // their rows do not open under acme's key
  EXPECT_EQ(Restore("absent.example", good).status.error_code(), grpc::StatusCode::NOT_FOUND);

  EXPECT_EQ(Telemetry(), now);
  EXPECT_EQ(UsageOf(kAcme).stored_bytes(), used.stored_bytes());
  EXPECT_EQ(StagedFiles(), 0u);
  EXPECT_EQ(Restore(kAcme, good, 777).outcome(), kRestored);  // in pieces of whatever size
  EXPECT_EQ(Telemetry().size(), 3u);
}

TEST_F(BackupTest, WhatWasErasedStaysErasedWhateverIsRestored) {
  Home other(kAcme, Uri(kAcme, Role::kApp, "phone"));
  const std::string founded = other.Make();
  ASSERT_TRUE(Phone().Submit(other, founded).ok());
  other.Take(founded);
  const std::string backup = Backup();
  EraseHome(home_.id());
  const v1::UsageResponse used = UsageOf(kAcme);
  const Restored restored = Restore(backup);
  ASSERT_EQ(restored.outcome(), kRestored) << restored.status.error_message();
  EXPECT_EQ(restored.response.left_out(), 1u);
  EXPECT_EQ(restored.response.instantiations(), 1u);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Phone().FetchFrom(kAcme, home_.id()).error_code(), grpc::StatusCode::NOT_FOUND);
    EXPECT_TRUE(Phone().FetchFrom(kAcme, other.id()).ok());
    EXPECT_EQ(UsageOf(kAcme).instantiations(), 1u);
    EXPECT_EQ(UsageOf(kAcme).stored_groups(), used.stored_groups());
    EXPECT_EQ(UsageOf(kAcme).stored_bytes(), used.stored_bytes());
    Restart();
  }
  ASSERT_TRUE(EraseTenant(kAcme).ok());
  EXPECT_EQ(Restore(backup).status.error_code(), grpc::StatusCode::NOT_FOUND);
  ASSERT_TRUE(Create(kAcme).ok());
  EXPECT_EQ(Restore(backup).outcome(), kKeyGone);
  EXPECT_EQ(UsageOf(kAcme).stored_bytes(), 0u);
}

TEST_F(BackupTest, AnErasureMeanwhileEndsARestoration) {
  const std::string backup = Backup();
  v1::TenantAdmin::Stub stub(Operator().channel());
  grpc::ClientContext context;
  v1::RestoreResponse response;
  const auto writer = stub.Restore(&context, &response);
  v1::RestoreRequest request;
  request.set_tenant(kAcme);
  request.set_data(backup.substr(0, backup.size() / 2));
  ASSERT_TRUE(writer->Write(request));
  EXPECT_TRUE(Eventually([&] { return StagedFiles() > 0; }));  // it has begun
  EraseHome(home_.id());
  request.clear_tenant();
  request.set_data(backup.substr(backup.size() / 2));
  writer->Write(request);
  writer->WritesDone();
  EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::ABORTED);
  EXPECT_EQ(Phone().FetchFrom(kAcme, home_.id()).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(StagedFiles(), 0u);
  ASSERT_EQ(Restore(backup).outcome(), kRestored);
  EXPECT_EQ(Phone().FetchFrom(kAcme, home_.id()).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(BackupTest, ACallerWhoGoesAwayLeavesNothingBehind) {
  const std::string backup = Backup();
  Publish(3, 5);
  for (const size_t sent : {backup.size() / 2, backup.size() - 1}) {
    v1::TenantAdmin::Stub stub(Operator().channel());
    grpc::ClientContext context;
    v1::RestoreResponse response;
    const auto writer = stub.Restore(&context, &response);
    v1::RestoreRequest request;
    request.set_tenant(kAcme);
    request.set_data(backup.substr(0, sent));
    ASSERT_TRUE(writer->Write(request));
    EXPECT_TRUE(Eventually([&] { return StagedFiles() > 0; }));
    context.TryCancel();
    EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::CANCELLED);
    EXPECT_TRUE(Eventually([&] { return StagedFiles() == 0; }));
  }
  EXPECT_EQ(Telemetry().size(), 5u);
}

TEST_F(BackupTest, AuditLogAndRevocationsDoNotGoBack) {
  const std::string backup = Backup();
  const std::vector<std::string> early = AuditActions(kAcme);
  Revocations revocations{.number = 7, .tenant = Tenant(kAcme), .text = "name device/bulb\n"};
  const auto key = ReadAll(TestPki::Shared().tenant_folder(kAcme) + "/ca.key");
  v1::PutRevocationsRequest put;
  put.set_object(ToString(*SignRevocations(revocations, SecretBytes::CopyOf(AsBytes(key)))));
  {
    v1::PutRevocationsResponse response;
    grpc::ClientContext context;
    ASSERT_TRUE(v1::Revocation::NewStub(Phone().channel())->Put(&context, put, &response).ok());
  }
  Commit(home_);
  EXPECT_EQ(Bulb().Publish(FromBulb(3)).code(), grpc::StatusCode::UNAUTHENTICATED);
  const std::vector<std::string> before = AuditActions(kAcme);
  ASSERT_EQ(std::count(before.begin(), before.end(), "commit_accepted"),
            1 + std::count(early.begin(), early.end(), "commit_accepted"));
  ASSERT_EQ(Restore(backup).outcome(), kRestored);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Bulb().Publish(FromBulb(3)).code(), grpc::StatusCode::UNAUTHENTICATED);
    const std::vector<std::string> after = AuditActions(kAcme);
    ASSERT_GT(after.size(), before.size());
    EXPECT_TRUE(std::equal(before.begin(), before.end(), after.begin()));
    EXPECT_EQ(std::count(after.begin(), after.end(), "tenant_restored"), 1);
    Restart();
  }
  EXPECT_THAT(AuditActions(kProvider), Contains("tenant_restored"));
}

// What was sealed stands under a key and a counter of its own for all time: no two different ciphertexts
// share them, whatever went back and went on from there.
TEST_F(BackupTest, NoNonceIsUsedTwice) {
  std::map<std::string, std::string> sealed;  // what stands before the ciphertext → all of it
  const auto look = [&](const Raw& items) {
    for (const storage::TenantItem& item : items) {
      if (item.kind == storage::TenantItem::Kind::kTrim) continue;
      const auto [known, is_new] =
          sealed.try_emplace(item.value.substr(0, backend::at_rest::kSealedHeaderBytes), item.value);
      EXPECT_EQ(known->second, item.value);
    }
  };
  const std::string backup = Backup();
  for (uint64_t round = 0; round < 3; ++round) {
    Publish(3 + 10 * round, 6 + 10 * round);
    StopBackend();
    look(RawOf(kAcmeNumber));
    Start();
    Publish(6 + 10 * round, 8 + 10 * round);
    ASSERT_EQ(Restore(backup).outcome(), kRestored);
    Publish(3 + 10 * round, 9 + 10 * round);  // other bytes than before at the same offsets
    StopBackend();
    look(RawOf(kAcmeNumber));
    Start();
  }
  EXPECT_GT(sealed.size(), 40u);
}

}  // namespace
}  // namespace keystead::testing
