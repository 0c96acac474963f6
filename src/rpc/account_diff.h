// What differs between two states of an account, field by field. Pure.
#pragma once

#include <vector>

#include "kezek/v1/accounts.pb.h"
#include "kezek/v1/quota.pb.h"

namespace kezek::rpc {

// Adds a FieldChange for every field that people set: the path, kind, title, attributes, closed and
// the settings down to single values. `before` without a path: the account is new, which is a
// change of the account itself. Changes are of the account by the path it has after.
void AddDifferences(const v1::Account& before, const v1::Account& after,
                    std::vector<v1::FieldChange>* out);

}  // namespace kezek::rpc
