// A sorted map in one piece of memory: made at once, and read.
#pragma once

#include <algorithm>
#include <cstddef>
#include <stdexcept>
#include <utility>
#include <vector>

namespace kezek {

// Reads like std::map. Inserting into the middle costs as much as there is behind.
template <class Key, class Value>
class FlatMap {
 public:
  using value_type = std::pair<Key, Value>;
  using const_iterator = typename std::vector<value_type>::const_iterator;

  FlatMap() = default;
  // In any order; no key is there twice.
  explicit FlatMap(std::vector<value_type> items) : items_(std::move(items)) {
    const auto before = [](const value_type& a, const value_type& b) { return a.first < b.first; };
    if (!std::is_sorted(items_.begin(), items_.end(), before)) {
      std::sort(items_.begin(), items_.end(), before);
    }
  }

  const_iterator begin() const { return items_.begin(); }
  const_iterator end() const { return items_.end(); }
  std::size_t size() const { return items_.size(); }
  void clear() { items_.clear(); }

  const_iterator lower_bound(const Key& key) const {
    return std::lower_bound(begin(), end(), key,
                            [](const value_type& item, const Key& k) { return item.first < k; });
  }
  const_iterator find(const Key& key) const {
    const auto found = lower_bound(key);
    return found != end() && found->first == key ? found : end();
  }
  const Value& at(const Key& key) const {
    const auto found = find(key);
    if (found == end()) throw std::out_of_range("no such key");
    return found->second;
  }
  Value& operator[](const Key& key) {
    const auto place = items_.begin() + (lower_bound(key) - begin());
    if (place != items_.end() && place->first == key) return place->second;
    return items_.insert(place, {key, Value{}})->second;
  }

 private:
  std::vector<value_type> items_;
};

}  // namespace kezek
