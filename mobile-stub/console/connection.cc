#include "mobile-stub/console/connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "absl/time/clock.h"

namespace keystead::console {

Connection::~Connection() {
  shutdown(fd_, SHUT_RDWR);
  close(fd_);
}

// False when the time is over or everything ends.
bool Connection::Wait(short events, absl::Time deadline) const {
  while (true) {
    const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
    std::array<pollfd, 2> files{pollfd{fd_, events, 0}, pollfd{stop_fd_, POLLIN, 0}};
    const int ready = poll(files.data(), files.size(), static_cast<int>(std::clamp<int64_t>(left, 0, 60000)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0 || files[1].revents != 0) return false;
    if (files[0].revents != 0) return true;
    if (absl::Now() >= deadline) return false;
  }
}

bool Connection::AwaitRequest() {
  in_head_ = true;
  head_bytes_ = head_lines_ = line_bytes_ = 0;
  deadline_ = absl::InfiniteFuture();
  if (at_ == buffer_.size() && (!Wait(POLLIN, absl::Now() + limits_.idle) || !Fill())) return false;
  deadline_ = absl::Now() + limits_.request;
  return true;
}

bool Connection::Fill() {
  std::array<char, 4096> bytes{};
  const ssize_t count = recv(fd_, bytes.data(), bytes.size(), 0);
  if (count <= 0) return false;
  buffer_.assign(bytes.data(), static_cast<size_t>(count));
  at_ = 0;
  return true;
}

// The library counts neither lines nor their sum, and would store them all.
bool Connection::CountHead(char byte) {
  if (++head_bytes_ > limits_.head_bytes) return false;
  if (byte == '\n') {
    if (line_bytes_ == 0 && head_lines_ > 0) in_head_ = false;
    line_bytes_ = 0;
    return ++head_lines_ <= limits_.head_lines;
  }
  if (byte != '\r') ++line_bytes_;
  return true;
}

ssize_t Connection::read(char* to, size_t size) {
  if (size == 0) return 0;
  if (at_ == buffer_.size() && (!Wait(POLLIN, deadline_) || !Fill())) return -1;
  size_t count = 0;
  while (count < size && at_ < buffer_.size()) {
    const char byte = buffer_[at_++];
    if (in_head_ && !CountHead(byte)) {
      Refuse("431 Request Header Fields Too Large");
      return -1;
    }
    to[count++] = byte;
  }
  return static_cast<ssize_t>(count);
}

ssize_t Connection::write(const char* from, size_t size) {
  size_t done = 0;
  while (done < size) {
    if (!Wait(POLLOUT, absl::Now() + limits_.write)) return -1;
    const ssize_t count = send(fd_, from + done, size - done, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (count <= 0) return -1;
    done += static_cast<size_t>(count);
  }
  return static_cast<ssize_t>(done);
}

void Connection::Refuse(std::string_view status_line) {
  std::string answer = "HTTP/1.1 ";
  answer.append(status_line).append("\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  // One try: it fits into any socket's buffer, and who does not take it gets nothing.
  static_cast<void>(send(fd_, answer.data(), answer.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
  close_after_this_ = true;
}

bool Connection::is_readable() const { return at_ < buffer_.size() || Wait(POLLIN, deadline_); }

bool Connection::is_writable() const {
  char byte = 0;
  const ssize_t peeked = recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (peeked == 0 || (peeked < 0 && errno != EAGAIN && errno != EINTR)) return false;
  return Wait(POLLOUT, absl::Now() + limits_.write);
}

// Nobody asks: who calls is decided by what it knows, not by where it is.
void Connection::get_remote_ip_and_port(std::string& ip, int& port) const {
  ip.clear();
  port = 0;
}
void Connection::get_local_ip_and_port(std::string& ip, int& port) const {
  ip.clear();
  port = 0;
}

}  // namespace keystead::console
