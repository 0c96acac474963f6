#include <string>
#include <vector>

#include "cmd/kezek/app.h"
#include "cmd/kezek/host.h"

int main(int argc, char** argv) {
  return kezek::cli::RunApp(kezek::cli::ThisProcess(),
                            std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
}
