#include "scheduler/control/tag.h"

#include <charconv>

namespace kezek::control {
namespace {

std::string Hashed(const KeyedHash& hash, const std::string& installation, std::int64_t epoch,
                   const AttemptRef& attempt, const std::string& unix_account) {
  return hash(installation + "\n" + std::to_string(epoch) + "\n" + ClusterName(attempt) + "\n" +
              unix_account);
}

}  // namespace

std::string MakeTag(const KeyedHash& hash, const std::string& installation, std::int64_t epoch,
                    const AttemptRef& attempt, const std::string& unix_account) {
  return std::string(kTagPrefix) + installation + ":" + std::to_string(epoch) + ":" +
         Hashed(hash, installation, epoch, attempt, unix_account);
}

std::optional<TagParts> ParseTag(std::string_view tag) {
  if (!tag.starts_with(kTagPrefix)) return std::nullopt;
  tag.remove_prefix(kTagPrefix.size());
  const std::size_t first = tag.find(':');
  const std::size_t second = first == std::string_view::npos ? first : tag.find(':', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  TagParts parts;
  parts.installation = tag.substr(0, first);
  parts.hash = tag.substr(second + 1);
  const std::string_view digits = tag.substr(first + 1, second - first - 1);
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), parts.epoch);
  if (error != std::errc() || end != digits.data() + digits.size() || parts.epoch < 1) {
    return std::nullopt;
  }
  return parts;
}

Belongs WhoseIs(const KeyedHash& hash, const std::string& installation,
                const std::set<std::int64_t>& issued_epochs, const ClusterJob& job) {
  const std::optional<TagParts> parts = ParseTag(job.tag);
  if (!parts || parts->installation != installation || job.attempt.number == 0) return Belongs::kNo;
  if (parts->hash != Hashed(hash, installation, parts->epoch, job.attempt, job.unix_account)) {
    return Belongs::kNo;
  }
  return issued_epochs.contains(parts->epoch) ? Belongs::kYes : Belongs::kUnknownEpoch;
}

}  // namespace kezek::control
