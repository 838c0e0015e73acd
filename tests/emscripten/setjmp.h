/* setjmp.h - what jumps.c and setjmp.c share. */
#ifndef SETJMP_H
#define SETJMP_H

#include <stddef.h>
#include <stdint.h>

#define EXPORT(name) __attribute__((export_name(#name)))
#define IMPORT(name) __attribute__((import_module("env"), import_name(#name))) extern

typedef struct Buffer {
  int32_t id; /* of the setjmp that filled it */
} jmp_buf[1];

int setjmp(jmp_buf buffer) __attribute__((returns_twice));
_Noreturn void longjmp(jmp_buf buffer, int value);

#endif
