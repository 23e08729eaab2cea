#include "core/base/mutants.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace keystead {

#ifdef KEYSTEAD_MUTANTS
namespace {

constexpr std::array<std::pair<std::string_view, Mutant>, 24> kNames = {{
    {"aad_omits_stream", Mutant::kAadOmitsStream},
    {"constant_nonce", Mutant::kConstantNonce},
    {"one_key_for_all", Mutant::kOneKeyForAll},
    {"replay_window_off", Mutant::kReplayWindowOff},
    {"ack_before_sync", Mutant::kAckBeforeSync},
    {"tenant_filter_off", Mutant::kTenantFilterOff},
    {"fair_queue_off", Mutant::kFairQueueOff},
    {"issuer_binding_off", Mutant::kIssuerBindingOff},
    {"roster_ignored", Mutant::kRosterIgnored},
    {"extra_listener", Mutant::kExtraListener},
    {"reset_keeps_instance_key", Mutant::kResetKeepsKey},
    {"aad_omits_instance", Mutant::kAadOmitsInstance},
    {"server_only_tls", Mutant::kServerOnlyTls},
    {"resumption_skips_revocation", Mutant::kResumption},
    {"server_name_ignored", Mutant::kServerNameIgnored},
    {"revocation_ignored", Mutant::kRevocationIgnored},
    {"event_dropped", Mutant::kEventDropped},
    {"one_rpc_without_policy", Mutant::kOneRpcOpen},
    {"tombstone_only_delete", Mutant::kTombstoneOnly},
    {"gateway_has_payload_key", Mutant::kGatewayHasKeys},
    {"live_for_ever", Mutant::kLiveForEver},
    {"rollback_unnoticed", Mutant::kRollbackUnnoticed},
    {"range_check_removed", Mutant::kRangeCheckRemoved},
    {"no_sealing", Mutant::kNoSealing},
}};

const std::pair<std::string_view, Mutant>* Selected() {
  static const std::pair<std::string_view, Mutant>* const selected = [] {
    const char* name = std::getenv("KEYSTEAD_MUTANT");
    if (name == nullptr || *name == '\0') return static_cast<decltype(kNames.data())>(nullptr);
    for (const auto& entry : kNames) {
      if (entry.first == name) {
        std::fprintf(stderr, "\033[1;31mMUTANT %s: this process is broken on purpose\033[0m\n", name);
        return &entry;
      }
    }
    std::fprintf(stderr, "KEYSTEAD_MUTANT=%s is not known\n", name);
    std::exit(2);
  }();
  return selected;
}

}  // namespace

bool MutantActive(Mutant mutant) { return Selected() != nullptr && Selected()->second == mutant; }
std::string_view ActiveMutantName() { return Selected() == nullptr ? std::string_view() : Selected()->first; }

#else

std::string_view ActiveMutantName() { return {}; }

#endif

}  // namespace keystead
