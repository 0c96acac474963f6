#include "cmd/kezek/nearest.h"

#include <algorithm>
#include <cstddef>

namespace kezek::cli {
namespace {

// Letters to change, add, leave out or swap with their neighbour to make one of the other.
std::size_t Distance(const std::string& a, const std::string& b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1,
                             cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
      }
    }
  }
  return cost[a.size()][b.size()];
}

// `--job-name` is what `--name` may mean.
bool EndsWithIt(const std::string& word, const std::string& written) {
  const std::size_t start = written.find_first_not_of('-');
  return start != std::string::npos && written.size() - start > 2 &&
         word.ends_with("-" + written.substr(start)) && word != written;
}

}  // namespace

std::string Nearest(const std::string& written, const std::vector<std::string>& words) {
  std::string nearest;
  std::size_t best = 0;
  std::vector<std::string> longer;
  for (const std::string& word : words) {
    if (!written.empty() && word.starts_with(written)) longer.push_back(word);
    const std::size_t distance = EndsWithIt(word, written) ? 1 : Distance(written, word);
    const std::size_t allowed = std::max<std::size_t>(1, word.size() / 3);
    if (distance > allowed || distance >= word.size()) continue;
    if (!nearest.empty() && distance >= best) continue;
    nearest = word;
    best = distance;
  }
  return longer.size() == 1 ? longer.front() : nearest;
}

std::string DidYouMean(const std::string& written, const std::vector<std::string>& words) {
  const std::string nearest = Nearest(written, words);
  return nearest.empty() ? "" : "; did you mean " + nearest + "?";
}

std::string Listed(const std::vector<std::string>& words, const std::string& last) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 == words.size() ? " " + last + " " : ", ";
    text += words[i];
  }
  return text;
}

}  // namespace kezek::cli
