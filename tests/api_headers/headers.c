/* The C headers alone, each of them first: compiled as every version of C, under the strictest flags. */
#if defined(OPS_FIRST)
#include <abyssal/ops.h>
#endif
#include <abyssal/abyssal.h>
#include <abyssal/ops.h>

#include "header_use.h"

/* A name with external linkage, so that the file is not empty. */
int use_header_in_c(void);
int use_header_in_c(void) { return use_header(); }
