// What the cluster's books lack for the jobs of Kezek's projects. Pure.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "kezek/cluster_books.h"
#include "kezek/desk.h"

namespace kezek::rpc {

// Something that the books lack. What its kind does not speak of is empty.
struct MissingBooking {
  enum class Kind : std::uint8_t {
    kAccount,      // account
    kUser,         // the user, and with it the association with the account
    kMember,       // an association of a user that there is
    kQos,          // qos
    kQosAllowed,   // qos, to the account, and so to whoever has none of their own there
    kQosOfMember,  // qos, to the user in the account, who has some of their own
    kNoAccount,    // the user has no association at all, and the project names no account
  };
  Kind kind = Kind::kAccount;
  std::string account;
  std::string user;  // Unix account
  std::string qos;
  std::string project;  // one of those that want it, by path
  auto operator<=>(const MissingBooking&) const = default;
};

// In the order in which it can be made. Of open projects: the account and quality of service that
// their attempts run under, and their members that have a Unix account and access. Cluster admins
// may submit to any project; associations are made for those that are members.
std::vector<MissingBooking> PlanBooks(const Directory& directory, const ClusterAccounts& books);

// "account nlp", "user aizhan in account nlp".
std::string BookingText(const MissingBooking& missing);

// The command that makes it, for a shell; "kezek …" where Kezek's own settings lack something.
std::string CommandFor(const MissingBooking& missing, const std::string& cluster);

// Whether the books' port can make it.
bool CanBeMade(const MissingBooking& missing);

// An error of the books' port, for whoever asked: what is away is BOOKS_AWAY.
Error BooksError(Error error);

// Makes it, or says why not.
Result<void> MakeBooking(ClusterBooks& books, const MissingBooking& missing);

}  // namespace kezek::rpc
