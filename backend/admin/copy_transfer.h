// Files that come from a backend, or go to it, piece by piece.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "backend/admin/verbs.h"

namespace keystead::admin {

using CopyReader = grpc::ClientReader<v1::CopyChunk>;

// Writes to `path`, whole or not at all, what the call that `start` makes sends; `look` sees every piece, and
// `good` decides at the end whether it may have its name. How many bytes.
absl::StatusOr<uint64_t> Download(
    Context& context, const std::string& what, const std::string& path,
    const std::function<std::unique_ptr<CopyReader>(grpc::ClientContext*)>& start,
    const std::function<absl::Status(std::string_view)>& look, const std::function<absl::Status()>& good);

// Sends the file at `path`.
absl::StatusOr<v1::RestoreResponse> Upload(Context& context, const std::string& what,
                                           const std::string& tenant, const std::string& path);

// Calls `each` with the pieces of a file.
absl::Status ReadPieces(const std::string& path, const std::function<absl::Status(std::string_view)>& each);

}  // namespace keystead::admin
