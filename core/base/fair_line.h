// One line in which many wait, each in a flow: deficit round robin (Shreedhar and Varghese, 1995), where
// flows that bring little are served before those that bring much (the new and old flows of RFC 8290,
// section 4.2).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/node_hash_map.h"

namespace keystead {

// Not thread-safe. Costs and quanta are in one unit of the user's choice. Items of one flow leave in the
// order in which they came. A flow goes into debt with what it costs, and one that leaves while others wait
// comes back with its debt.
template <class Item>
class FairLine {
 public:
  using Flow = uint64_t;
  struct Next {
    Flow flow = 0;
    Item item;
  };

  // `quantum`: what the flow may cost in one round, above 0; from now on.
  void Push(Flow flow, double quantum, Item item) {
    State& state = flows_[flow];
    state.flow = flow;
    state.quantum = quantum;
    if (state.items.empty()) ++flows_waiting_;
    state.items.push_back(std::move(item));
    ++waiting_;
    if (state.is_listed) return;
    state.is_listed = true;
    state.credit = quantum;
    new_.push_back(&state);
  }

  // Whose turn it is; nothing when nobody waits. Each item that was given out must be paid for with Pay.
  std::optional<Next> Take() {
    while (waiting_ > 0) {
      std::list<State*>& list = new_.empty() ? old_ : new_;
      State& state = *list.front();
      if (state.credit <= 0) {
        state.credit += state.quantum;
        old_.splice(old_.end(), list, list.begin());
      } else if (!state.items.empty()) {
        Next next{state.flow, std::move(state.items.front())};
        state.items.pop_front();
        if (state.items.empty()) --flows_waiting_;
        --waiting_;
        ++state.unpaid;
        return next;
      } else if (&list == &new_ || state.unpaid > 0) {
        old_.splice(old_.end(), list, list.begin());  // not away at once: coming back would make it new again
      } else {
        list.pop_front();
        flows_.erase(state.flow);
      }
    }
    return std::nullopt;
  }

  // It was not its turn after all: it is the first of its flow again, and nothing is to be paid.
  void PutBack(Next next) {
    State& state = flows_.find(next.flow)->second;
    if (state.items.empty()) ++flows_waiting_;
    state.items.push_front(std::move(next.item));
    --state.unpaid;
    ++waiting_;
  }

  // What an item that was taken has cost. The line is as before in all else.
  void Pay(Flow flow, double cost) {
    State& state = flows_.find(flow)->second;
    --state.unpaid;
    state.credit -= cost;
  }

  // Takes out all that waits, in no order that matters.
  std::vector<Item> Clear() {
    std::vector<Item> out;
    for (auto& [flow, state] : flows_) {
      for (Item& item : state.items) out.push_back(std::move(item));
      state.items.clear();
    }
    waiting_ = 0;
    flows_waiting_ = 0;
    return out;
  }

  // The first of each flow that waits.
  template <class Visit>
  void ForEachFirst(const Visit& visit) const {
    for (const auto& [flow, state] : flows_) {
      if (!state.items.empty()) visit(state.items.front());
    }
  }

  size_t waiting() const { return waiting_; }
  size_t flows_waiting() const { return flows_waiting_; }
  // Flows that wait, or were served so lately that what they cost is still known.
  size_t flows_known() const { return flows_.size(); }

 private:
  struct State {
    Flow flow = 0;
    std::deque<Item> items;
    double credit = 0;
    double quantum = 0;
    size_t unpaid = 0;
    bool is_listed = false;
  };

  absl::node_hash_map<Flow, State> flows_;
  std::list<State*> new_;
  std::list<State*> old_;
  size_t waiting_ = 0;
  size_t flows_waiting_ = 0;
};

}  // namespace keystead
