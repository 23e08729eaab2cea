#include "core/base/topic.h"

#include "absl/strings/str_cat.h"

namespace keystead {
namespace {

absl::Status BadTopic(std::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("topic is malformed: ", Absl(why)));
}

bool IsGroupName(std::string_view group) {
  if (group.empty() || group.size() > 32) return false;
  for (char c : group) {
    if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-')) return false;
  }
  return true;
}

bool IsLowerHex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

std::string_view TopicKindName(TopicKind kind) {
  switch (kind) {
    case TopicKind::kTelemetry:
      return "telemetry";
    case TopicKind::kCommand:
      return "command";
    case TopicKind::kState:
      return "state";
    case TopicKind::kKeyring:
      return "keyring";
  }
  return "keyring";
}

absl::StatusOr<Topic> Topic::Parse(std::string_view text) {
  if (text == "keyring") return Keyring();
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return BadTopic("no member");
  const std::string_view kind = text.substr(0, slash);
  std::string_view rest = text.substr(slash + 1);
  std::string_view group;
  if (const size_t second = rest.find('/'); second != std::string_view::npos) {
    group = rest.substr(second + 1);
    rest = rest.substr(0, second);
    if (!IsGroupName(group)) return BadTopic("group must be 1 to 32 of a-z, 0-9 and '-'");
  }
  if (rest.size() != 2 * MemberId::kSize || !IsLowerHex(rest))
    return BadTopic("member must be 32 lower-case hex digits");
  Topic topic;
  if (kind == "telemetry") {
    topic.kind_ = TopicKind::kTelemetry;
  } else if (kind == "command") {
    topic.kind_ = TopicKind::kCommand;
  } else if (kind == "state") {
    topic.kind_ = TopicKind::kState;
  } else {
    return BadTopic("unknown kind");
  }
  if (!group.empty() && topic.kind_ != TopicKind::kTelemetry) return BadTopic("only telemetry has groups");
  KS_ASSIGN_OR_RETURN(topic.member_, MemberId::FromHex(rest));
  topic.group_ = std::string(group);
  topic.text_ = std::string(text);
  return topic;
}

Topic Topic::Of(TopicKind kind, const MemberId& member) {
  Topic topic;
  topic.kind_ = kind;
  topic.member_ = member;
  topic.text_ = absl::StrCat(Absl(TopicKindName(kind)), "/", member.ToHex());
  return topic;
}

Topic Topic::Keyring() { return Topic(); }

}  // namespace keystead
