// The worked examples of docs/protocol.md. What follows from the fixed inputs is made anew by every test run
// and compared; signatures and encapsulations are random, so what holds them stands in the document as it was
// once made, and is opened and verified.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/base/bytes.h"

namespace keystead::vectors {

struct ProtocolExample {
  std::string name;  // of its block: ```hex <name>
  std::string says;
  Bytes bytes;
  bool random = false;  // differs from run to run
};

// In the order in which the document shows them.
std::vector<ProtocolExample> MakeProtocolExamples();

// Opens and verifies the blocks that are not made anew. INVALID_ARGUMENT names the one that does not hold.
absl::Status CheckRandomExamples(const std::map<std::string, Bytes>& blocks);

// The blocks ```hex <name> of a document. INVALID_ARGUMENT: not hex, or a name twice.
absl::StatusOr<std::map<std::string, Bytes>> ReadHexBlocks(const std::string& markdown);

// The section of the document: heading by heading, block by block.
std::string PrintProtocolExamples(const std::vector<ProtocolExample>& examples);

}  // namespace keystead::vectors
