// What is to be run, in a form that also goes to the process that misbehaves.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "tests/load/arrivals.h"

namespace keystead::load {

struct Plan {
  std::string address;  // host:port
  // Where the neighbours find the same server, so that they come from another address than the others; empty:
  // at `address`.
  std::string neighbour_address;
  std::string target_id;    // the SPIFFE id of the server
  std::string roots;        // what it is verified with
  std::string credentials;  // folder, layout of certs/README.md
  int tenants = 4;
  int neighbours = 1;  // the last ones of them misbehave
  int devices = 4;     // of each tenant
  int households = 1;  // of each tenant, at least
  ArrivalKind arrivals = ArrivalKind::kPoisson;
  double rate = 50;  // arrivals per second of each device
  int batch = 1;     // records of each arrival
  size_t record_bytes = 256;
  bool subscribers = false;
  bool neighbour_obeys = false;
  uint64_t seed = 1;
  double patience_seconds = 60;  // for all connections together

  int victims() const { return tenants - neighbours; }
};

nlohmann::json ToJson(const Plan& plan);
absl::StatusOr<Plan> PlanFromJson(const nlohmann::json& json);  // INVALID_ARGUMENT

}  // namespace keystead::load
