// The C headers as C++.
#include <abyssal/ops.h>

#include "header_use.h"

int use_header_in_cpp();
int use_header_in_cpp() { return use_header(); }
