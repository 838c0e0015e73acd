/* smooth.c - the median of the last readings of a sensor, and how many readings were far off it:
 * what is more than LIMIT times the median of the readings before, or less than that part of it.
 */
#include "../../../scripts/plugins/plugin.h"

enum { KEPT = 5, LIMIT = 4 };

static double readings[KEPT]; /* a ring */
static uint32_t n_readings;
static uint32_t n_outliers;

static uint32_t n_kept(void) {
  return n_readings < KEPT ? n_readings : KEPT;
}

static double median(void) {
  double sorted[KEPT];
  uint32_t n = n_kept();
  for (uint32_t i = 0; i < n; i++) {
    uint32_t at = i;
    for (; at > 0 && sorted[at - 1] > readings[i]; at--) sorted[at] = sorted[at - 1];
    sorted[at] = readings[i];
  }
  return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

/* Takes a reading: the median of the last ones. */
EXPORT("add") double add(double reading) {
  if (n_readings > 0) {
    double before = median();
    n_outliers += reading > before * LIMIT || reading * LIMIT < before;
  }
  readings[n_readings++ % KEPT] = reading;
  return median();
}

EXPORT("outliers") uint32_t outliers(void) {
  return n_outliers;
}
