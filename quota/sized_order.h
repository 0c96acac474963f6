// Items in an order, each with a size: "the first whose size is at most so much" in O(log n).
//
// A treap (Seidel, Aragon, "Randomized search trees", 1996) whose nodes also know the least size
// below them. Heights come from a fixed hash of the item, so that the same items make the same
// tree. Items are numbers from 0; several orders (each a `top`) may share one SizedOrders as long
// as no item is in two of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "kezek/resources.h"

namespace kezek::quota {

class SizedOrders {
 public:
  using Item = std::int32_t;
  static constexpr Item kNone = -1;  // of a top: the order is empty
  static constexpr MilliGpus kNothing = std::numeric_limits<MilliGpus>::max();

  SizedOrders() = default;
  explicit SizedOrders(std::size_t items) : nodes_(items) {}

  // `before(a, b)`: a comes before b; total. What it looks at must not change while the item is in
  // the order.
  template <class Before>
  void Insert(Item* top, Item item, MilliGpus size, const Before& before) {
    At(item) = {.size = size, .least = size};
    Put(top, item, before);
  }
  // The item must be in the order.
  template <class Before>
  void Erase(Item* top, Item item, const Before& before) {
    if (*top == item) {
      *top = Joined(At(item).left, At(item).right);
      return;
    }
    Node& node = At(*top);
    Erase(before(item, *top) ? &node.left : &node.right, item, before);
    Sum(*top);
  }

  // kNone: all are larger.
  Item First(Item top, MilliGpus most) const {
    if (Least(top) > most) return kNone;
    while (true) {
      const Node& node = At(top);
      if (Least(node.left) <= most) {
        top = node.left;
      } else if (node.size <= most) {
        return top;
      } else {
        top = node.right;
      }
    }
  }
  // kNothing: the order is empty.
  MilliGpus Least(Item top) const { return top == kNone ? kNothing : At(top).least; }

  template <class Visit>
  void ForEach(Item top, const Visit& visit) const {
    if (top == kNone) return;
    ForEach(At(top).left, visit);
    visit(top);
    ForEach(At(top).right, visit);
  }

 private:
  struct Node {
    Item left = kNone;
    Item right = kNone;
    MilliGpus size = 0;
    MilliGpus least = 0;  // of it and all below it
  };

  Node& At(Item item) { return nodes_[static_cast<std::size_t>(item)]; }
  const Node& At(Item item) const { return nodes_[static_cast<std::size_t>(item)]; }

  // Items above others in the tree have the larger height; ties by number.
  static bool Higher(Item a, Item b) {
    const auto height = [](Item item) {
      std::uint64_t z = (static_cast<std::uint64_t>(item) + 1) * 0x9e3779b97f4a7c15U;
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
      return z ^ (z >> 27);
    };
    const std::uint64_t left = height(a);
    const std::uint64_t right = height(b);
    return left != right ? left > right : a < b;
  }

  void Sum(Item item) {
    Node& node = At(item);
    node.least = node.size;
    for (const Item below : {node.left, node.right}) {
      if (below != kNone && At(below).least < node.least) node.least = At(below).least;
    }
  }

  template <class Before>
  void Put(Item* top, Item item, const Before& before) {
    if (*top == kNone || Higher(item, *top)) {
      Node& node = At(item);
      Split(*top, item, &node.left, &node.right, before);
      *top = item;
    } else {
      Node& node = At(*top);
      Put(before(item, *top) ? &node.left : &node.right, item, before);
    }
    Sum(*top);
  }
  // What is before `item` and what is not.
  template <class Before>
  void Split(Item top, Item item, Item* left, Item* right, const Before& before) {
    if (top == kNone) {
      *left = *right = kNone;
      return;
    }
    Node& node = At(top);
    if (before(item, top)) {
      *right = top;
      Split(node.left, item, left, &node.left, before);
    } else {
      *left = top;
      Split(node.right, item, &node.right, right, before);
    }
    Sum(top);
  }
  // All of `left` come before all of `right`.
  Item Joined(Item left, Item right) {
    if (left == kNone) return right;
    if (right == kNone) return left;
    if (Higher(left, right)) {
      At(left).right = Joined(At(left).right, right);
      Sum(left);
      return left;
    }
    At(right).left = Joined(left, At(right).left);
    Sum(right);
    return right;
  }

  std::vector<Node> nodes_;
};

}  // namespace kezek::quota
