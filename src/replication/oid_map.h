/// \file
/// From a relation's oid to what is known of it: a flat hash with linear probing, for a look-up per
/// row.
///
/// Entries are pointers that outlive the map; none is removed. Oid 0 is nobody's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sluice/ids.h"

namespace sluice::replication {

template <class T>
class OidMap {
 public:
  T* Find(RelationId relation) const {
    if (slots_.empty()) return nullptr;
    for (std::size_t at = Home(relation);; at = (at + 1) & (slots_.size() - 1)) {
      const Slot& slot = slots_[at];
      if (slot.relation == relation) return slot.value;
      if (slot.value == nullptr) return nullptr;
    }
  }

  /// \pre relation is not in it.
  void Insert(RelationId relation, T* value) {
    if ((count_ + 1) * 2 > slots_.size()) Grow();
    Place(relation, value);
    ++count_;
  }

 private:
  struct Slot {
    RelationId relation;
    T* value = nullptr;
  };

  std::size_t Home(RelationId relation) const {
    // Fibonacci hashing: oids of one schema are neighbours.
    const std::uint64_t hash = relation.value * std::uint64_t{0x9E3779B97F4A7C15};
    return static_cast<std::size_t>(hash >> 32U) & (slots_.size() - 1);
  }
  void Place(RelationId relation, T* value) {
    std::size_t at = Home(relation);
    while (slots_[at].value != nullptr) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = {relation, value};
  }
  void Grow() {
    std::vector<Slot> old(slots_.empty() ? 16 : slots_.size() * 2);
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.value != nullptr) Place(slot.relation, slot.value);
    }
  }

  std::vector<Slot> slots_;
  std::size_t count_ = 0;
};

}  // namespace sluice::replication
