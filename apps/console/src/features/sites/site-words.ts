import type { Site } from '@understudy/contract/site'
import type { Tone } from '../../ui/tone.ts'

export const toneOfSite: Record<Site['health'], Tone> = {
  unknown: 'off',
  healthy: 'good',
  degraded: 'at-risk',
  unreachable: 'bad',
}

export const wordsOfSite: Record<Site['health'], string> = {
  unknown: 'Not checked yet',
  healthy: 'Healthy',
  degraded: 'Degraded',
  unreachable: 'Unreachable',
}

export const wordsOfPlatform: Record<Site['platform'], string> = {
  kvm: 'KVM hosts',
  simulated: 'Simulated',
  azure: 'Azure',
  physical: 'Physical servers',
}
