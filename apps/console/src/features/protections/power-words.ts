import type { Machine } from '@understudy/contract/machine'
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
  unknown: 'Unknown',
}
