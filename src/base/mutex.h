/// \file
/// A mutex that clang's thread-safety analysis understands (libstdc++'s is not annotated).
#pragma once

#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define SLUICE_THREAD_ATTRIBUTE_(x) __attribute__((x))
#else
#define SLUICE_THREAD_ATTRIBUTE_(x)
#endif
#define SLUICE_GUARDED_BY(mutex) SLUICE_THREAD_ATTRIBUTE_(guarded_by(mutex))
#define SLUICE_REQUIRES(mutex) SLUICE_THREAD_ATTRIBUTE_(requires_capability(mutex))

namespace sluice::base {

class SLUICE_THREAD_ATTRIBUTE_(capability("mutex")) Mutex {
 public:
  void lock() SLUICE_THREAD_ATTRIBUTE_(acquire_capability()) { mutex_.lock(); }
  void unlock() SLUICE_THREAD_ATTRIBUTE_(release_capability()) { mutex_.unlock(); }

 private:
  std::mutex mutex_;
};

class SLUICE_THREAD_ATTRIBUTE_(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) SLUICE_THREAD_ATTRIBUTE_(acquire_capability(mutex))
      : mutex_(mutex) {
    mutex_.lock();
  }
  ~MutexLock() SLUICE_THREAD_ATTRIBUTE_(release_capability()) { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

}  // namespace sluice::base
