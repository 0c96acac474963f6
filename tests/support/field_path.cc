#include "tests/support/field_path.h"

#include <string>

namespace kezek {

bool IsFieldPath(const google::protobuf::Descriptor& message, std::string_view path) {
  const google::protobuf::Descriptor* below = &message;
  while (true) {
    if (below == nullptr) return false;
    const std::size_t dot = path.find('.');
    std::string_view step = path.substr(0, dot);
    const std::size_t bracket = step.find('[');
    const auto* field = below->FindFieldByName(std::string(step.substr(0, bracket)));
    if (field == nullptr) return false;
    if (bracket != std::string_view::npos) {
      const std::string_view index = step.substr(bracket + 1);
      if (!field->is_repeated() || index.size() < 2 || index.back() != ']') return false;
      if (index.find_first_not_of("0123456789") != index.size() - 1) return false;
    }
    if (dot == std::string_view::npos) return true;
    path.remove_prefix(dot + 1);
    below = field->message_type();
  }
}

}  // namespace kezek
