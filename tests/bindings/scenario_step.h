/* A step of the scenario, as flatten.py writes it, for the drivers in C and C++. */
#ifndef ABYSSAL_TESTS_SCENARIO_STEP_H
#define ABYSSAL_TESTS_SCENARIO_STEP_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEP_FIELDS = 32 };

typedef struct step {
  int number;
  char *kind;
  int count;
  char *names[STEP_FIELDS];
  char *values[STEP_FIELDS];
} step;

/* Cuts a line into a step, which points into it. */
static inline step step_of(char *line) {
  step made;
  char *field = strtok(line, "\t\n");
  memset(&made, 0, sizeof made);
  made.number = atoi(field);
  made.kind = strtok(NULL, "\t\n");
  while ((field = strtok(NULL, "\t\n")) != NULL) {
    char *value = strchr(field, '=');
    *value = '\0';
    if (made.count == STEP_FIELDS)
      abort();
    made.names[made.count] = field;
    made.values[made.count++] = value + 1;
  }
  return made;
}

/* The value of a field; NULL: there is none. */
static inline char *step_find(const step *of, const char *name) {
  int i;
  for (i = 0; i < of->count; ++i)
    if (strcmp(of->names[i], name) == 0)
      return of->values[i];
  return NULL;
}

static inline int64_t step_integer(const step *of, const char *name, int64_t otherwise) {
  const char *value = step_find(of, name);
  return value != NULL ? strtoll(value, NULL, 10) : otherwise;
}

static inline float step_float(const step *of, const char *name, float otherwise) {
  const char *value = step_find(of, name);
  const uint32_t bits = value != NULL ? (uint32_t)strtoul(value, NULL, 16) : 0;
  float number;
  memcpy(&number, &bits, sizeof number);
  return value != NULL ? number : otherwise;
}

/* Words of 32 bits in the base given, up to the end of a list. Returns their number; the rest of the lists in *rest. */
static inline size_t step_words(const char *list, int base, void *out, size_t capacity, const char **rest) {
  size_t count = 0;
  while (list != NULL && *list != '\0' && *list != ';') {
    char *end;
    const int64_t word = strtoll(list, &end, base);
    if (count == capacity)
      abort();
    memcpy((char *)out + 4 * count++, &word, 4); /* the low half: little-endian */
    list = *end == ' ' ? end + 1 : end;
  }
  if (rest != NULL)
    *rest = list != NULL && *list == ';' ? list + 1 : NULL;
  return count;
}

static inline size_t step_put(char *out, uint32_t character) {
  if (character < 0x80) {
    out[0] = (char)character;
    return 1;
  }
  if (character < 0x800) {
    out[0] = (char)(0xC0 | character >> 6);
    out[1] = (char)(0x80 | (character & 0x3F));
    return 2;
  }
  if (character < 0x10000) {
    out[0] = (char)(0xE0 | character >> 12);
    out[1] = (char)(0x80 | (character >> 6 & 0x3F));
    out[2] = (char)(0x80 | (character & 0x3F));
    return 3;
  }
  out[0] = (char)(0xF0 | character >> 18);
  out[1] = (char)(0x80 | (character >> 12 & 0x3F));
  out[2] = (char)(0x80 | (character >> 6 & 0x3F));
  out[3] = (char)(0x80 | (character & 0x3F));
  return 4;
}

static inline uint32_t step_unit(const char *digits) {
  char text[5] = {0};
  memcpy(text, digits, 4);
  return (uint32_t)strtoul(text, NULL, 16);
}

/* A field's JSON string as UTF-8, ended by NUL, written over it the first time; a lone surrogate keeps its three bytes.
 * NULL: there is none. */
static inline const char *step_text(const step *of, const char *name) {
  char *value = step_find(of, name), *from, *to;
  if (value == NULL || *value != '"')
    return value == NULL ? NULL : value + 1; /* 1: marks the text as read */
  for (from = value + 1, to = value + 1; *from != '"'; ++from) {
    static const char kEscapes[] = "b\bf\fn\nr\rt\t";
    const char *known;
    uint32_t unit;
    if (*from != '\\') {
      *to++ = *from;
    } else if (*++from != 'u') {
      known = strchr(kEscapes, *from);
      *to++ = known != NULL ? known[1] : *from;
    } else {
      unit = step_unit(from + 1);
      from += 4;
      if (unit >= 0xD800 && unit < 0xDC00 && strncmp(from + 1, "\\ud", 2) == 0 && step_unit(from + 3) >= 0xDC00) {
        unit = 0x10000 + ((unit - 0xD800) << 10) + (step_unit(from + 3) - 0xDC00);
        from += 6;
      }
      to += step_put(to, unit);
    }
  }
  *to = '\0';
  *value = '\1';
  return value + 1;
}

/* ---------------------------------------------------------------- the transcript */

static inline void say_quoted(const char *text, size_t length) {
  size_t i;
  putchar('"');
  for (i = 0; i < length; ++i) {
    const unsigned char byte = (unsigned char)text[i];
    if (byte == '"' || byte == '\\')
      putchar('\\');
    if (byte < ' ')
      printf("\\u%04x", byte);
    else
      putchar(byte);
  }
  putchar('"');
}

static inline void say_integers(const step *of, const char *word, const int32_t *values, size_t count) {
  size_t i;
  printf("%d %s", of->number, word);
  for (i = 0; i < count; ++i)
    printf(" %d", values[i]);
  putchar('\n');
}

static inline void say_text(const step *of, const char *word, const char *text, size_t length) {
  printf("%d %s ", of->number, word);
  say_quoted(text, length);
  putchar('\n');
}

/* Where the last row is largest, and of the bits an FNV-1a hash, word by word, and the first. */
static inline void say_floats(const step *of, const float *values, size_t count, size_t row) {
  const float *last = values + count - row;
  uint32_t hashed = 2166136261u, word;
  size_t i, largest = 0;
  for (i = 0; i < count; ++i) {
    memcpy(&word, values + i, sizeof word);
    hashed = (hashed ^ word) * 16777619u;
  }
  for (i = 1; count != 0 && i < row; ++i)
    if (last[i] > last[largest])
      largest = i;
  if (count != 0)
    printf("%d largest %zu\n", of->number, largest);
  printf("%d local bits %08x", of->number, hashed);
  for (i = 0; i < count && i < 4; ++i) {
    memcpy(&word, values + i, sizeof word);
    printf(" %08x", word);
  }
  putchar('\n');
}

static inline void say_array(const step *of, int is_integers, const void *data, const int64_t *shape, size_t rank) {
  size_t i, count = 1, row = 1;
  printf("%d shape %s", of->number, is_integers ? "i32" : "f32");
  for (i = 0; i < rank; ++i) {
    printf(" %lld", (long long)shape[i]);
    count *= (size_t)shape[i];
    row *= i > 0 ? (size_t)shape[i] : 1;
  }
  putchar('\n');
  if (is_integers)
    say_integers(of, "integers", (const int32_t *)data, count);
  else
    say_floats(of, (const float *)data, count, row);
}

#endif
