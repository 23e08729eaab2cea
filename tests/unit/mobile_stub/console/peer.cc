#include "tests/unit/mobile_stub/console/peer.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "core/base/bytes.h"

namespace keystead::console::testing {

Peer::Peer(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
}

Peer::~Peer() { close(fd_); }

bool Peer::Send(std::string_view text) {
  return send(fd_, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
}

void Peer::ReadMore() {
  pollfd file{fd_, POLLIN, 0};
  if (poll(&file, 1, static_cast<int>(absl::ToInt64Milliseconds(kPatience))) <= 0) return;
  char bytes[16384];
  const ssize_t count = recv(fd_, bytes, sizeof bytes, 0);
  if (count <= 0) {
    closed_ = true;
  } else {
    got_.append(bytes, static_cast<size_t>(count));
  }
}

const std::string& Peer::Read(std::string_view enough) {
  const absl::Time deadline = absl::Now() + kPatience;
  while (got_.find(enough) == std::string::npos && !closed_ && absl::Now() < deadline) ReadMore();
  return got_;
}

const std::string& Peer::ReadToEnd() {
  const absl::Time deadline = absl::Now() + kPatience;
  while (!closed_ && absl::Now() < deadline) ReadMore();
  EXPECT_TRUE(closed_) << "the server did not close: " << got_.substr(0, 200);
  return got_;
}

std::string Browser::Head(const std::string& method, const std::string& path,
                          const std::vector<std::pair<std::string, std::string>>& more) const {
  std::string head = absl::StrCat(method, " ", path, " HTTP/1.1\r\nHost: 127.0.0.1:", port_, "\r\n");
  if (!token_.empty()) absl::StrAppend(&head, "Authorization: Bearer ", token_, "\r\n");
  for (const auto& [name, value] : more) absl::StrAppend(&head, name, ": ", value, "\r\n");
  return head + "\r\n";
}

Browser::Answer Browser::Ask(const std::string& method, const std::string& path, const std::string& type,
                             const std::string& body) {
  Peer peer(port_);
  std::vector<std::pair<std::string, std::string>> more = {{"Connection", "close"}};
  if (!type.empty()) more.emplace_back("Content-Type", type);
  if (method != "GET" && method != "HEAD") more.emplace_back("Content-Length", std::to_string(body.size()));
  EXPECT_TRUE(peer.Send(Head(method, path, more) + body));
  const std::string& all = peer.ReadToEnd();
  Remember(all);
  Answer answer;
  const size_t end = all.find("\r\n\r\n");
  answer.head = all.substr(0, end);
  answer.body = end == std::string::npos ? "" : all.substr(end + 4);
  answer.status = all.size() > 12 ? std::stoi(all.substr(9, 3)) : 0;
  return answer;
}

Follower::Follower(Browser* browser, const std::string& last_event_id)
    : browser_(*browser), peer_(browser->port()) {
  std::vector<std::pair<std::string, std::string>> more;
  if (!last_event_id.empty()) more.emplace_back("Last-Event-ID", last_event_id);
  EXPECT_TRUE(peer_.Send(browser_.Head("GET", "/api/v1/events", more)));
}

// The chunks' own lines stand between the pieces: a step is one chunk, so its lines are whole.
nlohmann::json Follower::Next() {
  constexpr std::string_view kId = "id: ";
  constexpr std::string_view kData = "\ndata: ";
  const absl::Time deadline = absl::Now() + kPatience;
  while (absl::Now() < deadline) {
    const std::string& all = peer_.got();
    const size_t id = all.find(kId, at_);
    const size_t data = id == std::string::npos ? id : all.find(kData, id);
    const size_t end = data == std::string::npos ? data : all.find("\n\n", data);
    if (end != std::string::npos) {
      last_id_ = all.substr(id + kId.size(), all.find('\n', id) - id - kId.size());
      const std::string text = all.substr(data + kData.size(), end - data - kData.size());
      browser_.Remember(text);
      at_ = end;
      return nlohmann::json::parse(text);
    }
    const size_t before = all.size();
    peer_.ReadMore();
    if (peer_.closed() && peer_.got().size() == before) break;
  }
  ADD_FAILURE() << "no further step: " << peer_.got().substr(at_, 300);
  return nullptr;
}

std::map<std::string, std::string> PolicyIn(const std::string& head) {
  constexpr std::string_view kName = "Content-Security-Policy: ";
  const size_t at = head.find(kName);
  EXPECT_NE(at, std::string::npos) << head;
  EXPECT_EQ(head.find("Content-Security-Policy", at + 1), std::string::npos) << head;
  if (at == std::string::npos) return {};
  const size_t begin = at + kName.size();
  std::map<std::string, std::string> out;
  for (const auto directive :
       absl::StrSplit(Absl(std::string_view(head).substr(begin, head.find("\r\n", begin) - begin)), "; ")) {
    const std::pair<std::string, std::string> named = absl::StrSplit(directive, absl::MaxSplits(' ', 1));
    EXPECT_TRUE(out.insert(named).second) << named.first << " twice: the second does not count";
  }
  return out;
}

}  // namespace keystead::console::testing
