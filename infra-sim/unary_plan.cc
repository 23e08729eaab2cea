#include "infra-sim/group_view.h"
#include "infra-sim/unary_pass.h"

namespace keystead::infra {

UnaryPlan PlanUnary(const Hop& hop, Direction direction, const v1::StreamHeader& header,
                    uint64_t first_sequence, const std::vector<std::string>& messages) {
  UnaryPlan plan;
  std::vector<UnaryPlan::Out> held;  // a reordered message, until the one after it
  for (size_t i = 0; i < messages.size(); ++i) {
    const std::string group = OneRecordGroup(header, first_sequence + i, messages[i]);
    hop.engine->Observe(hop.listener, direction, group);
    auto decision = hop.engine->Decide(hop.listener, direction, group);
    if (!decision.has_value()) {
      plan.messages.push_back({header, messages[i], {}, false});
      std::move(held.begin(), held.end(), std::back_inserter(plan.messages));
      held.clear();
      continue;
    }
    plan.attacked = true;
    plan.withhold = plan.withhold || decision->withhold_ack;
    plan.give_up = std::max(plan.give_up, decision->end_call_after);
    plan.delay = std::max(plan.delay, decision->delay);
    for (auto& piece : decision->pieces) {
      const auto parsed = ParseGroup(piece.group);
      if (!parsed.has_value()) continue;
      for (const v1::SealedRecord& record : parsed->records()) {
        UnaryPlan::Out out = {parsed->header(), record.cose(), piece.injections, piece.extra};
        (decision->hold_back ? held : plan.messages).push_back(std::move(out));
      }
    }
  }
  std::move(held.begin(), held.end(), std::back_inserter(plan.messages));
  return plan;
}

}  // namespace keystead::infra
