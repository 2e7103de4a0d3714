/// \file
/// Takes the messages of the source's event triggers: the registry learns which transaction altered
/// something, and whoever looks at the catalog is told to look.
///
/// Thread safety: on the stream thread.
#pragma once

#include <functional>
#include <string_view>
#include <utility>

#include "engine/relation_registry.h"
#include "postgres/ddl_trigger.h"
#include "replication/relation_resolver.h"

namespace sluice::engine {

class DdlMessages final : public replication::MessageListener {
 public:
  /// The registry must outlive it. `on_ddl` returns at once.
  DdlMessages(RelationRegistry& registry, std::function<void()> on_ddl)
      : registry_(registry), on_ddl_(std::move(on_ddl)) {}

  bool Wants(std::string_view prefix) const override {
    return prefix == postgres::kDdlMessagePrefix;
  }
  Status OnMessage(const replication::ReceivedMessage& message) override {
    if (!message.is_transactional) return {};
    registry_.NoteAlteration(message.xid);
    on_ddl_();
    return {};
  }

 private:
  RelationRegistry& registry_;
  const std::function<void()> on_ddl_;
};

}  // namespace sluice::engine
