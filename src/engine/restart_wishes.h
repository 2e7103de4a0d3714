/// \file
/// Who wants the stream to begin again, and whether it has. Thread safety: any thread.
#pragma once

#include <atomic>
#include <cstdint>

namespace sluice::engine {

class RestartWishes {
 public:
  /// A start that begins from now on meets it. \return for is_met().
  std::uint64_t Wish() { return ++wished_; }
  bool is_met(std::uint64_t wish) const { return met_.load() >= wish; }
  /// The stream is to begin again.
  bool is_any_open() const { return !is_met(wished_.load()); }

  /// Around a start, by the stream's thread: what is wished meanwhile asks for another one.
  std::uint64_t StartBegins() const { return wished_.load(); }
  void Started(std::uint64_t begun_with) { met_.store(begun_with); }

 private:
  std::atomic<std::uint64_t> wished_{0};
  std::atomic<std::uint64_t> met_{0};
};

}  // namespace sluice::engine
