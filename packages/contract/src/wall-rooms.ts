/** What a screen on a wall watches, and all that a display link may. */
export const wallRooms = [
  'measurements',
  'topic:protections',
  'topic:alerts',
  'topic:jobs',
  'topic:sites',
  'topic:plans',
  'topic:plan-runs',
] as const
