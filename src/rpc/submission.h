// The way of one submission: convert, admit, look at what it waits for, hand to the group commit.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "kezek/store.h"
#include "kezek/v1/job_service.pb.h"
#include "rpc/caller.h"
#include "rpc/unary.h"

namespace kezek::rpc {

// What was taken: enough to answer with, without reading it again.
struct Taken {
  JobRecord record;  // as it was committed, or as it is now if the key was known
  bool existed = false;
  std::vector<Reason> warnings;
};

// Calls `done` once, from this thread or another. `request` must live until then. Errors as the
// rpc Submit promises them. What was taken before under the same key is given back, whatever would
// speak against it today: limits, roles, a Unix account or a GPU type that is gone.
void SubmitOne(const Parts& parts, const Settings& settings,
               const std::shared_ptr<const Caller>& caller, const v1::SubmitRequest& request,
               std::function<void(Result<Taken>)> done);

// SHA-256 of the request in one canonical form, without its key.
Sha256 HashRequest(const v1::SubmitRequest& request);

// The project that a submission of `user` names, by path, by its last part, or left out. NOT_FOUND
// PROJECT_NOT_FOUND; PERMISSION_DENIED NOT_A_MEMBER; INVALID_ARGUMENT FIELD_INVALID.
Result<AccountId> FindProject(const Directory& directory, const User& user,
                              const std::string& path);

}  // namespace kezek::rpc
