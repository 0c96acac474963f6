// Goal: no text that calls itself an answer of slurmrestd crashes the codec.
// Method: every parser reads the same bytes, under every kind of status.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "slurm/codec.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace kezek::slurm;
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  for (const long status : {200L, 400L, 500L}) {
    static_cast<void>(ParseSubmit(status, body));
    static_cast<void>(ParseVerdict(status, body));
    static_cast<void>(ParseJobs(status, body));
    static_cast<void>(ParseAccounting(status, body));
    UsedGpus used;
    static_cast<void>(ParseNodes(status, body, &used));
    static_cast<void>(ParseJobStates(status, body));
    static_cast<void>(ParsePing(status, body));
    static_cast<void>(ParseClock(status, body));
    static_cast<void>(ParseBacklog(status, body));
  }
  static_cast<void>(ParseClusterName(body));
  static_cast<void>(SlurmSignal(std::string(body)));
  return 0;
}
