// Which machines have a QEMU on a host, whoever started it and whatever became of its sockets and files. A process is the
// only thing that a machine cannot run without.
import { Outage } from '@understudy/base/errors'
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { Host } from './host.ts'

/** Process ids by the uuid that QEMU was given. */
export type RunningUuids = ReadonlyMap<MachineRef, readonly number[]>
export type LookAtProcesses = (host: Host) => Promise<RunningUuids>

/**
 * Prints the word `-uuid` of every process and the word after it. The brackets keep grep from finding itself. A process that
 * ends meanwhile is an unreadable file to grep, which is no failure. /proc may hide what belongs to others (`hidepid`).
 */
const SCRIPT =
  'test -r /proc/1/cmdline || exit 44; exec grep -aszHxA1 -e "[-]\\{1,2\\}uuid" /proc/[0-9]*/cmdline'
const HIDDEN = 44
const GREP_CODES = [0, 1, 2]

/** One look at all processes. Outage `source/power-unknown` when they cannot be seen: then nothing is proven. */
export async function runningUuids(host: Host, signal?: AbortSignal): Promise<RunningUuids> {
  const result = await host.run('sh', ['-c', SCRIPT], { signal })
  if (!GREP_CODES.includes(result.code)) throw notSeen(host, result.code, result.stderr)
  const found = new Map<MachineRef, readonly number[]>()
  for (const [, pid = '', uuid = ''] of result.stdout.matchAll(
    /\/proc\/(\d+)\/cmdline-([0-9a-f-]{36})\0/gi,
  )) {
    const ref = uuid.toLowerCase() as MachineRef
    found.set(ref, [...(found.get(ref) ?? []), Number(pid)])
  }
  return found
}

/** Asks each host once: for whoever looks at many machines at one moment. */
export function rememberedProcesses(signal?: AbortSignal): LookAtProcesses {
  const asked = new Map<Host, Promise<RunningUuids>>()
  return (host) => {
    const known = asked.get(host) ?? runningUuids(host, signal)
    asked.set(host, known)
    return known
  }
}

const notSeen = (host: Host, code: number, said: string): Outage =>
  new Outage({
    code: 'source/power-unknown',
    message:
      code === HIDDEN
        ? `Host ${host.name} does not show us the processes of other users, so no machine there can be proven off`
        : `Cannot look at the processes of host ${host.name}: ${said.trim().slice(-300)}`,
    remedy: 'Connect to the host as root, or mount /proc there without hidepid; GNU grep must be installed.',
  })
