// What an agent knows of the computer that it runs on.
import { createHash } from 'node:crypto'
import { readFile, statfs } from 'node:fs/promises'
import {
  arch,
  cpus,
  hostname,
  release,
  type as systemType,
  version as systemVersion,
  totalmem,
} from 'node:os'
import { Refusal } from '@understudy/base/errors'
import type { AgentFacts } from '@understudy/domain/agents/agent'
import { type ServerHardware, unknownHardware } from '@understudy/domain/agents/server-hardware'
import { readReplicaMark, readServerHardware } from '@understudy/drivers/linux/firmware'

/** Longer ones are refused by the server. */
const LONGEST_TEXT = 200
const cut = (text: string): string => text.slice(0, LONGEST_TEXT)

export async function lookAround(): Promise<AgentFacts> {
  const release_ = await readFile('/etc/os-release', 'utf8').catch(() => '')
  const pretty = /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(release_)?.[1]
  return {
    hostName: cut(hostname()),
    system: cut(pretty ?? `${systemType()} ${systemVersion()}`),
    kernel: cut(release()),
    architecture: arch(),
    processors: cpus().length,
    memoryBytes: totalmem(),
  }
}

/**
 * By which the server is known again. Of the given text, else of systemd's machine id, which is not to leave a computer as it is
 * (machine-id(5)), so a digest of it goes. Refuses (`agent/no-identity`) where there is none.
 */
export async function identifyServer(given: string | null): Promise<string> {
  const text = given ?? (await readFile('/etc/machine-id', 'utf8').catch(() => '')).trim()
  if (text === '')
    throw new Refusal({
      code: 'agent/no-identity',
      message: 'This server has no /etc/machine-id by which it could be known again',
      remedy: 'Give it a text that no other server has: --identity "rack 4, db-1".',
    })
  return createHash('sha256').update(`understudy server ${text}`).digest('hex')
}

/** `sysfs`: null where the kernel has nothing like it. */
export const lookAtHardware = async (sysfs: string | null): Promise<ServerHardware> =>
  sysfs === null ? unknownHardware : await readServerHardware(sysfs)

/**
 * This is a machine that a target has made of a recovery point, with all that was on the server: also this agent, which has nothing to do
 * here. Null: it is none.
 */
export async function whyToRest(sysfs: string | null): Promise<Refusal | null> {
  const run = sysfs === null ? null : await readReplicaMark(sysfs)
  if (run === null) return null
  return new Refusal({
    code: 'agent/in-a-replica',
    message: `Understudy has made this machine of a recovery point (run ${cut(run)}); it is not the server that its agent was enrolled on`,
    remedy:
      'The agent rests here. If the machine stays, protect it as a machine of its site, through its hypervisor.',
  })
}

export async function roomAt(
  folder: string,
): Promise<{ readonly freeBytes: number; readonly diskBytes: number }> {
  const { bavail, blocks, bsize } = await statfs(folder)
  return { freeBytes: bavail * bsize, diskBytes: blocks * bsize }
}
