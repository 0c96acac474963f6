// `kezek-sim compare` and `kezek-sim replay`: schedulers on the trace of a real cluster.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace CLI {
class App;
}  // namespace CLI

namespace kezek::simcmd {

class CompareCommand {
 public:
  // Adds both to `app`, which must live as long.
  explicit CompareCommand(CLI::App& app);
  ~CompareCommand();
  CompareCommand(const CompareCommand&) = delete;
  CompareCommand& operator=(const CompareCommand&) = delete;

  // One of the two was on the command line.
  bool parsed() const;
  // Runs it; the exit status. Results go to standard output, the rest to standard error.
  int Run();

 private:
  struct Options;
  std::unique_ptr<Options> options_;
};

}  // namespace kezek::simcmd
