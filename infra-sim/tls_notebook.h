// What a relay can show of what passed it: the newest TLS records of application data, and what it sent on
// instead.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/time.h"

namespace keystead::infra {

struct TlsPassing {
  std::string listener;
  std::string_view direction;  // DirectionName
  uint64_t number = 0;         // of its connection and direction
  absl::Time seen;
  std::shared_ptr<const std::string> record;             // header included
  uint64_t attack = 0;                                   // which changed it; 0: it went on as it came in
  std::shared_ptr<const std::vector<std::string>> sent;  // when it was changed
};

// The newest kRemembered of each listener and direction. Not thread-safe.
class TlsNotebook {
 public:
  static constexpr size_t kRemembered = 16;

  // Other records than those of application data are passed over.
  void Note(std::string_view listener, std::string_view direction, uint64_t number, absl::Time seen,
            std::string_view record);
  // The one that was noted last there.
  void NoteChanged(std::string_view listener, std::string_view direction, uint64_t attack,
                   std::vector<std::string> sent);
  std::vector<TlsPassing> All() const;  // by listener and direction, oldest first. Copies no bytes

 private:
  std::map<std::pair<std::string, std::string>, std::deque<TlsPassing>> of_;
};

}  // namespace keystead::infra
