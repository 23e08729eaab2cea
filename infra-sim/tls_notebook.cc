#include "infra-sim/tls_notebook.h"

#include "infra-sim/tls_attacks.h"

namespace keystead::infra {

void TlsNotebook::Note(std::string_view listener, std::string_view direction, uint64_t number,
                       absl::Time seen, std::string_view record) {
  if (record.empty() || static_cast<uint8_t>(record[0]) != kTlsApplicationData) return;
  std::deque<TlsPassing>& of = of_[{std::string(listener), std::string(direction)}];
  of.push_back({.listener = std::string(listener),
                .direction = direction,
                .number = number,
                .seen = seen,
                .record = std::make_shared<const std::string>(record),
                .sent = nullptr});
  if (of.size() > kRemembered) of.pop_front();
}

void TlsNotebook::NoteChanged(std::string_view listener, std::string_view direction, uint64_t attack,
                              std::vector<std::string> sent) {
  const auto of = of_.find({std::string(listener), std::string(direction)});
  if (of == of_.end()) return;
  of->second.back().attack = attack;
  of->second.back().sent = std::make_shared<const std::vector<std::string>>(std::move(sent));
}

std::vector<TlsPassing> TlsNotebook::All() const {
  std::vector<TlsPassing> out;
  for (const auto& [where, of] : of_) out.insert(out.end(), of.begin(), of.end());
  return out;
}

}  // namespace keystead::infra
