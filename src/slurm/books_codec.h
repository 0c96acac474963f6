// slurmdbd's accounts, associations and jobs as slurmrestd tells them, as pure functions. Of any
// release: fields that differ from one to the other are read either way.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "kezek/cluster_books.h"
#include "kezek/result.h"
#include "slurm/json_fields.h"

namespace kezek::slurm {

// Slurm keeps accounts in small letters.
std::string SmallLetters(std::string text);

// The names in a list of objects: of /accounts, /users, /qos, /clusters. UNAVAILABLE: no usable
// answer.
Result<std::vector<std::string>> ParseNames(long status, std::string_view body, const char* list);

// Of one cluster, of no partition. UNAVAILABLE as above.
Result<BookedMembers> ParseMembers(long status, std::string_view body, const std::string& cluster);

// Jobs of this cluster (empty: of any), whatever their names. UNAVAILABLE as above. No more than
// one of them is ever there as a tree.
Result<std::vector<BookedRun>> ParseRuns(long status, std::string_view body,
                                         const std::string& cluster);

// An answer to a POST: slurmrestd tells of errors with 200, too. UNAVAILABLE: it was not made, with
// Slurm's words.
Result<void> ParseMade(long status, std::string_view body);

// Bodies of POST. `associations` and `users` are v0.0.38's; the others came later.
std::string AccountBody(const std::string& account, const std::string& description);
std::string AccountAssociationBody(const std::string& cluster, const std::string& account,
                                   const std::string& description);
std::string UserBody(const std::string& user, const std::string& account);
std::string AssociationBody(const std::string& cluster, const std::string& user,
                            const std::string& account);
// A new user's default account is this one; another one's stays.
std::string UserAssociationBody(const std::string& cluster, const std::string& user,
                                const std::string& account, bool new_user);

}  // namespace kezek::slurm
