/// \file
/// The delivery writer's one mailbox: change sets in order, bounded in bytes, and calls to run on
/// its thread.
///
/// Calls (begin a unit, offer a snapshot, resync, fence) are steps of the table machine. They run
/// only between whole transactions: while a set that does not end at a boundary has been taken,
/// Pop() hands out change sets only, so that no unit ever begins in the middle of a transaction
/// (docs/positions.md).
///
/// Thread safety: every member from any thread; Pop() from the writer's only.
/// Limits: change sets by `limit_bytes` (one heavier set is let in when there is none); calls by
/// their callers, who wait.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>
#include <variant>

#include "sluice/change_set.h"
#include "sluice/result.h"
#include "sluice/time.h"

namespace sluice::engine {

class WriterInbox {
 public:
  /// Runs on the writer's thread, or is cancelled when the writer has ended.
  struct Call {
    std::function<void()> run;
    std::function<void()> cancel;
  };
  /// The stream broke: no more of an unfinished transaction comes now, all of it comes again.
  struct StreamLost {
    std::shared_ptr<std::promise<void>> handled;
  };
  struct Timeout {};
  struct Closed {};
  using Item = std::variant<ChangeSet, Call, StreamLost, Timeout, Closed>;

  explicit WriterInbox(std::size_t limit_bytes) : limit_bytes_(limit_bytes) {}
  ~WriterInbox() { Stop(); }
  WriterInbox(const WriterInbox&) = delete;
  WriterInbox& operator=(const WriterInbox&) = delete;

  /// Waits for room until `deadline`. False: no room in time, refused, stopped or closed; `set` is
  /// untouched.
  bool PushUntil(ChangeSet& set, Clock::time_point deadline, std::stop_token stop) {
    std::unique_lock lock(mutex_);
    const auto has_room = [&] {
      return closed_ || is_refusing_ || sets_.empty() || used_bytes_ + set.bytes <= limit_bytes_;
    };
    if (!not_full_.wait_until(lock, stop, deadline, has_room) || closed_ || is_refusing_)
      return false;
    used_bytes_ += set.bytes;
    sets_.emplace_back(std::move(set));
    lock.unlock();
    not_empty_.notify_one();
    return true;
  }

  /// Behind the sets that came before the stream broke; ready when the writer has worked them off
  /// (or has ended).
  std::future<void> PushStreamLost() {
    auto handled = std::make_shared<std::promise<void>>();
    std::future<void> done = handled->get_future();
    {
      const std::scoped_lock lock(mutex_);
      if (closed_) {
        handled->set_value();
        return done;
      }
      is_refusing_ = false;
      sets_.emplace_back(StreamLost{std::move(handled)});
    }
    not_empty_.notify_one();
    return done;
  }
  void PushStreamLostAndWait() { PushStreamLost().wait(); }

  /// Runs `function` on the writer's thread. \return what it returns (a Result or a Status), later.
  /// Errors: kCancelled when the writer has ended or ends meanwhile.
  template <class F>
  std::future<std::invoke_result_t<F>> Ask(F function) {
    using R = std::invoke_result_t<F>;
    auto promise = std::make_shared<std::promise<R>>();
    std::future<R> future = promise->get_future();
    Call call{[promise, f = std::move(function)]() mutable { promise->set_value(f()); },
              [promise] { promise->set_value(R(Ended())); }};
    {
      const std::scoped_lock lock(mutex_);
      if (closed_) {
        promise->set_value(R(Ended()));
        return future;
      }
      calls_.push_back(std::move(call));
    }
    not_empty_.notify_one();
    return future;
  }
  /// Waits for it as long as it takes, which is as long as the destination stands still.
  template <class F>
  std::invoke_result_t<F> CallAndWait(F function) {
    return Ask(std::move(function)).get();
  }

  /// The next call, else the next set, else waits. `sets_only`: calls wait (inside a transaction);
  /// `calls_only`: sets wait (at a fence).
  Item Pop(bool sets_only, bool calls_only, Clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    is_idle_ = true;
    const auto ready = [&] {
      return (!sets_only && !calls_.empty()) || (!calls_only && !sets_.empty()) || closed_;
    };
    const bool in_time = not_empty_.wait_until(lock, deadline, ready);
    is_idle_ = false;
    popped_at_ = Clock::now();
    if (!in_time) return Timeout{};
    if (!sets_only && !calls_.empty()) {
      Call call = std::move(calls_.front());
      calls_.pop_front();
      return call;
    }
    if (!calls_only && !sets_.empty()) {
      std::variant<ChangeSet, StreamLost> next = std::move(sets_.front());
      sets_.pop_front();
      if (auto* lost = std::get_if<StreamLost>(&next)) return std::move(*lost);
      auto& set = std::get<ChangeSet>(next);
      used_bytes_ -= set.bytes;
      lock.unlock();
      not_full_.notify_all();
      return std::move(set);
    }
    return Closed{};
  }

  /// Puts the rest of a set that was split at a fence back in front.
  void PushFront(ChangeSet set) {
    const std::scoped_lock lock(mutex_);
    used_bytes_ += set.bytes;
    sets_.emplace_front(std::move(set));
  }

  /// The transaction that the writer was in has to come again from its beginning: what is queued of
  /// this stream is dropped, and more of it refused until PushStreamLostAndWait().
  void RefuseSets() {
    {
      const std::scoped_lock lock(mutex_);
      const bool is_lost = !sets_.empty() && std::holds_alternative<StreamLost>(sets_.back());
      sets_.erase(sets_.begin(), is_lost ? sets_.end() - 1 : sets_.end());
      used_bytes_ = 0;
      is_refusing_ = !is_lost;
    }
    not_full_.notify_all();
  }
  bool is_refusing() const {
    const std::scoped_lock lock(mutex_);
    return is_refusing_;
  }

  /// The writer waits for work: a batch may be sealed for it now.
  bool is_idle() const {
    const std::scoped_lock lock(mutex_);
    return is_idle_ && sets_.empty();
  }
  /// The writer is what the stream waits for: it works on one thing for long, or half of what may
  /// wait for it does.
  bool is_pressed(Clock::time_point now) const {
    const std::scoped_lock lock(mutex_);
    const bool is_long_at_it = !is_idle_ && !sets_.empty() && now - popped_at_ > kLong;
    return is_long_at_it || used_bytes_ >= limit_bytes_ / 2;
  }
  bool is_closed() const {
    const std::scoped_lock lock(mutex_);
    return closed_;
  }
  std::size_t used_bytes() const {
    const std::scoped_lock lock(mutex_);
    return used_bytes_;
  }
  /// No more sets or calls come; what is there is drained.
  void Close() {
    {
      const std::scoped_lock lock(mutex_);
      closed_ = true;
    }
    not_empty_.notify_all();
    not_full_.notify_all();
  }
  /// The writer has ended: waiting callers get kCancelled, queued sets are dropped.
  void Stop() {
    std::deque<Call> calls;
    std::deque<std::variant<ChangeSet, StreamLost>> sets;
    {
      const std::scoped_lock lock(mutex_);
      closed_ = true;
      calls.swap(calls_);
      sets.swap(sets_);
      used_bytes_ = 0;
    }
    for (auto& item : sets) {
      if (auto* lost = std::get_if<StreamLost>(&item)) lost->handled->set_value();
    }
    not_empty_.notify_all();
    not_full_.notify_all();
    for (Call& call : calls) call.cancel();
  }

 private:
  static Error Ended() {
    return Error{.kind = ErrorKind::kCancelled, .message = "the delivery writer has ended"};
  }

  static constexpr Duration kLong = std::chrono::seconds(1);
  const std::size_t limit_bytes_;
  mutable std::mutex mutex_;
  std::condition_variable_any not_full_;
  std::condition_variable_any not_empty_;
  std::deque<std::variant<ChangeSet, StreamLost>> sets_;
  std::deque<Call> calls_;
  std::size_t used_bytes_ = 0;
  bool closed_ = false;
  bool is_refusing_ = false;
  bool is_idle_ = false;
  Clock::time_point popped_at_{};
};

}  // namespace sluice::engine
