// Every function of this processor's table beside plain C's, over random inputs: the bits must be the same. Prints a
// checksum of what plain C gave, which must be the same on every processor.
#include "CKernels.h"
#include "compare.h"
#include <stdio.h>
#include <string.h>

static const xk_table *plain, *special;
static size_t comparisons, differences;
static uint64_t checksum = 0xcbf29ce484222325;

void expect_same(const char *what, const void *expected, const void *actual, size_t bytes) {
  const uint8_t *e = expected;
  for (size_t i = 0; i < bytes; i++) checksum = (checksum ^ e[i]) * 0x100000001b3;
  comparisons++;
  if (!memcmp(expected, actual, bytes)) return;
  if (differences++ < 10) printf("%s differs\n", what);
}

int main(void) {
  plain = xk_portable();
  special = xk_avx2() ? xk_avx2() : xk_neon();
  if (!special) {
    fprintf(stderr, "This processor has no table but plain C's: beside itself.\n");
    special = plain;
  }
  compare_products(plain, special);
  compare_integers(plain, special);
  compare_rows(plain, special);
  compare_attention(plain, special);
  printf("%zu comparisons, %zu differences, checksum %016llx\n", comparisons, differences,
         (unsigned long long)checksum);
  return differences != 0;
}
