// What somebody may have meant who wrote a name that is none.
#pragma once

#include <string>
#include <vector>

namespace kezek::cli {

// The word that is closest: at most a third of its letters are wrong, missing, too many or swapped,
// or it ends with a dash and what was written, or it is the only one that begins so. Empty if none
// is. Of equally close ones the first.
std::string Nearest(const std::string& written, const std::vector<std::string>& words);

// `; did you mean 'queue'?`, or nothing.
std::string DidYouMean(const std::string& written, const std::vector<std::string>& words);

// `a, b or c`.
std::string Listed(const std::vector<std::string>& words, const std::string& last = "or");

}  // namespace kezek::cli
