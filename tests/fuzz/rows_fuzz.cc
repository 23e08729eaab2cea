// Rows of the store, which a host can edit: a row that is accepted is the row that its encoder writes. The
// first byte picks the decoder.
#include "backend/rows.h"

#include "core/storage/keys.h"
#include "core/transport/record_log_rows.h"
#include "gateway/rows.h"
#include "tests/fuzz/fuzz_check.h"

namespace {

namespace backend = keystead::backend;
namespace gateway = keystead::gateway;
namespace rows = keystead::rows;
namespace storage = keystead::storage;

void CheckStorage(uint8_t which, std::string_view input) {
  std::string name;
  uint32_t version = 0;
  switch (which) {
    case 0:
      if (const auto bounds = storage::DecodeBounds(input))
        FUZZ_CHECK(storage::EncodeBounds(*bounds) == input);
      break;
    case 1:
      if (const auto log = storage::DecodeBoundsKey(input)) FUZZ_CHECK(storage::BoundsKey(*log) == input);
      break;
    case 2:
      if (const auto key = storage::DecodeEntryKey(input)) {
        FUZZ_CHECK(storage::EntryKey(key->log, key->offset).view() == input);
      }
      break;
    case 3: {
      const std::string end = storage::PrefixEnd(input);
      FUZZ_CHECK(end.empty() || (end > input && !end.starts_with(input)));
      break;
    }
    default:
      if (storage::DecodeFormat(input, &name, &version))
        FUZZ_CHECK(storage::EncodeFormat(name, version) == input);
  }
}

void CheckRecordLog(uint8_t which, std::string_view input) {
  switch (which) {
    case 0:
      if (const auto log = rows::DecodeTopicLog(1, input); log.ok())
        FUZZ_CHECK(rows::EncodeTopicLog(*log) == input);
      break;
    case 1:
      if (const auto key = rows::DecodeTopicKey(1, input); key.ok()) {
        FUZZ_CHECK(rows::TopicKeyOf(key->instantiation, key->topic) == input);
      }
      break;
    case 2:
      if (const auto head = rows::DecodeHead(input); head.ok()) FUZZ_CHECK(rows::EncodeHead(*head) == input);
      break;
    case 3: {
      const std::string_view key = input.substr(0, std::min<size_t>(input.size(), 17));
      const std::string_view value = input.substr(key.size());
      const auto checkpoint = rows::DecodeCheckpoint(key, value);
      if (checkpoint.ok()) FUZZ_CHECK(rows::EncodeCheckpoint(*checkpoint) == value);
      break;
    }
    case 4: {
      const auto stream = rows::DecodeStream(input);
      if (!stream.ok()) break;
      const std::string once = rows::EncodeStream(*stream);
      const auto again = rows::DecodeStream(once);
      FUZZ_CHECK(again.ok() && rows::EncodeStream(*again) == once);
      break;
    }
    case 5:
      if (const auto key = rows::DecodeStreamKey(input);
          key.ok()) {  // a prefix of the key: rows 'p' and 'l' too
        const std::string whole = rows::StreamKeyOf(rows::GetU64(input, 0), *key);
        FUZZ_CHECK(whole.substr(9) == input.substr(9, whole.size() - 9));
      }
      break;
    case 6:
      if (const auto places = rows::DecodePlaces(input); places.ok()) {
        FUZZ_CHECK(rows::EncodePlaces(places->end, places->groups) == input);
      }
      break;
    default:
      rows::DecodeNumber(input).IgnoreError();
      if (input.size() >= 40) {
        const size_t key = input.size() - 40;  // the value of a late record has 40 bytes
        if (const auto late = rows::DecodeLate(input.substr(0, key), input.substr(key)); late.ok()) {
          FUZZ_CHECK(rows::EncodeLate(late->digest, late->publisher) == input.substr(key));
        }
      }
  }
}

void CheckPrograms(uint8_t which, std::string_view input) {
  switch (which) {
    case 0:
      if (const auto n = backend::DecodeNumber(input); n.ok()) FUZZ_CHECK(backend::EncodeNumber(*n) == input);
      if (const auto n = gateway::DecodeNumber(input); n.ok()) FUZZ_CHECK(gateway::EncodeNumber(*n) == input);
      break;
    case 1: {
      const auto commit = backend::DecodeCommit(input);
      if (!commit.ok()) break;
      const std::string once = backend::EncodeCommit(*commit);
      const auto again = backend::DecodeCommit(once);
      FUZZ_CHECK(again.ok() && again->hash == commit->hash && again->bundle == commit->bundle);
      break;
    }
    case 2:
      if (const auto row = backend::DecodeDevice(input); row.ok())
        FUZZ_CHECK(backend::EncodeDevice(*row) == input);
      break;
    case 3:
      backend::DecodeEvictedKey(input).IgnoreError();
      gateway::DecodeEntryOffset(input).IgnoreError();
      if (const auto state = backend::DecodeAuditState(input); state.ok())
        FUZZ_CHECK(backend::EncodeAuditState(*state) == input);
      if (const auto left = backend::DecodeErasing(input); left.ok())
        FUZZ_CHECK(backend::EncodeErasing(*left) == input);
      if (const auto gone = backend::DecodeGone(input); gone.ok()) {
        const std::string once = backend::EncodeGone(*gone);
        FUZZ_CHECK(backend::EncodeGone(*backend::DecodeGone(once)) == once);
      }
      break;
    default:
      if (const auto at = gateway::DecodePosition(input); at.ok())
        FUZZ_CHECK(gateway::EncodePosition(*at) == input);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data + 1), size - 1);
  const uint8_t which = data[0] % 18;
  if (which < 5) {
    CheckStorage(which, input);
  } else if (which < 13) {
    CheckRecordLog(which - 5, input);
  } else {
    CheckPrograms(which - 13, input);
  }
  return 0;
}
