// What a host does to single records, each accounted for as an Injection of infra-sim is: where the record
// stood, what it was, what it is now.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "core/base/random.h"
#include "tests/hostile_host/provider_store.h"

namespace keystead::hostile_host {

struct RecordPlace {
  Place group;
  uint64_t sequence = 0;
};

enum class Deed {
  kEdit,    // one region of the COSE object gets another value, encrypted at rest anew: needs the keystore
  kSwap,    // two records exchange their COSE objects; likewise
  kDelete,  // another group of the log is copied over the record's own, so that no hole tells; likewise
  kDamage,  // one bit of what lies on the disk; needs nothing
  kMove,    // the bytes on the disk of two groups are exchanged; needs nothing
  kRemove,  // the row goes and leaves a hole; needs nothing
};
// INVALID_ARGUMENT names the deeds that there are.
absl::StatusOr<Deed> DeedOf(std::string_view name);

struct Order {
  Deed deed = Deed::kEdit;
  std::string region;  // of kEdit: cose_protected, cose_kid, cose_partial_iv, cose_ciphertext, cose_tag
  RecordPlace at;
  RecordPlace with;  // of kSwap and kMove the other one; of kDelete what is copied
};

// Does it; returns one line of JSON per record that is no longer what it was. INVALID_ARGUMENT: the order
// does not fit what stands there; nothing was changed. A group that is deleted, damaged, moved or removed
// counts with all of its records that the host can see, or as one when it can see none.
absl::StatusOr<std::vector<std::string>> Do(ProviderStore& store, const Order& order, RandomSource& random);

// One line of JSON for each record of a group that opens at rest, or one for a group that does not.
std::vector<std::string> Describe(const StoredGroup& stored);

}  // namespace keystead::hostile_host
