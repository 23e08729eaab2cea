// Writes a keystead.v1.SubscribeResponse as bytes: large groups by reference to what the store keeps, small
// ones copied together.
#pragma once

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/storage/log_store.h"

namespace keystead {

// Collects pieces of one message. Not thread-safe.
class BufferWriter {
 public:
  std::string& text() { return text_; }       // append small pieces here
  void Refer(const storage::Payload& bytes);  // copies when that is cheaper
  size_t size() const { return slice_bytes_ + text_.size(); }
  grpc::ByteBuffer Take();

 private:
  void FlushText();

  std::string text_;
  std::vector<grpc::Slice> slices_;
  size_t slice_bytes_ = 0;
};

struct TopicEntriesFields {
  uint32_t topic = 0;
  std::string_view log_id;  // empty: left out
  uint64_t first_offset = 0;
  std::span<const storage::Entry> entries;
  bool caught_up = false;
  uint64_t first_kept = 0;
};

class ResponseWriter {
 public:
  void Add(const TopicEntriesFields& fields);
  bool empty() const { return topics_ == 0; }
  size_t bytes() const { return out_.size(); }
  size_t groups() const { return groups_; }
  grpc::ByteBuffer Take() { return out_.Take(); }

 private:
  BufferWriter out_;
  size_t topics_ = 0;
  size_t groups_ = 0;
};

}  // namespace keystead
