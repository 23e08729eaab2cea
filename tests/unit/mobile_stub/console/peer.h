// A peer of the console on a plain socket: sends what it likes, and keeps what came.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace keystead::console::testing {

inline constexpr absl::Duration kPatience = absl::Seconds(30);

// One connection.
class Peer {
 public:
  explicit Peer(int port);
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  bool Send(std::string_view text);
  // All that came until `enough` is in it, the server closed, or the patience was over.
  const std::string& Read(std::string_view enough = "\r\n\r\n");
  void ReadMore();                 // what there is, once there is something
  const std::string& ReadToEnd();  // fails the test when the server does not close
  const std::string& got() const { return got_; }
  bool closed() const { return closed_; }

 private:
  const int fd_;
  std::string got_;
  bool closed_ = false;
};

// A browser with a session; remembers every byte it was ever answered.
class Browser {
 public:
  Browser(int port, std::string token) : port_(port), token_(std::move(token)) {}

  struct Answer {
    int status = 0;
    std::string head;  // status line and headers
    std::string body;
    nlohmann::json json() const { return nlohmann::json::parse(body, nullptr, false); }
  };
  Answer Get(const std::string& path) { return Ask("GET", path, "", ""); }
  Answer PostJson(const std::string& path, const nlohmann::json& body) {
    return Ask("POST", path, "application/json", body.dump());
  }
  Answer PostText(const std::string& path, const std::string& body) {
    return Ask("POST", path, "text/plain", body);
  }
  Answer Ask(const std::string& method, const std::string& path, const std::string& type,
             const std::string& body);
  // The head of such a request, for who goes on by hand.
  std::string Head(const std::string& method, const std::string& path,
                   const std::vector<std::pair<std::string, std::string>>& more = {}) const;
  void Remember(std::string_view bytes) { seen_.append(bytes); }

  const std::string& seen() const { return seen_; }
  int port() const { return port_; }

 private:
  const int port_;
  const std::string token_;
  std::string seen_;
};

// The directives of an answer's one policy (Content Security Policy Level 3, section 2.2.1); fails the test
// when there are two.
std::map<std::string, std::string> PolicyIn(const std::string& head);

// The stream of changes, read step by step.
class Follower {
 public:
  explicit Follower(Browser* browser, const std::string& last_event_id = "");
  // The next step's data, its id kept; fails the test when none comes.
  nlohmann::json Next();
  // The first that is so, the steps before it passed over.
  template <class Condition>
  nlohmann::json Until(const Condition& condition) {
    const absl::Time deadline = absl::Now() + kPatience;
    while (absl::Now() < deadline) {
      nlohmann::json step = Next();
      if (step.is_null() || condition(step)) return step;
    }
    return nullptr;
  }
  const std::string& last_id() const { return last_id_; }

 private:
  Browser& browser_;
  Peer peer_;
  size_t at_ = 0;
  std::string last_id_;
};

}  // namespace keystead::console::testing
