#define _GNU_SOURCE
#include <sched.h>

#include "CLinux.h"

_Static_assert(sizeof(cpu_set_t) == xs_processor_limit / 8, "a mask is a cpu_set_t");

int xs_get_processors(uint64_t mask[xs_processor_limit / 64]) {
  return sched_getaffinity(0, sizeof(cpu_set_t), (cpu_set_t *)mask);
}

int xs_set_processors(const uint64_t mask[xs_processor_limit / 64]) {
  return sched_setaffinity(0, sizeof(cpu_set_t), (const cpu_set_t *)mask);
}
