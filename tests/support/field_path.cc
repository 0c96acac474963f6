#include "tests/support/field_path.h"

#include <algorithm>
#include <string>

namespace kezek {

bool IsFieldPath(const google::protobuf::Descriptor& message, std::string_view path) {
  const google::protobuf::Descriptor* below = &message;
  while (below != nullptr) {
    const std::size_t name = path.find_first_of(".[");
    const auto* field = below->FindFieldByName(std::string(path.substr(0, name)));
    if (field == nullptr) return false;
    path.remove_prefix(std::min(name, path.size()));
    below = field->message_type();
    if (path.starts_with('[')) {
      const std::size_t end = path.find(']');  // of a key that has none in it
      if (end == std::string_view::npos || !field->is_repeated()) return false;
      const std::string_view inside = path.substr(1, end - 1);
      const bool number =
          !inside.empty() && inside.find_first_not_of("0123456789") == std::string_view::npos;
      if (!field->is_map() && !number) return false;
      if (field->is_map()) below = below->map_value()->message_type();
      path.remove_prefix(end + 1);
    }
    if (path.empty()) return true;
    if (!path.starts_with('.')) return false;
    path.remove_prefix(1);
  }
  return false;
}

}  // namespace kezek
