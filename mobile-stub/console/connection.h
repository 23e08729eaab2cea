// One connection as cpp-httplib reads and writes it, with the limits that it does not know.
#pragma once

// Debian's library is built with these, and they decide how its types look.
#define CPPHTTPLIB_OPENSSL_SUPPORT
#define CPPHTTPLIB_ZLIB_SUPPORT
#define CPPHTTPLIB_BROTLI_SUPPORT
#include <httplib.h>

#include <string>

#include "mobile-stub/console/http_server.h"

namespace keystead::console {

// Not thread-safe. Owns the socket.
class Connection final : public httplib::Stream {
 public:
  // `stop_fd` becomes readable when everything is to end.
  Connection(int fd, int stop_fd, const HttpLimits& limits) : fd_(fd), stop_fd_(stop_fd), limits_(limits) {}
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Waits for the first byte of the next request. False: none came in time, the peer is gone, or all ends.
  bool AwaitRequest();
  // After this request there is no other: what is left of it was not read.
  void CloseAfterThis() { close_after_this_ = true; }
  bool closes() const { return close_after_this_; }
  // One answer that needs no request, where the server is too busy to hear one.
  void Refuse(std::string_view status_line);

  bool is_readable() const override;
  bool is_writable() const override;  // also false when the peer has closed, or all ends
  ssize_t read(char* to, size_t size) override;
  ssize_t write(const char* from, size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return fd_; }

 private:
  bool Wait(short events, absl::Time deadline) const;
  bool Fill();
  bool CountHead(char byte);

  const int fd_;
  const int stop_fd_;
  const HttpLimits& limits_;
  absl::Time deadline_ = absl::InfiniteFuture();  // of the request at hand
  std::string buffer_;
  size_t at_ = 0;
  // Of the head of the request at hand.
  bool in_head_ = true;
  size_t head_bytes_ = 0;
  size_t head_lines_ = 0;
  size_t line_bytes_ = 0;
  bool close_after_this_ = false;
};

}  // namespace keystead::console
