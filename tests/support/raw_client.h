// A TCP client that sends just what it is told to: for servers that must bear bad manners.
#pragma once

#include <string>
#include <string_view>

namespace kezek::test {

class RawClient {
 public:
  // 127.0.0.1; fails the test if nobody listens. `from` is the last number of its own address.
  explicit RawClient(int port, int from = 1);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool Send(std::string_view bytes);  // false: the peer is gone
  void EndSending();
  // What comes until the peer closes; at most half a minute.
  std::string ReadAll();
  // What comes until `end` has come in what is read here, or the peer closes.
  std::string ReadUntil(std::string_view end);

 private:
  int socket_ = -1;
};

// One request on a connection of its own; the whole answer.
std::string Ask(int port, std::string_view request);

}  // namespace kezek::test
