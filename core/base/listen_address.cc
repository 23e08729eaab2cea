#include "core/base/listen_address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include <array>
#include <charconv>
#include <cstring>
#include <memory>
#include <set>

#include "absl/strings/str_cat.h"
#include "core/base/bytes.h"

namespace keystead {
namespace {

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

absl::StatusOr<int> ParsePort(std::string_view text) {
  int port = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port < 0 || port > 65535)
    return absl::InvalidArgumentError("not a port");
  return port;
}

bool IsLoopback(const addrinfo& address) {
  if (address.ai_family == AF_INET) {
    const auto& v4 = *reinterpret_cast<const sockaddr_in*>(address.ai_addr);
    return (ntohl(v4.sin_addr.s_addr) >> 24) == 127;
  }
  const auto& v6 = *reinterpret_cast<const sockaddr_in6*>(address.ai_addr);
  return address.ai_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
}

std::string ByNumber(const addrinfo& address) {
  std::array<char, NI_MAXHOST> text = {};
  if (getnameinfo(address.ai_addr, address.ai_addrlen, text.data(), text.size(), nullptr, 0,
                  NI_NUMERICHOST) != 0)
    return "";
  return text.data();
}

}  // namespace

absl::StatusOr<ListenAddress> ParseListenAddress(std::string_view text) {
  const auto wrong = [&](std::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat(Absl(text), ": ", Absl(why)));
  };
  constexpr std::string_view kForm = "an address and a port are wanted, such as 127.0.0.1:8080 or [::1]:8080";
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return wrong(kForm);
  std::string host(text.substr(0, colon));
  const std::string port_text(text.substr(colon + 1));
  const absl::StatusOr<int> port = ParsePort(port_text);
  const bool in_brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (in_brackets) host = host.substr(1, host.size() - 2);
  if (!port.ok() || host.empty() || (!in_brackets && host.find(':') != std::string::npos))
    return wrong(kForm);
  if (host == "localhost") host = "127.0.0.1";
  addrinfo wanted{};
  wanted.ai_flags = AI_NUMERICSERV | (in_brackets ? AI_NUMERICHOST : AI_PASSIVE);
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (getaddrinfo(host.c_str(), port_text.c_str(), &wanted, &list) != 0)
    return wrong("this address is not one by number, and no such name is known here");
  const Addresses found(list, &freeaddrinfo);
  std::set<std::string> numbers;
  for (const addrinfo* one = found.get(); one != nullptr; one = one->ai_next) numbers.insert(ByNumber(*one));
  if (numbers.size() != 1 || numbers.begin()->empty())
    return wrong("this name has several addresses: give the one to listen on");
  ListenAddress out{.address = *numbers.begin(), .port = *port, .is_loopback = IsLoopback(*found)};
  std::memcpy(&out.socket_address, found->ai_addr, found->ai_addrlen);
  out.socket_address_size = found->ai_addrlen;
  return out;
}

}  // namespace keystead
