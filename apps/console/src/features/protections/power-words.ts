import type { Machine } from '@understudy/contract/machine'
import type { Site } from '@understudy/contract/site'
import type { Tone } from '../../ui/tone.ts'

export const toneOfPower: Record<Machine['power'], Tone> = {
  running: 'good',
  paused: 'at-risk',
  off: 'off',
  unknown: 'off',
}

export const wordsOfPower: Record<Machine['power'], string> = {
  running: 'Running',
  paused: 'Paused',
  off: 'Off',
  unknown: 'Not known',
}

/** What was read last is no fact any more when the machine is gone or its site does not answer. Undefined: not loaded yet. */
export const knownPower = (
  { power, present }: Pick<Machine, 'power' | 'present'>,
  siteHealth: Site['health'] | undefined,
): Machine['power'] => (present && siteHealth !== 'unreachable' ? power : 'unknown')
