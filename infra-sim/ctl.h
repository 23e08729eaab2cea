// The control client: arms attacks and shows what they did, for people and scripts.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "core/identity/certificate_files.h"
#include "keystead/v1/infra.pb.h"

namespace keystead::infra {

struct CtlArguments {
  std::string address;  // host:port of the control listener
  CertificateFiles files;
  std::string server;  // SPIFFE id, whom to expect there
  std::string verb;    // "arm", "plan", "disarm", "injections", "seen"
  std::string kind;    // "modify", "ack_and_drop", …
  std::string target;  // "cose_tag", … or empty
  std::string instantiation_hex;
  v1::ArmRequest arm;  // the other fields
  uint64_t attack = 0;
  uint32_t last = 0;
  bool json = false;
};

// Prints to standard output. Errors are those of the call or INVALID_ARGUMENT.
absl::Status RunCtl(const CtlArguments& arguments);

// "modify" -> ATTACK_MODIFY; "cose_tag" -> TARGET_COSE_TAG. INVALID_ARGUMENT lists what there is.
absl::StatusOr<v1::AttackKind> ParseAttackKind(const std::string& name);
absl::StatusOr<v1::AttackTarget> ParseAttackTarget(const std::string& name);

}  // namespace keystead::infra
