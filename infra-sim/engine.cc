#include "infra-sim/engine.h"

#include <algorithm>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "core/base/bytes.h"
#include "core/base/limits.h"
#include "core/observe/log.h"
#include "infra-sim/field_attacks.h"
#include "infra-sim/group_view.h"

namespace keystead::infra {
namespace {

constexpr uint64_t kUnlimited = std::numeric_limits<uint64_t>::max();
constexpr absl::Duration kPatience = absl::Milliseconds(500);  // of a lone record waiting to be overtaken
constexpr uint32_t kMaxSeen = 1000;

constexpr MetricType kCounter = MetricType::kCounter;
constexpr Metric kInjections = {
    "keystead_infra_injections_total", "Attacks made, record by record, by kind.", kCounter, {"kind"}};
constexpr Metric kRefusals = {"keystead_infra_refused_injections_total",
                              "Of these, what the next hop refused and said so.", kCounter};
constexpr Metric kArmed = {"keystead_infra_armed_attacks", "Attacks that wait for what they fit.",
                           MetricType::kGauge};
constexpr Metric kSeenRecords = {"keystead_infra_seen_records_total", "Records that passed by.", kCounter};
constexpr Metric kSeenBytes = {"keystead_infra_seen_cose_bytes_total", "Bytes of COSE objects in them.",
                               kCounter};
constexpr Metric kSightings = {"keystead_infra_canary_sightings_total",
                               "Planted texts that were found in what passed by.", kCounter};

// ATTACK_ACK_AND_DROP: "ack_and_drop".
std::string KindName(v1::AttackKind kind) {
  constexpr size_t kPrefix = std::string_view("ATTACK_").size();
  return absl::AsciiStrToLower(v1::AttackKind_Name(kind).substr(kPrefix));
}

absl::Duration DelayOf(const v1::ArmRequest& attack) { return absl::Milliseconds(attack.delay_ms()); }

}  // namespace

std::string_view DirectionName(Direction direction) { return direction == Direction::kUp ? "up" : "down"; }

AttackEngine::AttackEngine(EngineOptions options)
    : options_(std::move(options)), canaries_(options_.canaries), memory_(options_.memory) {}

absl::StatusOr<uint64_t> AttackEngine::Arm(const v1::ArmRequest& request) {
  if (absl::Status status = CheckAttack(request); !status.ok()) return status;
  absl::MutexLock lock(&mutex_);
  if (attacks_.size() >= options_.max_attacks) {
    return absl::ResourceExhaustedError("too many attacks are armed: disarm some first");
  }
  const uint64_t number = ++last_attack_;
  const uint64_t left = request.count() == 0 ? kUnlimited : request.count();
  attacks_.emplace(number, Armed{request, left, SeededRandom(request.seed() ^ number << 32)});
  armed_ = true;
  keystead::Log(LogLevel::kInfo, "attack_armed",
                {{"attack", number},
                 {"kind", v1::AttackKind_Name(request.kind())},
                 {"target", v1::AttackTarget_Name(request.target())},
                 {"topic_prefix", request.topic_prefix()},
                 {"direction", request.direction()},
                 {"listener", request.listener()},
                 {"count", request.count()}});
  return number;
}

void AttackEngine::Disarm(uint64_t attack) {
  absl::MutexLock lock(&mutex_);
  if (attack == 0) {
    attacks_.clear();
  } else {
    attacks_.erase(attack);
  }
  armed_ = !attacks_.empty();
  keystead::Log(LogLevel::kInfo, "attack_disarmed", {{"attack", attack}});
}

std::vector<v1::ArmedAttack> AttackEngine::ArmedNow() const {
  absl::MutexLock lock(&mutex_);
  std::vector<v1::ArmedAttack> out;
  for (const auto& [number, armed] : attacks_) {
    v1::ArmedAttack& attack = out.emplace_back();
    attack.set_attack(number);
    *attack.mutable_request() = armed.request;
    attack.set_left(armed.left == kUnlimited ? 0 : armed.left);
  }
  return out;
}

v1::InjectionsResponse AttackEngine::Injections(uint64_t attack) const {
  absl::MutexLock lock(&mutex_);
  v1::InjectionsResponse out;
  size_t bytes = 0;
  for (const v1::Injection& injection : injections_) {
    if (attack != 0 && injection.attack() != attack) continue;
    bytes += injection.ByteSizeLong() + 8;
    if (bytes > limits::kMaxMessageBytes) break;
    *out.add_injections() = injection;
  }
  return out;
}

v1::SeenResponse AttackEngine::Seen(uint32_t last) const {
  absl::MutexLock lock(&mutex_);
  v1::SeenResponse out;
  out.set_records(records_);
  out.set_cose_bytes(cose_bytes_);
  for (const auto& [key, sighting] : sightings_) *out.add_sightings() = sighting;
  auto groups = memory_.Latest(std::min(last, kMaxSeen));
  size_t bytes = out.ByteSizeLong();
  size_t from = groups.size();
  while (from > 0 && bytes + groups[from - 1]->size() + 8 <= limits::kMaxMessageBytes) {
    bytes += groups[--from]->size() + 8;
  }
  for (; from < groups.size(); ++from) out.add_groups(*groups[from]);
  return out;
}

void AttackEngine::Observe(std::string_view listener, Direction direction, std::string_view group) {
  const auto view = ScanGroup(group);
  const absl::Time now = options_.clock->Now();
  absl::MutexLock lock(&mutex_);
  if (!canaries_.empty()) Search(group, view.has_value() ? view->header : std::string_view());
  if (!view.has_value()) return;
  records_ += view->records;
  cose_bytes_ += view->cose_bytes;
  memory_.Remember(view->header, group, listener, DirectionName(direction), now);
}

std::vector<Passing> AttackEngine::Passings() const {
  absl::MutexLock lock(&mutex_);
  return {memory_.passings().begin(), memory_.passings().end()};
}

std::vector<TlsPassing> AttackEngine::TlsPassings() const {
  absl::MutexLock lock(&mutex_);
  return tls_notebook_.All();
}

void AttackEngine::Search(std::string_view bytes, std::string_view header) {
  for (const CanaryHit& hit : canaries_.Find(bytes)) {
    auto [at, first] = sightings_.try_emplace({hit.canary, std::string(hit.form)});
    v1::Sighting& sighting = at->second;
    sighting.set_times(sighting.times() + 1);
    if (!first) continue;
    sighting.set_canary(static_cast<uint32_t>(hit.canary));
    sighting.set_form(std::string(hit.form));
    if (!header.empty()) {
      sighting.mutable_first()->ParseFromArray(header.data(), static_cast<int>(header.size()));
    }
    keystead::Log(LogLevel::kWarning, "canary_seen",
                  {{"canary", hit.canary}, {"form", hit.form}, {"topic", sighting.first().topic()}});
  }
}

std::string AttackEngine::Reading(std::string_view bytes) const {
  if (canaries_.empty()) return "no canary is configured";
  std::string detail;
  for (const CanaryHit& hit : canaries_.Find(bytes)) {
    absl::StrAppend(&detail, detail.empty() ? "" : ", ", "canary ", hit.canary, " as ", Absl(hit.form));
  }
  return detail.empty() ? "no canary found" : detail;
}

bool AttackEngine::Listens(const Armed& attack, std::string_view listener, Direction direction) const {
  return (attack.request.listener().empty() || attack.request.listener() == listener) &&
         (attack.request.direction().empty() || attack.request.direction() == DirectionName(direction));
}

uint64_t AttackEngine::Log(uint64_t number, std::string_view listener, Direction direction,
                           v1::Injection injection) {
  injection.set_attack(number);
  injection.set_direction(std::string(DirectionName(direction)));
  injection.set_listener(std::string(listener));
  injection.set_at_us(absl::ToUnixMicros(options_.clock->Now()));
  keystead::Log(injection.kind() == v1::ATTACK_READ ? LogLevel::kDebug : LogLevel::kInfo, "injection",
                {{"attack", number},
                 {"kind", v1::AttackKind_Name(injection.kind())},
                 {"target", v1::AttackTarget_Name(injection.target())},
                 {"listener", listener},
                 {"direction", injection.direction()},
                 {"tenant", injection.tenant()},
                 {"instantiation", ToHex(AsBytes(injection.instantiation()))},
                 {"topic", injection.topic()},
                 {"stream", ToHex(AsBytes(injection.stream()))},
                 {"sequence", injection.sequence()},
                 {"original_sha256", ToHex(AsBytes(injection.original_sha256()))},
                 {"injected_sha256", ToHex(AsBytes(injection.injected_sha256()))},
                 {"detail", injection.detail()}});
  ++injected_[injection.kind()];
  injections_.push_back(std::move(injection));
  if (injections_.size() > options_.max_injections) {
    injections_.pop_front();
    ++first_injection_;
  }
  return first_injection_ + injections_.size() - 1;
}

void AttackEngine::Spend(std::map<uint64_t, Armed>::iterator attack, uint64_t records) {
  if (attack->second.left == kUnlimited) return;
  attack->second.left -= std::min(attack->second.left, records);
  if (attack->second.left > 0) return;
  keystead::Log(LogLevel::kInfo, "attack_spent", {{"attack", attack->first}});
  attacks_.erase(attack);
  armed_ = !attacks_.empty();
}

std::optional<AttackEngine::Decision> AttackEngine::Decide(std::string_view listener, Direction direction,
                                                           std::string_view group) {
  if (!armed()) return std::nullopt;
  const auto view = ScanGroup(group);
  v1::StreamHeader header;
  if (!view.has_value() ||
      !header.ParseFromArray(view->header.data(), static_cast<int>(view->header.size()))) {
    return std::nullopt;
  }
  absl::MutexLock lock(&mutex_);
  for (auto next = attacks_.begin(); next != attacks_.end();) {
    const auto at = next++;
    const uint64_t number = at->first;
    Armed& attack = at->second;
    if (!Listens(attack, listener, direction) || !Fits(attack.request, header)) continue;
    auto mutation = Mutate(group, attack.request, attack.left, attack.random, memory_);
    if (!mutation.has_value()) continue;
    const v1::ArmRequest request = attack.request;
    std::vector<uint64_t> serials;
    for (v1::Injection& injection : mutation->injections) {
      if (request.kind() == v1::ATTACK_READ) injection.set_detail(Reading(group));
      serials.push_back(Log(number, listener, direction, std::move(injection)));
    }
    Spend(at, serials.size());
    if (request.kind() == v1::ATTACK_READ) continue;  // looking changes nothing: another attack may act
    std::vector<std::string> sent;
    for (const Piece& piece : mutation->pieces) sent.push_back(piece.group);
    memory_.NoteChanged(listener, DirectionName(direction), group, number, std::move(sent));
    Decision out;
    for (Piece& piece : mutation->pieces) {
      Decision::Out& to = out.pieces.emplace_back();
      to.group = std::move(piece.group);
      for (const size_t index : piece.injections) to.injections.push_back(serials[index]);
      to.extra = piece.extra;
    }
    out.withhold_ack = mutation->withhold_ack;
    out.hold_back = mutation->hold_back;
    out.patience = request.delay_ms() > 0 ? DelayOf(request) : kPatience;
    if (request.kind() == v1::ATTACK_DELAY) out.delay = DelayOf(request);
    if (request.kind() == v1::ATTACK_DROP) out.end_call_after = DelayOf(request);
    return out;
  }
  return std::nullopt;
}

std::optional<AttackEngine::TlsDecision> AttackEngine::DecideTls(std::string_view listener,
                                                                 Direction direction, uint64_t number,
                                                                 std::string_view record) {
  absl::MutexLock lock(&mutex_);
  if (!canaries_.empty()) Search(record, {});
  tls_memory_.Remember(record);
  tls_notebook_.Note(listener, DirectionName(direction), number, options_.clock->Now(), record);
  for (auto next = attacks_.begin(); next != attacks_.end();) {
    const auto at = next++;
    if (!at->second.request.topic_prefix().starts_with(kTlsTopic)) continue;
    if (!Listens(at->second, listener, direction) || !FitsTopic(at->second.request, kTlsTopic)) continue;
    auto mutation = MutateTls(record, at->second.request, at->second.random, tls_memory_);
    if (!mutation.has_value()) continue;
    const uint64_t at_number = at->first;  // gone with at when it is spent
    const bool only_read = at->second.request.kind() == v1::ATTACK_READ;
    if (only_read) mutation->injection.set_detail(Reading(record));
    mutation->injection.set_sequence(number);
    const uint64_t serial = Log(at->first, listener, direction, mutation->injection);
    Spend(at, 1);
    if (only_read) continue;
    tls_notebook_.NoteChanged(listener, DirectionName(direction), at_number, mutation->records);
    return TlsDecision{*std::move(mutation), serial};
  }
  return std::nullopt;
}

void AttackEngine::CollectMetrics(MetricWriter& out) const {
  absl::MutexLock lock(&mutex_);
  for (int kind = v1::AttackKind_MIN + 1; kind <= v1::AttackKind_MAX; ++kind) {
    const auto found = injected_.find(static_cast<v1::AttackKind>(kind));
    out.Value(kInjections, found == injected_.end() ? uint64_t{0} : found->second,
              {KindName(static_cast<v1::AttackKind>(kind))});
  }
  uint64_t sightings = 0;
  for (const auto& [key, sighting] : sightings_) sightings += sighting.times();
  out.Value(kRefusals, refused_);
  out.Value(kArmed, attacks_.size());
  out.Value(kSeenRecords, records_);
  out.Value(kSeenBytes, cose_bytes_);
  out.Value(kSightings, sightings);
}

v1::Injection* AttackEngine::Find(uint64_t injection) {
  if (injection < first_injection_ || injection - first_injection_ >= injections_.size()) return nullptr;
  return &injections_[injection - first_injection_];
}

void AttackEngine::NoteEnd(std::span<const uint64_t> injections) {
  absl::MutexLock lock(&mutex_);
  for (const uint64_t serial : injections) {
    v1::Injection* const injection = Find(serial);
    if (injection == nullptr) continue;
    injection->set_ended_us(absl::ToUnixMicros(options_.clock->Now()));
    keystead::Log(LogLevel::kInfo, "attacked_connection_ended",
                  {{"listener", injection->listener()},
                   {"direction", injection->direction()},
                   {"original_sha256", ToHex(AsBytes(injection->original_sha256()))}});
  }
}

void AttackEngine::NoteRefusal(std::span<const uint64_t> injections, int32_t code, std::string_view reason) {
  absl::MutexLock lock(&mutex_);
  refused_ += injections.size();
  for (const uint64_t serial : injections) {
    if (Find(serial) == nullptr) continue;
    v1::Injection& injection = *Find(serial);
    injection.set_refused_code(code);
    injection.set_refused_reason(std::string(reason.substr(0, 256)));
    keystead::Log(LogLevel::kInfo, "injection_refused",
                  {{"attack", injection.attack()},
                   {"topic", injection.topic()},
                   {"sequence", injection.sequence()},
                   {"code", code},
                   {"reason", injection.refused_reason()}});
  }
}

}  // namespace keystead::infra
