/* sensor.c - dissects the packets of a sensor: 'S' 'N', version, number of records; a record is its
 * type, its size and a value: 1 the sensor's name, 2 a temperature (signed, big-endian, hundredths
 * of a degree), 3 a battery in percent. What a packet lacks is reported, not read.
 */
#include "../../../scripts/plugins/plugin.h"

/* Something was found in these bytes of the packet. */
IMPORT("host", "number")
void host_number(uint32_t field, uint32_t at, uint32_t size, int32_t value);
IMPORT("host", "text") void host_text(uint32_t field, uint32_t at, uint32_t size);
IMPORT("host", "malformed") void host_malformed(uint32_t at, const char *why, uint32_t size);

/* In the order of the fields in dissector.lua. */
enum Field { VERSION = 1, COUNT, NAME, TEMPERATURE, BATTERY, UNKNOWN };

static uint32_t complain(uint32_t at, const char *why) {
  uint32_t size = 0;
  while (why[size]) size++;
  host_malformed(at, why, size);
  return at;
}

static bool dissect_value(const uint8_t *packet, uint32_t at, uint8_t type, uint32_t size) {
  switch (type) {
    case 1: host_text(NAME, at, size); return true;
    case 2:
      if (size != 2) return false;
      host_number(TEMPERATURE, at, 2, (int16_t)(packet[at] << 8 | packet[at + 1]));
      return true;
    case 3:
      if (size != 1 || packet[at] > 100) return false;
      host_number(BATTERY, at, 1, packet[at]);
      return true;
    default: host_text(UNKNOWN, at, size); return true;
  }
}

/* How many bytes of the packet were understood; 0 when it is none of a sensor's. */
EXPORT("dissect") uint32_t dissect(const uint8_t *packet, uint32_t size) {
  if (size < 4 || packet[0] != 'S' || packet[1] != 'N') return 0;
  host_number(VERSION, 2, 1, packet[2]);
  host_number(COUNT, 3, 1, packet[3]);
  uint32_t at = 4;
  for (uint8_t left = packet[3]; left > 0; left--) {
    if (size - at < 2) return complain(at, "a record is missing");
    uint8_t type = packet[at];
    uint32_t length = packet[at + 1];
    if (size - at - 2 < length) return complain(at, "a record is cut off");
    if (!dissect_value(packet, at + 2, type, length))
      return complain(at, "a record has a wrong value");
    at += 2 + length;
  }
  return at;
}
