// Topics: the named logs inside an instantiation, and the unit in which read access is granted.
// See docs/protocol.md, "Topics".
#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/ids.h"

namespace keystead {

enum class TopicKind { kTelemetry, kCommand, kState, kKeyring };

std::string_view TopicKindName(TopicKind kind);  // "telemetry", …

// `telemetry/<member>[/<group>]`, `command/<member>`, `state/<member>` or `keyring`, where <member> is 32
// lower-case hex digits and <group> 1 to 32 of [a-z0-9-]. Value type; its text is canonical.
class Topic {
 public:
  static absl::StatusOr<Topic> Parse(std::string_view text);  // INVALID_ARGUMENT
  static Topic Of(TopicKind kind, const MemberId& member);    // kind is not kKeyring
  static Topic Keyring();

  TopicKind kind() const { return kind_; }
  const MemberId& member() const { return member_; }  // all zero for keyring
  const std::string& group() const { return group_; }
  const std::string& str() const { return text_; }
  bool is_sealed() const { return kind_ != TopicKind::kKeyring; }
  // Records in these topics are signed one by one.
  bool signs_every_record() const { return kind_ == TopicKind::kCommand || kind_ == TopicKind::kState; }
  auto operator<=>(const Topic& other) const { return text_ <=> other.text_; }
  bool operator==(const Topic& other) const { return text_ == other.text_; }
  template <class H>
  friend H AbslHashValue(H h, const Topic& t) {
    return H::combine(std::move(h), t.text_);
  }

 private:
  TopicKind kind_ = TopicKind::kKeyring;
  MemberId member_;
  std::string group_;
  std::string text_ = "keyring";
};

}  // namespace keystead
