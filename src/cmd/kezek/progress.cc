#include "cmd/kezek/progress.h"

#include <ostream>

#include "cmd/kezek/render.h"

namespace kezek::cli {

void Progress::Show(const std::string& text) {
  if (!host_->err_is_terminal) return;
  const std::string line =
      host_->columns > 0 ? CutTo(text, static_cast<std::size_t>(host_->columns) - 1) : text;
  *host_->err << "\r\x1b[K" << line << std::flush;
  shown_ = true;
}

void Progress::Clear() {
  if (shown_) *host_->err << "\r\x1b[K" << std::flush;
  shown_ = false;
}

}  // namespace kezek::cli
