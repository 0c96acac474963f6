// Answers of real slurmrestds, recorded with their requests: in fixtures/ those of 22.05.8, below
// it in 24.11/ (24.11.5, v0.0.42) and 26.05/ (26.05.5, v0.0.45), with fewer cores and nodes.
#pragma once

#include <string>

namespace kezek::slurm {

struct Recorded {
  long status = 0;
  std::string body;  // as it was on the wire, up to white space
};

// The answer in fixtures/NAME.json. Ends the program if there is none.
Recorded Record(const std::string& name);

}  // namespace kezek::slurm
