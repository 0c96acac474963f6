// A sorted map of which snapshots are cheap: they share all that does not change afterwards.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace kezek {

// One thread writes and takes snapshots. A snapshot is an immutable value for any thread. Items
// lie in chunks; a change after a snapshot copies the chunk it is in, a snapshot only the list of
// chunks.
template <class Key, class Value>
class SnapshotMap {
 public:
  using Item = std::pair<Key, Value>;
  using Chunk = std::vector<Item>;  // sorted by key, never empty
  static constexpr std::size_t kChunk = 128;

  class Snapshot {
   public:
    Snapshot() = default;

    // Null: there is none. Valid as long as a snapshot with this item.
    const Value* Find(const Key& key) const {
      const auto chunk =
          std::lower_bound(chunks_.begin(), chunks_.end(), key,
                           [](const auto& c, const Key& k) { return c->back().first < k; });
      if (chunk == chunks_.end()) return nullptr;
      const auto item = Lower(**chunk, key);
      return item->first == key ? &item->second : nullptr;
    }
    std::size_t size() const { return size_; }
    // visit(key, value), in the order of keys.
    template <class Visit>
    void ForEach(Visit visit) const {
      for (const auto& chunk : chunks_) {
        for (const auto& [key, value] : *chunk) visit(key, value);
      }
    }

   private:
    friend class SnapshotMap;
    std::vector<std::shared_ptr<const Chunk>> chunks_;
    std::size_t size_ = 0;
  };

  // Inserts or replaces.
  void Set(const Key& key, Value value) {
    Chunk& chunk = Own(PlaceOf(key));
    const auto item = Lower(chunk, key);
    if (item != chunk.end() && item->first == key) {
      item->second = std::move(value);
      return;
    }
    ++size_;
    chunk.insert(item, Item(key, std::move(value)));
    if (chunk.size() > kChunk) Split(PlaceOf(key));
  }

  void Erase(const Key& key) {
    const std::size_t place = PlaceOf(key);
    if (place == places_.size()) return;
    const auto found = Lower(*places_[place].chunk, key);
    if (found == places_[place].chunk->end() || found->first != key) return;
    --size_;
    Chunk& chunk = Own(place);
    chunk.erase(Lower(chunk, key));
    if (chunk.empty()) places_.erase(places_.begin() + static_cast<std::ptrdiff_t>(place));
  }

  std::size_t size() const { return size_; }
  // Null: there is none. Valid until the next change.
  const Value* Find(const Key& key) const {
    const std::size_t place = PlaceOf(key);
    if (place == places_.size()) return nullptr;
    const Chunk& chunk = *places_[place].chunk;
    const auto found = Lower(chunk, key);
    return found == chunk.end() || found->first != key ? nullptr : &found->second;
  }

  Snapshot Take() {
    Snapshot snapshot;
    snapshot.size_ = size_;
    snapshot.chunks_.reserve(places_.size());
    for (Place& place : places_) {
      place.shared = true;
      snapshot.chunks_.push_back(place.chunk);
    }
    return snapshot;
  }

 private:
  struct Place {
    std::shared_ptr<Chunk> chunk;
    bool shared = false;  // with a snapshot
  };

  template <class AnyChunk>
  static auto Lower(AnyChunk& chunk, const Key& key) {
    return std::lower_bound(chunk.begin(), chunk.end(), key,
                            [](const Item& item, const Key& k) { return item.first < k; });
  }

  // The first chunk that ends at this key or behind it; where there is none, the last one, unless
  // the map is empty.
  std::size_t PlaceOf(const Key& key) const {
    const auto found =
        std::lower_bound(places_.begin(), places_.end(), key,
                         [](const Place& p, const Key& k) { return p.chunk->back().first < k; });
    const auto place = static_cast<std::size_t>(found - places_.begin());
    return place == places_.size() && place > 0 ? place - 1 : place;
  }

  Chunk& Own(std::size_t place) {
    if (place == places_.size()) places_.push_back({std::make_shared<Chunk>(), false});
    Place& own = places_[place];
    if (own.shared) own = {std::make_shared<Chunk>(*own.chunk), false};
    return *own.chunk;
  }

  // What comes in order, as new jobs do, leaves full chunks behind; else in halves.
  void Split(std::size_t place) {
    Chunk& chunk = *places_[place].chunk;
    const std::size_t keep = place + 1 == places_.size() ? chunk.size() - 1 : chunk.size() / 2;
    const auto at = chunk.begin() + static_cast<std::ptrdiff_t>(keep);
    auto behind =
        std::make_shared<Chunk>(std::make_move_iterator(at), std::make_move_iterator(chunk.end()));
    chunk.erase(at, chunk.end());
    places_.insert(places_.begin() + static_cast<std::ptrdiff_t>(place) + 1,
                   {std::move(behind), false});
  }

  std::vector<Place> places_;
  std::size_t size_ = 0;
};

}  // namespace kezek
