// Which version of the API is spoken with the slurmrestd that answers now.
#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "kezek/result.h"
#include "slurm/codec.h"
#include "slurm/http.h"

namespace kezek::slurm {

// Thread-safe but for Choose, which one thread calls.
class CodecChoice {
 public:
  using Get = std::function<HttpOutcome(const std::string& path)>;

  // Null until Choose has succeeded once; then the last choice, also while Slurm is away. What is
  // pointed to lives on.
  const Codec* chosen() const { return chosen_; }

  // Pings by each version from the newest down, until one is served: a version that is not served
  // is a 404. Slurm's release, when slurmctld answers; else UNAVAILABLE, and the choice stays.
  // Where none is served the text names those that are, and those that Kezek speaks.
  Result<std::string> Choose(const Get& get);

 private:
  std::atomic<const Codec*> chosen_{nullptr};
};

}  // namespace kezek::slurm
