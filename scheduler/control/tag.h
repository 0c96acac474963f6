// Tags: what is kept with a job of the cluster to know it as this installation's.
//
//   kezek:<installation>:<epoch>:<hash>
//
// The hash is keyed and covers installation, epoch, the attempt's name and its Unix account, so a
// tag copied to another job, or made up, does not match. Pure functions.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "kezek/cluster.h"
#include "kezek/ids.h"

namespace kezek::control {

// How the tag of every installation begins.
inline constexpr std::string_view kTagPrefix = "kezek:";

using KeyedHash = std::function<std::string(std::string_view)>;

std::string MakeTag(const KeyedHash& hash, const std::string& installation, std::int64_t epoch,
                    const AttemptRef& attempt, const std::string& unix_account);

struct TagParts {
  std::string installation;
  std::int64_t epoch = 0;
  std::string hash;
};

// None: not a tag of Kezek's.
std::optional<TagParts> ParseTag(std::string_view tag);

enum class Belongs : std::uint8_t {
  kNo,            // somebody else's: never touched
  kYes,           // name, Unix account and tag agree, and this database issued the epoch
  kUnknownEpoch,  // ours, but of an epoch that this database did not issue: a restore
};

// Whether a job of the cluster is this installation's, judged by itself.
Belongs WhoseIs(const KeyedHash& hash, const std::string& installation,
                const std::set<std::int64_t>& issued_epochs, const ClusterJob& job);

}  // namespace kezek::control
