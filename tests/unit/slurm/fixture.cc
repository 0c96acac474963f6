#include "tests/unit/slurm/fixture.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

namespace kezek::slurm {

Recorded Record(const std::string& name) {
  const char* root = std::getenv("KEZEK_SOURCE_DIR");
  const std::string path =
      std::string(root != nullptr ? root : ".") + "/tests/unit/slurm/fixtures/" + name + ".json";
  std::ifstream file(path);
  const auto record = nlohmann::json::parse(file, nullptr, false);
  if (record.is_discarded()) {
    std::fprintf(stderr, "no fixture %s (is KEZEK_SOURCE_DIR set?)\n", path.c_str());
    std::abort();
  }
  const auto& response = record["response"];
  const auto& body = response["body"];
  return {response["status"].get<long>(), body.is_string() ? body.get<std::string>() : body.dump()};
}

}  // namespace kezek::slurm
