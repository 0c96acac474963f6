#include "cmd/kezek/host.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <iostream>
#include <random>
#include <string_view>
#include <system_error>
#include <thread>

#include "munge/munge_proofs.h"

namespace kezek::cli {
namespace {

constexpr const char* kMungeSocket = "/run/munge/munge.socket.2";

std::string RandomKey() {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::random_device device;
  std::string key;
  for (int word = 0; word < 4; ++word) {
    unsigned bits = device();
    for (int digit = 0; digit < 8; ++digit, bits >>= 4) key += kHex[bits & 0xFU];
  }
  return key;
}

std::map<std::string, std::string> ReadEnvironment() {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos || equals == 0) continue;
    variables.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return variables;
}

void Measure(Host& host) {
  winsize size{};
  if (!host.out_is_terminal || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return;
  host.columns = size.ws_col;
  host.rows = size.ws_row;
}

// Whether somebody reads what is written: not if it is a pipe whose other end is closed.
bool HasReader(int file) {
  pollfd state{.fd = file, .events = 0, .revents = 0};
  return poll(&state, 1, 0) < 0 || (state.revents & POLLERR) == 0;
}

// Those that Slurm hands on.
std::map<std::string, std::int64_t> ReadLimits() {
  struct Limit {
    const char* name;
    decltype(RLIMIT_CPU) number;
  };
  constexpr std::array<Limit, 10> kLimits = {{{"CPU", RLIMIT_CPU},
                                              {"FSIZE", RLIMIT_FSIZE},
                                              {"DATA", RLIMIT_DATA},
                                              {"STACK", RLIMIT_STACK},
                                              {"CORE", RLIMIT_CORE},
                                              {"RSS", RLIMIT_RSS},
                                              {"NPROC", RLIMIT_NPROC},
                                              {"NOFILE", RLIMIT_NOFILE},
                                              {"MEMLOCK", RLIMIT_MEMLOCK},
                                              {"AS", RLIMIT_AS}}};
  std::map<std::string, std::int64_t> limits;
  for (const Limit& limit : kLimits) {
    rlimit value{};
    if (getrlimit(limit.number, &value) != 0) continue;
    limits[limit.name] =
        value.rlim_cur == RLIM_INFINITY ? -1 : static_cast<std::int64_t>(value.rlim_cur);
  }
  return limits;
}

}  // namespace

std::string Host::Variable(const std::string& variable) const {
  const auto found = environment.find(variable);
  return found == environment.end() ? "" : found->second;
}

Host ThisProcess() {
  Host host;
  host.in = &std::cin;
  host.out = &std::cout;
  host.err = &std::cerr;
  host.in_is_terminal = isatty(STDIN_FILENO) == 1;
  host.out_is_terminal = isatty(STDOUT_FILENO) == 1;
  host.err_is_terminal = isatty(STDERR_FILENO) == 1;
  host.environment = ReadEnvironment();
  host.measure = Measure;
  Measure(host);
  host.colour =
      host.out_is_terminal && host.Variable("NO_COLOR").empty() && host.Variable("TERM") != "dumb";
  std::error_code ignored;
  host.directory = std::filesystem::current_path(ignored).string();
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) == 0) host.name = name.data();
  const mode_t mask = ::umask(0);
  ::umask(mask);
  host.umask = static_cast<int>(mask);
  host.nice = getpriority(PRIO_PROCESS, 0);
  host.rlimits = ReadLimits();
  host.now_ms = [] {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::int64_t{std::chrono::duration_cast<std::chrono::milliseconds>(now).count()};
  };
  host.sleep = [](std::int64_t ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); };
  host.make_key = RandomKey;
  host.go_on = [] { return std::cout.good() && HasReader(STDOUT_FILENO); };
  const std::string socket = host.Variable("KEZEK_MUNGE_SOCKET");
  if (access(socket.empty() ? kMungeSocket : socket.c_str(), W_OK) == 0) {
    host.munge = [socket](const std::string& payload) {
      return munge::MakeCredential(payload, socket);
    };
  }
  return host;
}

}  // namespace kezek::cli
