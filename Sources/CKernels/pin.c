#define _GNU_SOURCE
#include "CKernels.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>

int xk_pin(uintptr_t thread, int cpu) {
  if (cpu < 0 || cpu >= CPU_SETSIZE) return EINVAL;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  return pthread_setaffinity_np((pthread_t)thread, sizeof set, &set);
}
