#include "tests/load/plan.h"

#include <nlohmann/json.hpp>

namespace keystead::load {

nlohmann::json ToJson(const Plan& plan) {
  return {{"address", plan.address},
          {"neighbour_address", plan.neighbour_address},
          {"target_id", plan.target_id},
          {"roots", plan.roots},
          {"credentials", plan.credentials},
          {"tenants", plan.tenants},
          {"neighbours", plan.neighbours},
          {"devices_per_tenant", plan.devices},
          {"instantiations_per_tenant", plan.households},
          {"arrivals", ArrivalKindName(plan.arrivals)},
          {"rate_per_device", plan.rate},
          {"records_per_arrival", plan.batch},
          {"record_bytes", plan.record_bytes},
          {"subscribers", plan.subscribers},
          {"neighbour_obeys", plan.neighbour_obeys},
          {"seed", plan.seed},
          {"patience_seconds", plan.patience_seconds}};
}

absl::StatusOr<Plan> PlanFromJson(const nlohmann::json& json) {
  Plan out;
  try {
    const auto kind = ArrivalKindFromName(json.at("arrivals").get<std::string>());
    if (!kind) return absl::InvalidArgumentError("plan: no such arrivals");
    out.arrivals = *kind;
    json.at("address").get_to(out.address);
    json.at("neighbour_address").get_to(out.neighbour_address);
    json.at("target_id").get_to(out.target_id);
    json.at("roots").get_to(out.roots);
    json.at("credentials").get_to(out.credentials);
    json.at("tenants").get_to(out.tenants);
    json.at("neighbours").get_to(out.neighbours);
    json.at("devices_per_tenant").get_to(out.devices);
    json.at("instantiations_per_tenant").get_to(out.households);
    json.at("rate_per_device").get_to(out.rate);
    json.at("records_per_arrival").get_to(out.batch);
    json.at("record_bytes").get_to(out.record_bytes);
    json.at("subscribers").get_to(out.subscribers);
    json.at("neighbour_obeys").get_to(out.neighbour_obeys);
    json.at("seed").get_to(out.seed);
    json.at("patience_seconds").get_to(out.patience_seconds);
  } catch (const nlohmann::json::exception& error) {
    return absl::InvalidArgumentError(error.what());
  }
  return out;
}

}  // namespace keystead::load
