// Everything outside that a command touches besides the server: the terminal, the environment, the
// clock, the file system's place. Tests hand in their own, so that a transcript is the same each
// day.
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <map>
#include <string>

#include "kezek/result.h"

namespace kezek::cli {

struct Host {
  std::istream* in = nullptr;
  std::ostream* out = nullptr;
  std::ostream* err = nullptr;
  bool in_is_terminal = true;
  bool out_is_terminal = false;
  bool err_is_terminal = false;
  bool colour = false;  // only on a terminal, and not with NO_COLOR
  int columns = 0;      // of the terminal; 0: no limit
  int rows = 0;

  std::map<std::string, std::string> environment;
  std::string directory;  // absolute
  std::string name;       // of this machine
  int umask = 022;
  int nice = 0;
  // Soft resource limits by their names without RLIMIT_; -1 is unlimited.
  std::map<std::string, std::int64_t> rlimits;

  std::function<std::int64_t()> now_ms;        // UTC
  std::function<void(std::int64_t ms)> sleep;  // between tries
  std::function<std::string()> make_key;       // 128 random bits, in hexadecimal
  std::function<bool()> go_on;                 // asked before --watch looks again
  // Sets columns and rows, before each look of --watch. May be empty, as may go_on.
  std::function<void(Host&)> measure;

  // A munge credential of this process' user for a payload; null: there is no munge here.
  std::function<Result<std::string>(const std::string& payload)> munge;

  // A variable of the environment; empty if it is not set.
  std::string Variable(const std::string& variable) const;
};

// The process this runs in.
Host ThisProcess();

}  // namespace kezek::cli
