#include "CKernels.h"

const xk_table *xk_avx2(void) { return NULL; }
