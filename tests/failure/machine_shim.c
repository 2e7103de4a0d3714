/* LD_PRELOAD: CLOCK_REALTIME shifted by the seconds in the file SHIM_CLOCK, and fsync() and fdatasync() held while the
 * file SHIM_HOLD exists. Built by stalls.py. The monotonic clock stays as it is. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

typedef int clock_fn(clockid_t, struct timespec *);
typedef int sync_fn(int);

static clock_fn *real_clock(void) {
  static clock_fn *real;
  if (!real) real = (clock_fn *)dlsym(RTLD_NEXT, "clock_gettime");
  return real;
}

/* Read again every 50 ms. */
static long shift_seconds(void) {
  static long shift;
  static long read_at;
  struct timespec now;
  real_clock()(CLOCK_MONOTONIC, &now);
  long tick = now.tv_sec * 20 + now.tv_nsec / 50000000;
  if (tick == read_at) return shift;
  read_at = tick;
  const char *path = getenv("SHIM_CLOCK");
  FILE *file = path ? fopen(path, "re") : NULL;
  if (!file) return shift;
  long value = 0;
  if (fscanf(file, "%ld", &value) == 1) shift = value;
  fclose(file);
  return shift;
}

int clock_gettime(clockid_t id, struct timespec *out) {
  int result = real_clock()(id, out);
  if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) out->tv_sec += shift_seconds();
  return result;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone) {
  struct timespec now;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &now);
  out->tv_sec = now.tv_sec;
  out->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out) *out = now.tv_sec;
  return now.tv_sec;
}

static void hold(void) {
  const char *path = getenv("SHIM_HOLD");
  while (path && access(path, F_OK) == 0) usleep(20000);
}

int fsync(int fd) {
  hold();
  return ((sync_fn *)dlsym(RTLD_NEXT, "fsync"))(fd);
}

int fdatasync(int fd) {
  hold();
  return ((sync_fn *)dlsym(RTLD_NEXT, "fdatasync"))(fd);
}
