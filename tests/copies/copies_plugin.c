/* A plugin that has a copy of the library of its own, linked in one way where the program that loads it has another. */
#include "library_copy.h"

void plugin_library(struct library *out);

__attribute__((visibility("default"))) void plugin_library(struct library *out) { *out = linked_library(); }
