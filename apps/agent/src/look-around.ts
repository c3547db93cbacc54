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

export async function lookAround(): Promise<AgentFacts> {
  const release_ = await readFile('/etc/os-release', 'utf8').catch(() => '')
  const pretty = /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(release_)?.[1]
  return {
    hostName: hostname(),
    system: (pretty ?? `${systemType()} ${systemVersion()}`).slice(0, 200),
    kernel: release(),
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

export async function roomAt(
  folder: string,
): Promise<{ readonly freeBytes: number; readonly diskBytes: number }> {
  const { bavail, blocks, bsize } = await statfs(folder)
  return { freeBytes: bavail * bsize, diskBytes: blocks * bsize }
}
