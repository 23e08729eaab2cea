#include "core/audit/entry.h"

#include <gtest/gtest.h>

#include "core/cose/cbor.h"

namespace keystead::audit {
namespace {

const TenantName kTenant = TenantName::Parse("acme.example").value();

Entry Sample() {
  Entry entry;
  entry.sequence = 7;
  entry.time = absl::FromUnixMicros(1'700'000'000'000'001);
  entry.event = {"spiffe://provider.example/operator/ops", "limits_set", "acme.example",
                 "records_per_second: 50"};
  entry.previous = HashEntry(kTenant, AsBytes("the one before"));
  return entry;
}

TEST(AuditEntryTest, ReadsBackWhatItWrote) {
  const Entry entry = Sample();
  const Entry read = ParseEntry(EncodeEntry(entry)).value();
  EXPECT_EQ(read.sequence, entry.sequence);
  EXPECT_EQ(read.time, entry.time);
  EXPECT_EQ(read.event.actor, entry.event.actor);
  EXPECT_EQ(read.event.action, entry.event.action);
  EXPECT_EQ(read.event.object, entry.event.object);
  EXPECT_EQ(read.event.detail, entry.event.detail);
  EXPECT_EQ(read.previous, entry.previous);
}

TEST(AuditEntryTest, WhatAPeerSaidCannotMoveACursorOrGrowTheLog) {
  Entry entry = Sample();
  entry.event.actor = std::string(100'000, 'a');
  entry.event.action = std::string(100'000, 'b');
  entry.event.object = std::string(100'000, 'c');
  entry.event.detail = "\x1b[2J\xff\xc3\nline\0two" + std::string(100'000, 'd');
  const Bytes bytes = EncodeEntry(entry);
  EXPECT_LE(bytes.size(), kMaxEntryBytes);
  const Entry read = ParseEntry(bytes).value();
  EXPECT_EQ(read.event.actor.size(), kMaxActorBytes);
  EXPECT_EQ(read.event.detail.substr(0, 11), "?[2J???line");
  EXPECT_EQ(EncodeEntry(read), bytes);
}

TEST(AuditEntryTest, RefusesWhatItDoesNotWrite) {
  const Bytes good = EncodeEntry(Sample());
  for (size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(ParseEntry(ByteView(good).first(size)).ok()) << size;
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_FALSE(ParseEntry(longer).ok());
  EXPECT_FALSE(
      ParseEntry(cose::EncodeArray(uint64_t{1}, uint64_t{1}, "a", "b", "c", "line\n", Digest())).ok());
  EXPECT_FALSE(ParseEntry(cose::EncodeArray(uint64_t{1}, UINT64_MAX, "a", "b", "c", "d", Digest())).ok());
  EXPECT_FALSE(
      ParseEntry(cose::EncodeArray(uint64_t{1}, uint64_t{1}, "a", std::string(65, 'b'), "c", "d", Digest()))
          .ok());
}

TEST(AuditEntryTest, TheHashNamesTheTenant) {
  const Bytes bytes = EncodeEntry(Sample());
  EXPECT_NE(HashEntry(kTenant, bytes), HashEntry(TenantName::Parse("globex.example").value(), bytes));
}

}  // namespace
}  // namespace keystead::audit
