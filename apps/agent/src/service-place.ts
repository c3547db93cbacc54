// Where the agent lies once it is installed, and what it needs of the server for that.
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { isSea } from 'node:sea'
import { setTimeout as wait } from 'node:timers/promises'
import { Refusal } from '@understudy/base/errors'
import { type CommandEnd, runCommand } from '@understudy/drivers/linux/run-command'
import { defaultLinuxSettings } from '@understudy/drivers/linux/settings'
import { SERVICE_FOLDER } from './state-folder.ts'

export const SERVICE = 'understudy-agent.service'

export type ServicePlace = {
  /** The place of `/`; another one only in tests. */
  readonly root: string
  readonly tracefs: string
  /** This program, as one file; null: it runs from its sources. */
  readonly program: string | null
  /** Null where there is nothing like it. */
  readonly userId: number | null
  systemctl(...words: readonly string[]): Promise<CommandEnd>
  now(): number
  pause(milliseconds: number): Promise<void>
}

export const ownServer = (): ServicePlace => ({
  root: '/',
  tracefs: defaultLinuxSettings.tracefs,
  program: isSea() ? process.execPath : null,
  userId: process.platform === 'linux' ? (process.getuid?.() ?? null) : null,
  systemctl: (...words) => runCommand('systemctl', words, { seconds: 120 }),
  now: () => Date.now(),
  pause: (milliseconds) => wait(milliseconds),
})

export const pathsOf = ({ root }: ServicePlace) => ({
  program: join(root, 'usr/local/bin/understudy-agent'),
  state: join(root, SERVICE_FOLDER),
  unit: join(root, 'etc/systemd/system', SERVICE),
})

/** Refuses (`agent/not-root`) where nothing can be changed. */
export function checkRoot({ userId }: ServicePlace, command: string): void {
  if (userId === 0) return
  throw new Refusal({
    code: 'agent/not-root',
    message:
      userId === null
        ? 'Only on Linux is the agent made a service by itself'
        : `Only root can ${command} the agent`,
    remedy:
      userId === null
        ? 'Enrol it, and have the system start it: understudy-agent enrol …, understudy-agent run.'
        : `Become root, and run it again: understudy-agent ${command} …`,
  })
}

/** As sd_booted(3) finds it out: systemd has started this server. */
export const hasSystemd = ({ root }: ServicePlace): Promise<boolean> =>
  isThere(join(root, 'run/systemd/system'))

export const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )
