// Answers of a real slurmrestd 22.05.8, recorded with their requests in fixtures/.
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
