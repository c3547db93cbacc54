// Which process is meant, also after we were started anew: a number alone may be another's by then.
import { readFileSync } from 'node:fs'

export type ProcessIdentity = {
  readonly pid: number
  /** In ticks after the boot (proc(5), field 22 of stat). Null where there is no /proc. */
  readonly startTicks: string | null
  /** Of this boot of the computer. */
  readonly boot: string | null
}

/** Null: there is no such process, or it has ended and only waits to be reaped. */
export function identify(pid: number): ProcessIdentity | null {
  const boot = readOrNull('/proc/sys/kernel/random/boot_id')?.trim() ?? null
  if (boot === null) return exists(pid) ? { pid, startTicks: null, boot } : null
  const line = readOrNull(`/proc/${pid}/stat`)
  if (line === null) return null
  // The second field is the name in parentheses, which may hold anything.
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
  return fields[0] === 'Z' ? null : { pid, startTicks: fields[19] ?? null, boot }
}

export function isAlive(identity: ProcessIdentity): boolean {
  const now = identify(identity.pid)
  return now !== null && now.startTicks === identity.startTicks && now.boot === identity.boot
}

/** False: there is nobody to tell. */
export function tell(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, signal)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return false
    // Not ours to tell, but there.
    if (error instanceof Error && 'code' in error && error.code === 'EPERM') return true
    throw error
  }
}

const exists = (pid: number): boolean => tell(pid, 0)

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}
