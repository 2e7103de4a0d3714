// The life of a table, as far as it is the writer's: it halts, is copied again, joins, goes.
#include <utility>

#include "engine/delivery_writer.h"

namespace sluice::engine {

Status DeliveryWriter::HaltTable(RelationId relation, const Error& error) {
  Halt({relation, error});
  return {};
}

Status DeliveryWriter::Resync(RelationId relation) {
  if (!machine_.has_table(relation)) {
    return Error{.kind = ErrorKind::kInvalidArgument, .message = "no such table in this pipeline"};
  }
  held_.Drop(UnitId{relation, 0});
  machine_.Resync(relation, WallClock());
  return {};
}

void DeliveryWriter::Join(const TableRecord& record) {
  settled_sequence_.store(0);
  if (!machine_.has_table(record.relation)) {
    machine_.AddTable(record);
    return;
  }
  const TableRecord& known = machine_.record(record.relation);
  // Where rows lie already, they lie until the new copy lands.
  machine_.Rename(record.relation, record.source,
                  known.schema ? known.destination : record.destination);
  held_.Drop(UnitId{record.relation, 0});
  machine_.Rejoined(record.relation, record.publication_entry, WallClock());
  if (record.state == TableState::kSkipped) {
    machine_.Skip(
        record.relation,
        Error{.kind = ErrorKind::kConfig, .message = record.reason, .advice = record.advice},
        WallClock());
  }
}

void DeliveryWriter::Skip(RelationId relation, const Error& error) {
  held_.Drop(UnitId{relation, 0});
  machine_.Skip(relation, error, WallClock());
}

Status DeliveryWriter::Forget(RelationId relation) {
  const UnitId unit{relation, 0};
  // A copy that is under way finds its ticket stale and removes what it wrote.
  const bool has_shadow = machine_.unit_state(unit) == replication::UnitState::kCopied;
  held_.Drop(unit);
  machine_.RemoveTable(relation);
  return has_shadow ? destination_.DiscardCopy(unit) : Status{};
}

Status DeliveryWriter::CopyUnderName(RelationId relation, const TableName& source) {
  SLUICE_RETURN_IF_ERROR(Resync(relation));
  const TableRecord& record = machine_.record(relation);
  machine_.Rename(relation, source, record.schema ? record.destination : DestinationOf(source));
  settled_sequence_.store(0);
  return {};
}

void DeliveryWriter::Halt(const TableFailed& failed) {
  if (!machine_.has_table(failed.relation)) return;
  const TableRecord& record = machine_.record(failed.relation);
  if (record.state == TableState::kHalted) return;
  Error with_advice = failed.error;
  if (with_advice.advice.empty()) with_advice.advice = "sluice resync " + ToString(record.source);
  logger_.Failed("table {} halted: {} ({}); the others go on; to continue: {}",
                 ToString(record.source), with_advice.message, with_advice.code,
                 with_advice.advice);
  machine_.Halt(failed.relation, with_advice, WallClock());
  held_.Drop(UnitId{failed.relation, 0});
}

/// A live table still gets its rows under this name: it has lost it at the source, and the stream
/// has not been told so far. Landing now would mix the rows of two tables.
bool DeliveryWriter::IsNameInUse(RelationId landing) const {
  const TableName name = DestinationOf(machine_.record(landing).source);
  for (const RelationId relation : machine_.tables()) {
    const TableRecord& record = machine_.record(relation);
    if (relation != landing && record.state == TableState::kLive && record.destination == name)
      return true;
  }
  return false;
}

/// A table that was dropped at the source and whose name this one has now: its rows are replaced in
/// this very transaction, and so is its record.
void DeliveryWriter::ForgetReplaced(RelationId landed) {
  const TableName name = machine_.record(landed).destination;
  for (const RelationId relation : machine_.tables()) {
    const TableRecord& record = machine_.record(relation);
    if (relation == landed || record.destination != name) continue;
    if (record.state == TableState::kSkipped && record.schema) machine_.RemoveTable(relation);
  }
}

}  // namespace sluice::engine
