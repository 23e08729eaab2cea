// Whether the file of an export is whole, what the provider says it is, and holds what a tenant could take to
// another provider. Needs nothing but the file and the provider's CA.
//
// What it does not show: that the provider exported everything. What is missing between the records of a
// stream, members notice, who open them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string_view>

#include "absl/status/statusor.h"
#include "core/copies/export_file.h"
#include "core/membership/chain.h"
#include "core/transport/group_view.h"

namespace keystead::copies {

struct VerifiedExport {
  ExportHeader header;
  uint64_t groups = 0;
  uint64_t records = 0;
  uint64_t bytes = 0;  // of groups
  uint64_t commits = 0;
  uint64_t instantiations = 0;
  std::string signer;  // empty: nobody signed it
};

// Fed with the file piece by piece; holds the chains of commits in memory. Not thread-safe.
class ExportVerifier {
 public:
  // INVALID_ARGUMENT in words: what of it is wrong.
  absl::Status Feed(std::string_view bytes);
  // With `provider_ca_pem` also UNAUTHENTICATED, unless a key signed it that this CA had certified then.
  absl::StatusOr<VerifiedExport> Finish(std::string_view provider_ca_pem);

 private:
  absl::Status Take(const Frame& frame);
  absl::Status TakeGroup(const Frame& frame);
  absl::Status TakeCommit(const Frame& frame);

  FrameReader reader_;
  VerifiedExport out_;
  bool has_header_ = false;
  ExportTrailer trailer_;
  GroupHeaderCache headers_;
  std::map<InstantiationId, MembershipChain> chains_;
};

}  // namespace keystead::copies
