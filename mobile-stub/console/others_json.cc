#include "mobile-stub/console/others_json.h"

#include <algorithm>
#include <map>

#include "core/crypto/hash.h"
#include "core/transport/group_view.h"

namespace keystead::console {
namespace {

using nlohmann::json;

constexpr size_t kMaxShown = 16 << 10;  // of one object; how large it is, is said
constexpr size_t kMaxCopies = 16;       // of one holder

json BytesJson(std::string_view bytes) {
  return {{"bytes", ToHex(AsBytes(bytes.substr(0, kMaxShown)))},
          {"size", bytes.size()},
          {"sha256", crypto::Sha256(AsBytes(bytes)).ToHex()}};
}

json HeaderJson(const GroupHeader& header, uint64_t sequence) {
  return {{"tenant", header.tenant.str()}, {"instantiation", header.instantiation.ToHex()},
          {"topic", header.topic.str()},   {"sender", header.sender.ToHex()},
          {"epoch", header.epoch},         {"stream", header.stream.ToHex()},
          {"sequence", sequence}};
}

// Where and when, which all copies out of one group share.
json CopyJson(const v1::HeldGroup& held, const char* form, std::string_view shown) {
  json out = BytesJson(shown);
  out["form"] = form;
  out["header"] = nullptr;
  out["group_size"] = held.group().size();
  out["listener"] = held.listener();
  out["direction"] = held.direction();
  out["log_id"] = ToHex(AsBytes(held.log_id()));
  out["offset"] = held.offset();
  out["not_before_us"] = held.not_before_us();
  out["not_after_us"] = held.not_after_us();
  out["attack"] = held.attack();
  return out;
}

class Copies {
 public:
  Copies(v1::HolderKind holder, bool newest, uint64_t sequence)
      : holder_(holder), newest_(newest), sequence_(sequence) {}

  void Take(const v1::HeldGroup& held) {
    const bool stored_apart = holder_ == v1::HOLDER_BACKEND;
    if (stored_apart) Put(CopyJson(held, "disk", held.stored()));
    Records(held, held.group(),
            stored_apart                    ? "keystore"
            : holder_ == v1::HOLDER_GATEWAY ? "disk"
                                            : "passed");
    if (held.attack() == 0) return;
    // As it went on: whatever is in there now, since the place may be what was changed.
    for (const std::string& sent : held.sent()) Records(held, sent, "sent", /*all=*/true);
    if (held.sent().empty()) Put(CopyJson(held, "withheld", {}));
  }
  json Done() { return std::move(out_); }

 private:
  void Put(json copy) {
    if (out_.size() < kMaxCopies) out_.push_back(std::move(copy));
  }
  void Records(const v1::HeldGroup& held, std::string_view group, const char* form, bool all = false) {
    GroupHeaderCache headers;
    const auto view = GroupView::Parse(group, headers);
    if (!view.ok()) {  // an attack may have made it so; what came in is then shown as a whole
      if (!group.empty()) Put(CopyJson(held, form, group));
      return;
    }
    for (const RecordView& record : view->records()) {
      const bool wanted = newest_ ? record.sequence == view->last_sequence() : record.sequence == sequence_;
      if (!wanted && !all) continue;
      json copy = CopyJson(held, form, AsChars(record.cose));
      copy["header"] = HeaderJson(view->header(), record.sequence);
      Put(std::move(copy));
    }
  }

  const v1::HolderKind holder_;
  const bool newest_;
  const uint64_t sequence_;
  json out_ = json::array();
};

const char* HolderName(v1::HolderKind kind) {
  switch (kind) {
    case v1::HOLDER_EQUIPMENT:
      return "equipment";
    case v1::HOLDER_GATEWAY:
      return "gateway";
    case v1::HOLDER_BACKEND:
      return "backend";
    default:
      return "";
  }
}

// The newest of each relay and direction.
json TlsJson(const v1::HeldResponse& held) {
  std::map<std::pair<std::string, std::string>, const v1::PassedTls*> newest;
  for (const v1::PassedTls& record : held.tls()) newest[{record.listener(), record.direction()}] = &record;
  json out = json::array();
  for (const auto& [where, record] : newest) {
    json one = BytesJson(record->record());
    one["listener"] = record->listener();
    one["direction"] = record->direction();
    one["number"] = record->number();
    one["seen_us"] = record->seen_us();
    one["attack"] = record->attack();
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace

json HoldingJson(const Others::Answer& answer, const v1::RecordPlace& asked) {
  const RemoteOptions& of = *answer.of;
  Copies copies(answer.held.holder(), of.control, asked.sequence());
  const int groups = answer.held.groups_size();
  // A control has as many topics as devices, and one picture is enough.
  for (int i = of.control ? std::max(0, groups - 1) : 0; i < groups; ++i) copies.Take(answer.held.groups(i));
  return {{"name", of.name},
          {"control", of.control},
          {"holder", answer.status.ok() ? HolderName(answer.held.holder()) : ""},
          {"error", answer.status.ok() ? "" : WhyNot(of, answer.status)},
          {"now_us", answer.held.now_us()},
          {"copies", copies.Done()},
          {"tls", TlsJson(answer.held)}};
}

}  // namespace keystead::console
