#include "core/transport/response_writer.h"

#include <memory>
#include <utility>

#include "core/transport/wire.h"

namespace keystead {
namespace {

// Below it a copy costs less than a slice of its own.
constexpr size_t kReferFromBytes = 4096;

grpc::Slice SliceOf(std::shared_ptr<const std::string> bytes) {
  auto* const holder = new std::shared_ptr<const std::string>(std::move(bytes));
  const auto release = [](void* data) { delete static_cast<std::shared_ptr<const std::string>*>(data); };
  return grpc::Slice(const_cast<char*>((*holder)->data()), (*holder)->size(), release, holder);
}

}  // namespace

void BufferWriter::Refer(const storage::Payload& bytes) {
  if (bytes->size() < kReferFromBytes) {
    text_.append(*bytes);
    return;
  }
  FlushText();
  slice_bytes_ += bytes->size();
  slices_.push_back(SliceOf(bytes));
}

void BufferWriter::FlushText() {
  if (text_.empty()) return;
  slice_bytes_ += text_.size();
  if (text_.size() < kReferFromBytes) {
    slices_.emplace_back(text_.data(), text_.size());
    text_.clear();
  } else {
    slices_.push_back(SliceOf(std::make_shared<const std::string>(std::move(text_))));
    text_ = std::string();
  }
}

grpc::ByteBuffer BufferWriter::Take() {
  FlushText();
  grpc::ByteBuffer out(slices_.data(), slices_.size());
  slices_.clear();
  slice_bytes_ = 0;
  return out;
}

void ResponseWriter::Add(const TopicEntriesFields& fields) {
  // keystead.v1.TopicEntries; every tag is one byte.
  const auto number_size = [](uint64_t value) { return value == 0 ? 0 : 1 + wire::VarintSize(value); };
  size_t body = number_size(fields.topic) + number_size(fields.first_offset) + (fields.caught_up ? 2 : 0) +
                number_size(fields.first_kept);
  if (!fields.log_id.empty()) body += 1 + wire::VarintSize(fields.log_id.size()) + fields.log_id.size();
  for (const storage::Entry& entry : fields.entries) {
    body += 1 + wire::VarintSize(entry.bytes->size()) + entry.bytes->size();
  }
  std::string& text = out_.text();
  text.push_back(static_cast<char>(wire::BytesTag(1)));
  wire::PutVarint(text, body);
  wire::PutNumber(text, 1, fields.topic);
  if (!fields.log_id.empty()) wire::PutBytes(text, 2, fields.log_id);
  wire::PutNumber(text, 3, fields.first_offset);
  for (const storage::Entry& entry : fields.entries) {
    out_.text().push_back(static_cast<char>(wire::BytesTag(4)));
    wire::PutVarint(out_.text(), entry.bytes->size());
    out_.Refer(entry.bytes);
  }
  wire::PutNumber(out_.text(), 5, fields.caught_up ? 1 : 0);
  wire::PutNumber(out_.text(), 6, fields.first_kept);
  ++topics_;
  groups_ += fields.entries.size();
}

}  // namespace keystead
