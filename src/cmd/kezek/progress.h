// How far long work is: one line on standard error that is written over, on a terminal only.
#pragma once

#include <string>

#include "cmd/kezek/host.h"

namespace kezek::cli {

class Progress {
 public:
  // `host` must outlive it.
  explicit Progress(const Host& host) : host_(&host) {}
  ~Progress() { Clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void Show(const std::string& text);
  // Takes the line away, before something else is written.
  void Clear();

 private:
  const Host* host_;
  bool shown_ = false;
};

}  // namespace kezek::cli
