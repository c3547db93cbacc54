export const KiB = 1024
export const MiB = 1024 * KiB
export const GiB = 1024 * MiB
export const TiB = 1024 * GiB

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const

/** `1536` to `1.5 KiB`. Binary units, at most one decimal. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let index = 0
  while (Math.abs(value) >= 1024 && index < units.length - 1) {
    value /= 1024
    index += 1
  }
  const digits = index === 0 || Math.abs(value) >= 100 ? 0 : 1
  return `${value.toFixed(digits)} ${units[index] ?? 'B'}`
}

export const roundDown = (value: number, grain: number): number => value - (value % grain)
export const roundUp = (value: number, grain: number): number => roundDown(value + grain - 1, grain)
