// Jobs by their text ids, as one caller may see them. On the read pool.
#pragma once

#include <google/protobuf/repeated_ptr_field.h>

#include <string>
#include <vector>

#include "kezek/ids.h"
#include "kezek/result.h"
#include "kezek/store.h"
#include "rpc/caller.h"

namespace kezek::rpc {

// NOT_FOUND JOB_NOT_FOUND: there is none, or not for the caller.
Error JobNotFound(const JobRef& job, const std::string& field);

// A row, or an element that has none of its own. NOT_FOUND: neither.
Result<JobRecord> LoadJob(Reader& reader, const JobRef& job);

// The same for many, each of which the caller must reach: two reads however many they are.
// NOT_FOUND JOB_NOT_FOUND.
Result<std::vector<JobRecord>> LoadJobs(Reader& reader, const Caller& caller,
                                        const std::vector<JobRef>& jobs);

// What a request's `jobs` name, each once, in its order. INVALID_ARGUMENT FIELD_INVALID (none at
// all, or malformed), TOO_MANY (more than `max`).
Result<std::vector<JobRef>> ReadJobs(const google::protobuf::RepeatedPtrField<std::string>& texts,
                                     std::size_t max);

}  // namespace kezek::rpc
