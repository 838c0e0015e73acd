/* image.c - image routines over 8-bit grey pictures: draw, blur, dither, show as characters.
 *
 * A picture is width * height bytes, row by row, at the address that image_new returns; the host
 * may read and write them directly.
 */
#include "plugin.h"

typedef struct Image {
  int32_t width, height;
  uint8_t *pixels;
} Image;

static Bytes out;

static uint8_t *pixel(const Image *image, int32_t x, int32_t y) {
  return &image->pixels[y * image->width + x];
}

EXPORT("image_new") Image *image_new(int32_t width, int32_t height) {
  Image *image = plugin_alloc(sizeof *image);
  *image = (Image){width, height, plugin_alloc((uint32_t)(width * height))};
  return image;
}

/* How long z = z * z + c stays in the circle of radius 2, as a grey: 255 is for ever. */
static uint8_t escape_time(double re, double im) {
  double x = 0, y = 0;
  for (int grey = 0; grey < 255; grey += 5) {
    double xx = x * x, yy = y * y;
    if (xx + yy > 4) return (uint8_t)grey;
    y = 2 * x * y + im;
    x = xx - yy + re;
  }
  return 255;
}

/* The Mandelbrot set around (re, im), `span` wide. */
EXPORT("image_mandelbrot")
void image_mandelbrot(Image *image, double re, double im, double span) {
  double step = span / image->width;
  for (int32_t y = 0; y < image->height; y++) {
    for (int32_t x = 0; x < image->width; x++) {
      *pixel(image, x, y) =
          escape_time(re + (x - image->width / 2) * step, im + (y - image->height / 2) * step);
    }
  }
}

/* A running mean of 2 * radius + 1 pixels along one line of `n`, `stride` bytes apart. */
static void blur_line(uint8_t *line, int32_t n, int32_t stride, int32_t radius, uint8_t *copy) {
  int32_t sum = 0, width = 2 * radius + 1;
  for (int32_t i = 0; i < n; i++) copy[i] = line[i * stride];
  for (int32_t i = -radius; i <= radius; i++) sum += copy[i < 0 ? 0 : i >= n ? n - 1 : i];
  for (int32_t i = 0; i < n; i++) {
    int32_t leaves = i - radius, enters = i + radius + 1;
    line[i * stride] = (uint8_t)(sum / width);
    sum += copy[enters >= n ? n - 1 : enters] - copy[leaves < 0 ? 0 : leaves];
  }
}

EXPORT("image_blur") void image_blur(Image *image, int32_t radius) {
  int32_t longest = image->width > image->height ? image->width : image->height;
  uint8_t *copy = plugin_alloc((uint32_t)longest);
  for (int32_t y = 0; y < image->height; y++) {
    blur_line(pixel(image, 0, y), image->width, 1, radius, copy);
  }
  for (int32_t x = 0; x < image->width; x++) {
    blur_line(pixel(image, x, 0), image->height, image->width, radius, copy);
  }
}

static void spread(const Image *image, int32_t x, int32_t y, int32_t error) {
  if (x < 0 || x >= image->width || y >= image->height) return;
  int32_t grey = *pixel(image, x, y) + error / 16;
  *pixel(image, x, y) = (uint8_t)(grey < 0 ? 0 : grey > 255 ? 255 : grey);
}

/* Floyd-Steinberg: every pixel becomes one of `levels` greys, its neighbours share the error. */
EXPORT("image_dither") void image_dither(Image *image, int32_t levels) {
  for (int32_t y = 0; y < image->height; y++) {
    for (int32_t x = 0; x < image->width; x++) {
      int32_t old = *pixel(image, x, y);
      int32_t now = (old * (levels - 1) + 127) / 255 * 255 / (levels - 1);
      *pixel(image, x, y) = (uint8_t)now;
      spread(image, x + 1, y, (old - now) * 7);
      spread(image, x - 1, y + 1, (old - now) * 3);
      spread(image, x, y + 1, (old - now) * 5);
      spread(image, x + 1, y + 1, old - now);
    }
  }
}

/* From dark to light, a line feed after each row. A character is twice as high as it is wide, so it
 * stands for two rows. */
EXPORT("image_ascii") Bytes *image_ascii(const Image *image) {
  static const char ramp[] = " .:-=+*#%@";
  out = (Bytes){plugin_alloc((uint32_t)((image->width + 1) * image->height / 2)), 0};
  for (int32_t y = 0; y + 1 < image->height; y += 2) {
    for (int32_t x = 0; x < image->width; x++) {
      int32_t grey = (*pixel(image, x, y) + *pixel(image, x, y + 1)) / 2;
      out.at[out.size++] = ramp[grey * (int32_t)(sizeof ramp - 2) / 255];
    }
    out.at[out.size++] = '\n';
  }
  return &out;
}
