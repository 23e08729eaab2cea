#include "backend/admin/copy_transfer.h"

#include <chrono>
#include <fstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "core/base/status.h"
#include "core/program/file_writer.h"

namespace keystead::admin {
namespace {

constexpr std::chrono::hours kPatience(24);  // a whole tenant may be long on its way
constexpr size_t kPieceBytes = 256 << 10;
constexpr absl::Duration kLook = absl::Milliseconds(100);

// Ends the call when the program is told to end.
class CancelOnTermination {
 public:
  CancelOnTermination(TerminationSignal& termination, grpc::ClientContext& call) {
    call.set_deadline(std::chrono::system_clock::now() + kPatience);
    thread_ = std::thread([this, &termination, &call] {
      while (!done_.WaitForNotificationWithTimeout(kLook)) {
        if (termination.WaitFor(absl::ZeroDuration())) return call.TryCancel();
      }
    });
  }
  ~CancelOnTermination() {
    done_.Notify();
    thread_.join();
  }
  CancelOnTermination(const CancelOnTermination&) = delete;
  CancelOnTermination& operator=(const CancelOnTermination&) = delete;

 private:
  absl::Notification done_;
  std::thread thread_;
};

absl::Status Explain(Context& context, const grpc::Status& status, const std::string& what) {
  if (status.error_code() == grpc::StatusCode::ABORTED) {
    return absl::AbortedError(
        absl::StrCat(what, ": something was erased meanwhile; nothing was done, begin again"));
  }
  if (status.error_code() == grpc::StatusCode::CANCELLED)
    return absl::CancelledError(absl::StrCat(what, ": interrupted"));
  return context.connection->Explain(status, what);
}

}  // namespace

absl::StatusOr<uint64_t> Download(
    Context& context, const std::string& what, const std::string& path,
    const std::function<std::unique_ptr<CopyReader>(grpc::ClientContext*)>& start,
    const std::function<absl::Status(std::string_view)>& look, const std::function<absl::Status()>& good) {
  KS_RETURN_IF_ERROR(context.connection->Dial());
  KS_ASSIGN_OR_RETURN(FileWriter file, FileWriter::Create(path));
  grpc::ClientContext call;
  const CancelOnTermination watching(*context.termination, call);
  const auto reader = start(&call);
  v1::CopyChunk chunk;
  absl::Status status;
  uint64_t bytes = 0;
  while (status.ok() && reader->Read(&chunk)) {
    bytes += chunk.data().size();
    status = look(chunk.data());
    if (status.ok()) status = file.Append(chunk.data());
  }
  if (!status.ok()) call.TryCancel();
  const grpc::Status ended = reader->Finish();
  if (!status.ok()) return status;
  KS_RETURN_IF_ERROR(Explain(context, ended, what));
  KS_RETURN_IF_ERROR(good());
  KS_RETURN_IF_ERROR(file.Commit());
  return bytes;
}

absl::Status ReadPieces(const std::string& path, const std::function<absl::Status(std::string_view)>& each) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat("cannot open ", path));
  std::string piece(kPieceBytes, '\0');
  while (file) {
    file.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    if (file.bad()) return absl::DataLossError(absl::StrCat("cannot read ", path));
    KS_RETURN_IF_ERROR(each(std::string_view(piece).substr(0, static_cast<size_t>(file.gcount()))));
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::RestoreResponse> Upload(Context& context, const std::string& what,
                                           const std::string& tenant, const std::string& path) {
  KS_RETURN_IF_ERROR(context.connection->Dial());
  grpc::ClientContext call;
  const CancelOnTermination watching(*context.termination, call);
  v1::RestoreResponse response;
  const auto writer = context.connection->stub().Restore(&call, &response);
  v1::RestoreRequest request;
  request.set_tenant(tenant);
  bool taken = true;  // a backend that has seen enough takes no more
  const absl::Status read = ReadPieces(path, [&](std::string_view piece) {
    request.set_data(std::string(piece));
    taken = taken && writer->Write(request);
    request.clear_tenant();
    return absl::OkStatus();
  });
  if (!read.ok()) call.TryCancel();
  writer->WritesDone();
  const grpc::Status ended = writer->Finish();
  KS_RETURN_IF_ERROR(read);
  KS_RETURN_IF_ERROR(Explain(context, ended, what));
  return response;
}

}  // namespace keystead::admin
