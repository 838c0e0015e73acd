/* nbody.c - f64 arithmetic with square roots: five bodies under gravity, n steps. */
#include "kernel.h"

#define KERNEL_N 300000
#define BODIES   5

typedef struct Body {
  double x, y, z, vx, vy, vz, mass;
} Body;

static Body bodies[BODIES];

static void place_bodies(void) {
  for (int i = 0; i < BODIES; i++) {
    double d = 1 + 3.5 * i;
    bodies[i] = (Body){d, -0.5 * d, 0.1 * i, 0.02 * i, 0.9 / d, 0.01, i == 0 ? 39.5 : 0.01 * i};
  }
}

static void attract(Body *p, Body *q, double dt) {
  double dx = p->x - q->x, dy = p->y - q->y, dz = p->z - q->z;
  double square = dx * dx + dy * dy + dz * dz + 0.001;
  double pull = dt / (square * __builtin_sqrt(square));
  p->vx -= dx * q->mass * pull, p->vy -= dy * q->mass * pull, p->vz -= dz * q->mass * pull;
  q->vx += dx * p->mass * pull, q->vy += dy * p->mass * pull, q->vz += dz * p->mass * pull;
}

static void step(double dt) {
  for (int i = 0; i < BODIES; i++) {
    for (int j = i + 1; j < BODIES; j++) attract(&bodies[i], &bodies[j], dt);
  }
  for (int i = 0; i < BODIES; i++) {
    Body *b = &bodies[i];
    b->x += dt * b->vx, b->y += dt * b->vy, b->z += dt * b->vz;
  }
}

int32_t run(int32_t n) {
  place_bodies();
  for (int32_t i = 0; i < n; i++) step(0.0001);
  return (int32_t)(bodies[1].x * 1e6);
}

#include "tail.h"
