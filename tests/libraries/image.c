/* image.c - makes functions of the headers that are all of the library. */
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBI_NO_STDIO
#define STBI_WRITE_NO_STDIO
#define STBI_NO_THREAD_LOCALS
#include "stb_image.h"
#include "stb_image_write.h"
