import type { Agent, AgentRole, AgentState } from '@understudy/contract/agent'
import type { Receiver } from '@understudy/contract/receiver'
import { formatDuration } from '../../lib/format.ts'
import type { Tone } from '../../ui/tone.ts'

export const wordsOfState: Record<AgentState, string> = {
  expected: 'Not seen yet',
  connected: 'Connected',
  silent: 'Silent',
  revoked: 'Revoked',
}
export const toneOfState: Record<AgentState, Tone> = {
  expected: 'busy',
  connected: 'good',
  silent: 'bad',
  revoked: 'off',
}

export const wordsOfRole: Record<AgentRole, string> = {
  'protected-server': 'Protected server',
  receiver: 'Receiver',
}
export const noteOfRole: Record<AgentRole, string> = {
  'protected-server': 'It runs on a server and is for the disks of that server. It is held to this.',
  receiver:
    'It runs in a rescue system, on a server that comes home or on a new one for it. Its disks can be overwritten, once it was said for which server.',
}

/** Of more than one release. */
export const wordsOfVersionSkew: Record<Exclude<Agent['versionSkew'], 'near'>, string> = {
  'too-old': 'Too old: it can only be upgraded',
  'too-new': 'Too new for this control plane',
}

export const wordsOfAssignment: Record<NonNullable<Receiver['assignment']>['state'], string> = {
  assigned: 'nothing written yet',
  writing: 'being written',
  written: 'written',
  restarting: 'restarted from its disks',
}

/** How an agent comes from a server that is not known to be its own. */
export const wordsOfHardware = (model: string | null): string => model ?? 'hardware that does not name itself'

/** Less is the way of the message over the line. */
const agreesWithinSeconds = 2

export function wordsOfSkew(seconds: number | null): string {
  if (seconds === null) return '–'
  if (Math.abs(seconds) < agreesWithinSeconds) return 'agrees'
  return `${formatDuration(Math.abs(seconds))} ${seconds > 0 ? 'ahead' : 'behind'}`
}

/** `58:03`; zero when it is over. */
export function countDown(until: string, now: number): string {
  const seconds = Math.max(0, Math.ceil((Date.parse(until) - now) / 1000))
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`
}
