#include "tests/isolation/exchange.h"

#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"

namespace keystead::testing {
namespace {

constexpr absl::Duration kDeadline = absl::Seconds(30);

bool Next(grpc::CompletionQueue& queue) {
  void* tag = nullptr;
  bool ok = false;
  return queue.Next(&tag, &ok) && ok;
}

std::string Text(const grpc::ByteBuffer& buffer) {
  grpc::Slice slice;
  if (!buffer.DumpToSingleSlice(&slice).ok()) return "";
  return {reinterpret_cast<const char*>(slice.begin()), slice.size()};
}

void AddSorted(const std::multimap<grpc::string_ref, grpc::string_ref>& metadata,
               std::vector<std::string>& out) {
  const auto from = static_cast<ptrdiff_t>(out.size());
  for (const auto& [name, value] : metadata)
    out.push_back(std::string(name.data(), name.size()) + ": " + std::string(value.data(), value.size()));
  std::sort(out.begin() + from, out.end());
}

}  // namespace

std::string Answer::Bytes() const {
  return absl::StrCat(code, "\n", message, "\n", details, "\n", absl::StrJoin(metadata, "\n"), "\n\n",
                      absl::StrJoin(responses, "\n\n"));
}

Answer Exchange(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
                const std::string& request, const std::function<bool(const std::string& response)>& enough) {
  Answer out;
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + kDeadline));
  grpc::CompletionQueue queue;
  grpc::GenericStub stub(channel);
  const auto call = stub.PrepareCall(&context, method, &queue);
  const grpc::Slice slice(request);
  call->StartCall(nullptr);
  bool open = Next(queue);
  if (open) {
    call->WriteLast(grpc::ByteBuffer(&slice, 1), grpc::WriteOptions(), nullptr);
    Next(queue);  // an answer may come before all was written
  }
  bool cancelled = false;
  while (open && !cancelled) {
    grpc::ByteBuffer response;
    call->Read(&response, nullptr);
    open = Next(queue);
    if (open) out.responses.push_back(Text(response));
    cancelled = open && enough && enough(out.responses.back());
  }
  if (cancelled) context.TryCancel();
  grpc::Status status;
  call->Finish(&status, nullptr);
  Next(queue);
  queue.Shutdown();
  while (Next(queue)) {
  }
  out.code = cancelled ? grpc::StatusCode::OK : status.error_code();
  if (!cancelled) {
    out.message = status.error_message();
    out.details = status.error_details();
    AddSorted(context.GetServerInitialMetadata(), out.metadata);
    AddSorted(context.GetServerTrailingMetadata(), out.metadata);
  }
  return out;
}

}  // namespace keystead::testing
