#define _GNU_SOURCE
#include "inputs.h"
#include "CKernels.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t state = 1;

uint64_t random_bits(void) {
  uint64_t z = (state += 0x9e3779b97f4a7c15);
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

size_t random_below(size_t bound) { return random_bits() % bound; }

float random_float(float magnitude) { return ((float)(random_bits() >> 40) * 0x1p-23f - 1) * magnitude; }

// MARK: memory

static struct {
  void *start;
  size_t bytes;
} mappings[64];
static size_t mapped;

void *before_the_end(size_t bytes) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE), whole = (bytes + page - 1) / page * page;
  char *start = mmap(NULL, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED || mprotect(start + whole, page, PROT_NONE) || mapped == sizeof mappings / sizeof *mappings) {
    perror("no memory for a test's inputs");
    exit(2);
  }
  mappings[mapped].start = start;
  mappings[mapped++].bytes = whole + page;
  return start + whole - bytes;
}

void release_all(void) {
  for (size_t i = 0; i < mapped; i++) munmap(mappings[i].start, mappings[i].bytes);
  mapped = 0;
}

float *random_floats(size_t count, float magnitude) {
  float *x = before_the_end(count * sizeof *x);
  for (size_t i = 0; i < count; i++) x[i] = random_float(magnitude);
  return x;
}

// MARK: weights

uint16_t random_half(void) { return (uint16_t)(random_below(0x2c01) | (random_bits() & 0x8000)); }

/// Where a block has its halves: one, or two neighbouring ones.
static size_t scale_offset(uint32_t format) { return format == XK_Q6_K ? 208 : 0; }
static size_t scale_count(uint32_t format) {
  return format == XK_Q4_1 || format == XK_Q5_1 || format == XK_Q4_K || format == XK_Q5_K ? 2 : 1;
}

uint8_t *random_blocks(uint32_t format, size_t count) {
  size_t bytes = xk_block_bytes(format), blocks = count / xk_block_elements(format);
  uint8_t *file = before_the_end(blocks * bytes);
  for (size_t b = 0; b < blocks; b++) {
    uint8_t *block = file + b * bytes;
    float number = random_float(1);
    if (format == XK_F32) memcpy(block, &number, 4);
    if (format == XK_BF16) memcpy(block, (uint8_t *)&number + 2, 2);
    if (format == XK_F32 || format == XK_BF16) continue;
    for (size_t i = 0; i < bytes; i++) block[i] = (uint8_t)random_bits();
    for (size_t i = 0; i < scale_count(format); i++) {
      uint16_t half = random_half();
      memcpy(block + scale_offset(format) + 2 * i, &half, 2);
    }
  }
  return file;
}

uint8_t *random_panels(uint32_t format, size_t panels, size_t columns) {
  size_t bytes = xk_panel_bytes(format, columns);
  size_t file_bytes = XK_PANEL * columns / xk_block_elements(format) * xk_block_bytes(format);
  uint8_t *file = random_blocks(format, panels * XK_PANEL * columns), *packed = before_the_end(panels * bytes);
  for (size_t p = 0; p < panels; p++) xk_pack(format, file + p * file_bytes, XK_PANEL, columns, packed + p * bytes);
  return packed;
}
